/** What this extension offers to others. */
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { Connection, IInterruption } from './models/connection';
import type { IJobGroups } from './models/job-store';
import type { IJobRow, ILocalQueue, IProblem, IProgress, RequestChanges } from './wire';

/** How far the runs have come that go on. */
export interface IJobsProgress {
  /** A signal emitted when it was read anew. */
  readonly changed: ISignal<this, void>;
  /** Return what is known of a run; nothing before its first cell. */
  of(jobId: string): IProgress | undefined;
}

/** The runs and queues of this server, kept true while somebody observes them. */
export interface IJobsModel {
  /** A signal emitted when anything that is shown has changed. */
  readonly changed: ISignal<this, void>;
  readonly progress: IJobsProgress;
  /** How the stream of changes stands. */
  readonly connection: Connection;
  /** Why what is shown may be out of date; null while all is well. */
  readonly interruption: IInterruption | null;
  /** What is missing or wrong, each with its fix. */
  readonly problems: readonly IProblem[];
  /** Whether runs have been read once. */
  readonly isLoaded: boolean;
  /** The queues; null while they were never read. */
  readonly queues: readonly ILocalQueue[] | null;
  /** The queue that a run goes to which names none; null where that is not known. */
  readonly defaultQueue: string | null;
  /** The runs by what they do: waiting ones as they will start, the others newest first. */
  readonly groups: IJobGroups;
  /** How many finished runs there are beyond those that have been read. */
  readonly olderCount: number;
  job(jobId: string): IJobRow | undefined;
  /** Keep this true until the returned object is disposed of. */
  observe(): IDisposable;
  /** Read everything anew; what cannot be read is told by `interruption`. */
  refresh(): Promise<void>;
  /** Read a run that need not be among those shown, and show it from now on. */
  fetchJob(jobId: string): Promise<void>;
  /** Read the next page of finished runs. */
  listOlderJobs(): Promise<void>;
  /** Stop runs in whatever state they are; what becomes of them comes with the changes. */
  stopJobs(jobIds: readonly string[]): Promise<void>;
  /** Queue a run of the same files once more and return it, with changes to what was asked for. */
  rerunJob(jobId: string, changes?: RequestChanges): Promise<IJobRow>;
  /** Delete runs; returns why some could not be. */
  deleteJobs(
    jobIds: readonly string[],
    onProgress?: (done: number) => void
  ): Promise<readonly Error[]>;
}

export const IJobsModel = new Token<IJobsModel>(
  'jupyter-kueue:IJobsModel',
  'My runs in Kueue and the queues, as the panel shows them.'
);

/** Names of the commands. */
export namespace CommandIDs {
  export const showPanel = 'jupyter-kueue:show-panel';
  export const refresh = 'jupyter-kueue:refresh';
  export const submit = 'jupyter-kueue:submit';
  export const submitAgain = 'jupyter-kueue:submit-again';
  export const openOutput = 'jupyter-kueue:open-output';
  export const openLog = 'jupyter-kueue:open-log';
  export const openFiles = 'jupyter-kueue:open-files';
  export const openFile = 'jupyter-kueue:open-file';
  export const copyToMyFiles = 'jupyter-kueue:copy-to-my-files';
  export const downloadOutput = 'jupyter-kueue:download-output';
  export const rerunJobs = 'jupyter-kueue:rerun-jobs';
  export const editAndRerunJob = 'jupyter-kueue:edit-and-rerun-job';
  export const stopJobs = 'jupyter-kueue:stop-jobs';
  export const deleteJobs = 'jupyter-kueue:delete-jobs';
  export const listOlderJobs = 'jupyter-kueue:list-older-jobs';
  export const editSchedule = 'jupyter-kueue:edit-schedule';
  export const dismissStockBackend = 'jupyter-kueue:dismiss-stock-backend';
}
