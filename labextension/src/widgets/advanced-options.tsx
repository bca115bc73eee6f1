/**
 * What jupyter-scheduler shows as its additional options: the queue and the size in the create
 * form, and the run's live state in the detail view.
 */
import type { Scheduler } from '@jupyterlab/scheduler';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';

import { JobStatus } from '../components/job-status';
import { Notices } from '../components/notices';
import type { IQueueChoice } from '../components/queue-options';
import { choiceErrors, QueueOptions } from '../components/queue-options';
import type { JobsModel } from '../models/jobs';
import { RequestError } from '../request';
import { CommandIDs } from '../tokens';
import type { IProblem } from '../wire';

interface IContext {
  readonly model: JobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

type Props = Scheduler.IAdvancedOptionsProps;

/** Return the component that jupyter-scheduler draws in its forms and views. */
export function advancedOptions(context: IContext): React.FC<Props> {
  return function AdvancedOptions(props: Props): React.JSX.Element {
    const { model } = context;
    React.useEffect(() => {
      const observation = model.observe();
      return () => observation.dispose();
    }, [model]);
    return (
      <UseSignal signal={model.changed}>
        {() => (
          <div className="jp-Kueue-scheduler">
            <Notices
              interruption={model.interruption}
              problems={problemsIn(model)}
              stockBackend={null}
              isLoaded={model.isLoaded}
              onRetry={() => void context.commands.execute(CommandIDs.refresh)}
              onDismissStockBackend={() => undefined}
              trans={context.trans}
            />
            {props.jobsView === CREATE_FORM ? (
              <CreateForm {...props} {...{ context }} />
            ) : (
              <Details {...props} {...{ context }} />
            )}
          </div>
        )}
      </UseSignal>
    );
  };
}

/** What keeps jobs from running; of what is merely worth knowing the panel tells. */
function problemsIn(model: JobsModel): readonly IProblem[] {
  return model.problems.filter(problem => problem.severity === 'error');
}

// jupyter-scheduler's JobsView, whose values its props carry.
const CREATE_FORM = 1;

type InContext = Props & { readonly context: IContext };

function CreateForm(props: InContext): React.JSX.Element {
  const { model, handleModelChange, errors, handleErrorsChange, context } = props;
  const { trans } = context;
  useFewFormats(props);
  const parameters = model.runtimeEnvironmentParameters ?? {};
  const text = (name: string) => String(parameters[name] ?? '');
  const choice: IQueueChoice = {
    queue: text('queue'),
    gpus: text('gpus'),
    cpu: text('cpu'),
    memory: text('memory')
  };
  return (
    <>
      <QueueOptions
        queues={context.model.queues}
        unchosen={unchosen(context)}
        choice={choice}
        trans={trans}
        onChange={(field, value) => {
          const others = Object.fromEntries(
            Object.entries(parameters).filter(([name]) => name !== field)
          );
          handleModelChange({
            ...model,
            runtimeEnvironmentParameters: value === '' ? others : { ...others, [field]: value }
          });
          const changed = choiceErrors({ ...choice, [field]: value }, trans);
          handleErrorsChange({ ...errors, ...changed });
        }}
      />
      <label className="jp-Kueue-field">
        <span>{trans.__('Tags')}</span>
        <Tags
          tags={model.tags ?? []}
          placeholder={trans.__('words, with commas between them')}
          onChange={tags => handleModelChange({ ...model, tags })}
        />
      </label>
      {model.createType === 'Job' && (
        <label className="jp-Kueue-field">
          <span>{trans.__('Idempotency token')}</span>
          <input
            className="jp-mod-styled"
            name="idempotencyToken"
            value={model.idempotencyToken ?? ''}
            onChange={event =>
              handleModelChange({ ...model, idempotencyToken: event.target.value })
            }
          />
        </label>
      )}
    </>
  );
}

/** What a new job begins with, of the output formats that its environment has. */
const FORMATS_AT_FIRST: readonly string[] = ['ipynb', 'html'];

/**
 * Ticks a few output formats where the form has ticked all that there are: at its start, and
 * whenever another environment is chosen.
 */
function useFewFormats({ model, handleModelChange }: Props): void {
  const environment = React.useRef(model.environment);
  const tickedByForm = React.useRef<readonly string[]>();
  React.useEffect(() => {
    if (model.environment !== environment.current) {
      environment.current = model.environment;
      tickedByForm.current = model.outputFormats;
    }
    // The form may put its own list back, with what else it sets at its start.
    if (model.outputFormats !== undefined && model.outputFormats === tickedByForm.current) {
      const few = model.outputFormats.filter(format => FORMATS_AT_FIRST.includes(format));
      if (few.length > 0) {
        handleModelChange({ ...model, outputFormats: few });
      }
    }
  });
}

function unchosen({ model, trans }: IContext): string {
  if (model.isLoaded) {
    return trans.__('The default queue');
  }
  const isMissing = model.interruption !== null || problemsIn(model).length > 0;
  return isMissing ? trans.__('The queues could not be read') : trans.__('Reading the queues…');
}

interface ITagsProps {
  readonly tags: readonly string[];
  readonly placeholder: string;
  readonly onChange: (tags: readonly string[]) => void;
}

/** Tags as one line of text; the text is kept as typed, so that a comma can be written. */
function Tags({ tags, placeholder, onChange }: ITagsProps): React.JSX.Element {
  const [text, setText] = React.useState(tags.join(', '));
  return (
    <input
      className="jp-mod-styled"
      name="tags"
      value={text}
      placeholder={placeholder}
      onChange={event => {
        setText(event.target.value);
        const words = event.target.value.split(',').map(word => word.trim());
        onChange(words.filter(word => word !== ''));
      }}
    />
  );
}

/** Return what to say; nothing where the job is another backend's and no run of ours. */
function problemOf(error: unknown): string | null {
  if (error instanceof RequestError && error.status === 404) {
    return null;
  }
  return error instanceof Error ? error.message : String(error);
}

/** The run as it is now, and what was asked for. */
function Details({ model, context }: InContext): React.JSX.Element {
  const { trans } = context;
  const jobId = model.jobId;
  const job = jobId === undefined ? undefined : context.model.job(jobId);
  const [problem, setProblem] = React.useState<string | null>(null);
  React.useEffect(() => {
    if (jobId !== undefined && context.model.job(jobId) === undefined) {
      context.model.fetchJob(jobId).catch((error: unknown) => setProblem(problemOf(error)));
    }
  }, [context.model, jobId]);
  const asked: (readonly [string, unknown])[] = [
    ...(model.computeType ? [[trans.__('compute type'), model.computeType] as const] : []),
    ...Object.entries(model.runtimeEnvironmentParameters ?? {}),
    ...(model.tags?.length ? [[trans.__('tags'), model.tags.join(', ')] as const] : []),
    ...(model.idempotencyToken
      ? [[trans.__('idempotency token'), model.idempotencyToken] as const]
      : [])
  ];
  return (
    <>
      {job !== undefined && (
        <JobStatus
          job={job}
          trans={trans}
          onStop={() =>
            void context.commands.execute(CommandIDs.stopJobs, { job_ids: [job.job_id] })
          }
        />
      )}
      {job === undefined && problem !== null && <p className="jp-Kueue-empty">{problem}</p>}
      {asked.length === 0 ? (
        <p className="jp-Kueue-empty">{trans.__('Nothing but what is the default here.')}</p>
      ) : (
        <dl className="jp-Kueue-asked">
          {asked.map(([name, value]) => (
            <React.Fragment key={name}>
              <dt>{name}</dt>
              <dd>{String(value)}</dd>
            </React.Fragment>
          ))}
        </dl>
      )}
    </>
  );
}
