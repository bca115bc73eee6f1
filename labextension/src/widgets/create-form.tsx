/** The queue, the size and what else jupyter-scheduler's create form has no field for. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import * as api from '../api';
import { TextField } from '../components/field';
import { AmountFields, QueueSelect, unchosenQueue } from '../components/queue-options';
import { RunOptionFields } from '../components/run-options';
import type { AmountField } from '../models/amounts';
import { amountError, asQuantity, shownAmount, sizeOf } from '../models/amounts';
import { refusalOf } from '../models/refusal';
import { asSeconds, shownTime, timeError } from '../models/time-limit';
import type { FieldErrors } from '../request';
import type { IProfile } from '../wire';
import type { IOptionsContext, OptionsProps } from './advanced-options';

export function CreateForm(props: OptionsProps): React.JSX.Element {
  const { model, handleModelChange, errors, handleErrorsChange, context } = props;
  const { trans } = context;
  useFewFormats(props);
  const [refused, forget] = useRefusal(props);
  const root = useSeen(refused, model.createError);
  const profiles = useProfiles(context);
  const profile = profiles.find(({ name, default: isDefault }) =>
    model.computeType === undefined ? isDefault : name === model.computeType
  );
  const parameters = model.runtimeEnvironmentParameters ?? {};
  // As they are typed; the run has them as the server takes them.
  const [typed, setTyped] = React.useState<Partial<Record<AmountField | 'timeout', string>>>({});
  const text = (field: AmountField) =>
    typed[field] ?? shownAmount(field, String(parameters[field] ?? ''));
  const set = (field: string, value: string) => {
    const others = Object.fromEntries(
      Object.entries(parameters).filter(([name]) => name !== field)
    );
    forget(field);
    handleModelChange({
      ...model,
      runtimeEnvironmentParameters: value === '' ? others : { ...others, [field]: value }
    });
  };
  return (
    <div ref={root} className="jp-Kueue-options">
      <QueueSelect
        queues={context.model.queues ?? []}
        defaultQueue={context.model.defaultQueue}
        unchosen={unchosen(context)}
        value={String(parameters.queue ?? '')}
        error={refused.queue ?? ''}
        onChange={queue => set('queue', queue)}
        trans={trans}
      />
      {profile !== undefined && (
        <p className="jp-Kueue-hint" data-profile={profile.name}>
          {trans.__('Compute type %1: %2', profile.display_name, sizeOf(profile, trans))}
        </p>
      )}
      <AmountFields
        choice={{ gpus: text('gpus'), cpu: text('cpu'), memory: text('memory') }}
        errors={refused}
        profile={profile ?? null}
        onChange={(field, value) => {
          setTyped({ ...typed, [field]: value });
          set(field, asQuantity(field, value) ?? value);
          handleErrorsChange({ ...errors, [field]: amountError(field, value, trans) });
        }}
        trans={trans}
      />
      <RunOptionFields
        options={{
          timeout: typed.timeout ?? shownTime(Number(parameters.timeout ?? 0)),
          kernel: String(parameters.kernel ?? '')
        }}
        errors={refused}
        onChange={(field, value) => {
          if (field === 'timeout') {
            setTyped({ ...typed, timeout: value });
            set('timeout', String(asSeconds(value) ?? value));
            handleErrorsChange({ ...errors, timeout: timeError(value, trans) });
          } else {
            set(field, value.trim());
          }
        }}
        trans={trans}
      />
      <Tags
        tags={model.tags ?? []}
        error={refused.tags ?? ''}
        onChange={tags => {
          forget('tags');
          handleModelChange({ ...model, tags });
        }}
        trans={trans}
      />
      {model.createType === 'Job' && (
        <TextField
          name="idempotencyToken"
          label={trans.__('Idempotency token')}
          value={model.idempotencyToken ?? ''}
          error={refused.idempotency_token ?? ''}
          onChange={idempotencyToken => {
            forget('idempotency_token');
            handleModelChange({ ...model, idempotencyToken });
          }}
        />
      )}
    </div>
  );
}

/**
 * What the server refused, by field, until the user changes it. What the form itself shows of the
 * answer is put into the form's words.
 */
