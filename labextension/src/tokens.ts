/** What this extension offers to others. */
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { Connection, IInterruption } from './models/connection';
import type { IRunGroups } from './models/run-store';
import type { IRunRow, ILocalQueue, IProblem, IProgress, IResources, RequestChanges } from './wire';

/** How far the runs have come that go on. */
export interface IRunsProgress {
  /** A signal emitted when it was read anew. */
  readonly changed: ISignal<this, void>;
  /** Return what is known of a run; nothing before its first cell. */
  of(runId: string): IProgress | undefined;
}

/** The runs and queues of this server, kept true while somebody observes them. */
export interface IRunsModel {
  /** A signal emitted when anything that is shown has changed. */
  readonly changed: ISignal<this, void>;
  readonly progress: IRunsProgress;
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
  /** What moving a run's files takes of a queue beside the run; null where that is not known. */
  readonly staging: IResources | null;
  /** The runs by what they do: waiting ones as they will start, the others newest first. */
  readonly groups: IRunGroups;
  /** How many finished runs there are beyond those that have been read. */
  readonly olderCount: number;
  run(runId: string): IRunRow | undefined;
  /** Return the name of the schedule that runs belong to; null where it is not known. */
  scheduleName(scheduleId: string): string | null;
  /** Keep this true until the returned object is disposed of. */
  observe(): IDisposable;
  /** Read everything anew; what cannot be read is told by `interruption`. */
  refresh(): Promise<void>;
  /** Read a run that need not be among those shown, and show it from now on. */
  fetchRun(runId: string): Promise<void>;
  /** Read the next page of finished runs. */
  listOlderRuns(): Promise<void>;
  /** Stop runs in whatever state they are; what becomes of them comes with the changes. */
  stopRuns(runIds: readonly string[]): Promise<void>;
  /** Queue a run of the same files once more and return it, with changes to what was asked for. */
  rerunRun(runId: string, changes?: RequestChanges): Promise<IRunRow>;
  /** Delete runs; returns why some could not be. */
  deleteRuns(
    runIds: readonly string[],
    onProgress?: (done: number) => void
  ): Promise<readonly Error[]>;
}

export const IRunsModel = new Token<IRunsModel>(
  'jupyter-kueue:IRunsModel',
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
  export const rerunRuns = 'jupyter-kueue:rerun-runs';
  export const editAndRerunRun = 'jupyter-kueue:edit-and-rerun-run';
  export const stopRuns = 'jupyter-kueue:stop-runs';
  export const deleteRuns = 'jupyter-kueue:delete-runs';
  export const listOlderRuns = 'jupyter-kueue:list-older-runs';
  export const editSchedule = 'jupyter-kueue:edit-schedule';
  export const dismissStockBackend = 'jupyter-kueue:dismiss-stock-backend';
}
