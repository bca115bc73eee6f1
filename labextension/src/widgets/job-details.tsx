/** A job in jupyter-scheduler's detail view: its run as it is now, and what was asked for. */
import type { Scheduler } from '@jupyterlab/scheduler';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import React from 'react';

import { Asked } from '../components/asked';
import { RunStatus } from '../components/run-status';
import type { AmountField } from '../models/amounts';
import { AMOUNTS, shownAmount } from '../models/amounts';
import { staleSince } from '../models/connection';
import { runsAhead } from '../models/run-store';
import { shownTime } from '../models/time-limit';
import { reasonOf } from '../models/words';
import { RequestError } from '../request';
import { CommandIDs } from '../tokens';
import type { IRunRow, RunState } from '../wire';
import type { OptionsProps } from './advanced-options';
import { execute } from './reporting';

export function JobDetails({ model, context }: OptionsProps): React.JSX.Element {
  const { trans, commands, model: runs } = context;
  const { jobId: runId } = model;
  const run = runId === undefined ? undefined : runs.run(runId);
  const [problem, setProblem] = React.useState<string | null>(null);
  const root = useReloadedView(run, model.status);
  React.useEffect(() => {
    if (runId !== undefined && runs.run(runId) === undefined) {
      runs.fetchRun(runId).catch((error: unknown) => setProblem(problemOf(error, trans)));
    }
  }, [runs, runId, trans]);
  return (
    <div ref={root} className="jp-Kueue-options">
      {run !== undefined && (
        <UseSignal signal={runs.progress.changed}>
          {() => (
            <RunStatus
              run={run}
              ahead={runsAhead(runs.groups.waiting).get(run.run_id) ?? null}
              progress={runs.progress.of(run.run_id)}
              staleSince={staleSince(runs)}
              trans={trans}
              onStop={() => execute(commands, CommandIDs.stopRuns, { run_ids: [run.run_id] })}
            />
          )}
        </UseSignal>
      )}
      {run === undefined && problem !== null && <p className="jp-Kueue-empty">{problem}</p>}
      <Asked asked={askedFor(model, trans)} trans={trans} />
    </div>
  );
}

/** Return what a run asked for, each with its name. */
export function askedFor(
  model: Scheduler.IModel,
  trans: TranslationBundle
): readonly (readonly [string, string])[] {
  const names: Readonly<Record<string, string>> = {
    queue: trans.__('Queue'),
    cpu: trans.__('CPU'),
    memory: trans.__('Memory'),
    gpus: trans.__('GPUs'),
    priority: trans.__('Priority'),
    kernel: trans.__('Kernel'),
    timeout: trans.__('Time limit'),
    max_retries: trans.__('Retries')
  };
  return [
    ...(model.computeType ? [[trans.__('Compute type'), model.computeType] as const] : []),
    ...Object.entries(model.runtimeEnvironmentParameters ?? {}).map(
      ([name, value]) => [names[name] ?? name, shownOption(name, String(value))] as const
    ),
    ...(model.tags?.length ? [[trans.__('Tags'), model.tags.join(', ')] as const] : []),
    ...(model.idempotencyToken
      ? [[trans.__('Idempotency token'), model.idempotencyToken] as const]
      : [])
  ];
}

/** Return an option as its field in the forms shows it. */
function shownOption(name: string, value: string): string {
  if (name === 'timeout') {
    return shownTime(Number(value));
  }
  return AMOUNTS.includes(name as AmountField) ? shownAmount(name as AmountField, value) : value;
}

const UPSTREAM_STATUS: Readonly<Record<RunState, string>> = {
  queued: 'QUEUED',
  starting: 'IN_PROGRESS',
  running: 'IN_PROGRESS',
  stopping: 'STOPPING',
  stopped: 'STOPPED',
  succeeded: 'COMPLETED',
  failed: 'FAILED'
};

/** Has the view around this one read its run again when its status is not the run's any more. */
function useReloadedView(
  run: IRunRow | undefined,
  shown: string | undefined
): React.RefObject<HTMLDivElement> {
  const root = React.useRef<HTMLDivElement>(null);
  const status = run === undefined ? undefined : UPSTREAM_STATUS[run.state];
  React.useEffect(() => {
    if (status !== undefined && shown !== undefined && status !== shown) {
      // Its first button, which jupyter-scheduler gives no other handle to.
      root.current
        ?.closest('.jp-notebook-jobs-panel')
        ?.querySelector<HTMLElement>('.MuiButton-contained')
        ?.click();
    }
  }, [status, shown]);
  return root;
}

/** Return what to say; nothing where the run is another backend's and no run of ours. */
function problemOf(error: unknown, trans: TranslationBundle): string | null {
  return error instanceof RequestError && error.reason === 'not-found'
    ? null
    : reasonOf(error, trans);
}
