/** A job in jupyter-scheduler's detail view: its run as it is now, and what was asked for. */
import type { Scheduler } from '@jupyterlab/scheduler';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import React from 'react';

import { Asked } from '../components/asked';
import { JobStatus } from '../components/job-status';
import { runsAhead } from '../models/job-store';
import { reasonOf } from '../models/words';
import { RequestError } from '../request';
import { CommandIDs } from '../tokens';
import type { IJobRow, JobState } from '../wire';
import type { OptionsProps } from './advanced-options';
import { run } from './reporting';

export function JobDetails({ model, context }: OptionsProps): React.JSX.Element {
  const { trans, commands, model: jobs } = context;
  const { jobId } = model;
  const job = jobId === undefined ? undefined : jobs.job(jobId);
  const [problem, setProblem] = React.useState<string | null>(null);
  const root = useReloadedView(job, model.status);
  React.useEffect(() => {
    if (jobId !== undefined && jobs.job(jobId) === undefined) {
      jobs.fetchJob(jobId).catch((error: unknown) => setProblem(problemOf(error, trans)));
    }
  }, [jobs, jobId, trans]);
  return (
    <div ref={root} className="jp-Kueue-options">
      {job !== undefined && (
        <UseSignal signal={jobs.progress.changed}>
          {() => (
            <JobStatus
              job={job}
              ahead={runsAhead(jobs.groups.waiting).get(job.job_id) ?? null}
              progress={jobs.progress.of(job.job_id)}
              trans={trans}
              onStop={() => run(commands, CommandIDs.stopJobs, { job_ids: [job.job_id] })}
            />
          )}
        </UseSignal>
      )}
      {job === undefined && problem !== null && <p className="jp-Kueue-empty">{problem}</p>}
      <Asked asked={askedFor(model, trans)} trans={trans} />
    </div>
  );
}

/** Return what a job asked for, each with its name. */
export function askedFor(
  model: Scheduler.IModel,
  trans: TranslationBundle
): readonly (readonly [string, string])[] {
  const names: Readonly<Record<string, string>> = {
    queue: trans.__('queue'),
    cpu: trans.__('CPU'),
    memory: trans.__('memory'),
    gpus: trans.__('GPUs'),
    priority: trans.__('priority'),
    timeout: trans.__('time limit in seconds'),
    max_retries: trans.__('retries')
  };
  return [
    ...(model.computeType ? [[trans.__('compute type'), model.computeType] as const] : []),
    ...Object.entries(model.runtimeEnvironmentParameters ?? {}).map(
      ([name, value]) => [names[name] ?? name, String(value)] as const
    ),
    ...(model.tags?.length ? [[trans.__('tags'), model.tags.join(', ')] as const] : []),
    ...(model.idempotencyToken
      ? [[trans.__('idempotency token'), model.idempotencyToken] as const]
      : [])
  ];
}

const UPSTREAM_STATUS: Readonly<Record<JobState, string>> = {
  queued: 'QUEUED',
  starting: 'IN_PROGRESS',
  running: 'IN_PROGRESS',
  stopping: 'STOPPING',
  stopped: 'STOPPED',
  succeeded: 'COMPLETED',
  failed: 'FAILED'
};

/** Has the view around this one read its job again when its status is not the run's any more. */
function useReloadedView(
  job: IJobRow | undefined,
  shown: string | undefined
): React.RefObject<HTMLDivElement> {
  const root = React.useRef<HTMLDivElement>(null);
  const status = job === undefined ? undefined : UPSTREAM_STATUS[job.state];
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

/** Return what to say; nothing where the job is another backend's and no run of ours. */
function problemOf(error: unknown, trans: TranslationBundle): string | null {
  return error instanceof RequestError && error.reason === 'not-found'
    ? null
    : reasonOf(error, trans);
}