function useRefusal(props: OptionsProps): [FieldErrors, (field: string) => void] {
  const { model, handleModelChange, context } = props;
  const { createError } = model;
  const [refused, setRefused] = React.useState<FieldErrors>({});
  const inWords = React.useRef<string>();
  React.useEffect(() => {
    if (createError !== undefined && createError === inWords.current) {
      return;
    }
    const refusal = refusalOf(createError ?? '', context.trans);
    inWords.current = refusal?.message;
    setRefused(refusal?.fields ?? {});
    if (refusal !== null) {
      handleModelChange({ ...model, createError: refusal.message });
    }
  }, [createError]);
  const forget = (field: string) =>
    setRefused(Object.fromEntries(Object.entries(refused).filter(([name]) => name !== field)));
  return [refused, forget];
}

/**
 * Brings what was refused into view: the first bad one of our fields, for which the part of the form
 * that hides them is opened, else what the form says above all fields.
 */
function useSeen(
  refused: FieldErrors,
  createError: string | undefined
): React.RefObject<HTMLDivElement> {
  const root = React.useRef<HTMLDivElement>(null);
  const fields = Object.keys(refused).join();
  React.useEffect(() => {
    if (createError === undefined) {
      return;
    }
    if (fields === '') {
      root.current
        ?.closest('form')
        ?.querySelector('.MuiAlert-root')
        ?.scrollIntoView({ block: 'center' });
      return;
    }
    root.current
      ?.closest('.MuiAccordion-root')
      ?.querySelector<HTMLElement>('.MuiAccordionSummary-root[aria-expanded="false"]')
      ?.click();
    root.current
      ?.querySelector('.jp-Kueue-error:not(:empty)')
      ?.closest('.jp-Kueue-field')
      ?.scrollIntoView({ block: 'center' });
  }, [fields, createError]);
  return root;
}

function useProfiles({ serverSettings }: IOptionsContext): readonly IProfile[] {
  const [profiles, setProfiles] = React.useState<readonly IProfile[]>([]);
  React.useEffect(() => {
    let isWanted = true;
    api.listProfiles(serverSettings).then(
      found => isWanted && setProfiles(found),
      // What the cluster lacks is told above the fields; without sizes they work as well.
      (error: unknown) => console.debug('The sizes could not be read.', error)
    );
    return () => {
      isWanted = false;
    };
  }, [serverSettings]);
  return profiles;
}

/** What a new run begins with, of the output formats that its environment has. */
const FORMATS_AT_FIRST: readonly string[] = ['ipynb', 'html'];

/**
 * Ticks a few output formats where the form has ticked all that there are: at its start, and
 * whenever another environment is chosen.
 */
function useFewFormats({ model, handleModelChange }: OptionsProps): void {
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

function unchosen({ model, trans }: IOptionsContext): string {
  if (model.queues !== null) {
    return unchosenQueue(model.defaultQueue, trans);
  }
  return model.interruption === null
    ? trans.__('Reading the queues…')
    : trans.__('The queues could not be read');
}

interface ITagsProps {
  readonly tags: readonly string[];
  readonly error: string;
  readonly onChange: (tags: readonly string[]) => void;
  readonly trans: TranslationBundle;
}

/** Tags as one line of text; the text is kept as typed, so that a comma can be written. */
function Tags({ tags, error, onChange, trans }: ITagsProps): React.JSX.Element {
  const [text, setText] = React.useState(tags.join(', '));
  return (
    <TextField
      name="tags"
      label={trans.__('Tags')}
      value={text}
      placeholder={trans.__('comma-separated')}
      error={error}
      onChange={typed => {
        setText(typed);
        const words = typed.split(',').map(word => word.trim());
        onChange(words.filter(word => word !== ''));
      }}
    />
  );
}
