/** Puts a changed run in the place of one that waits. */
import type { ServerConnection } from '@jupyterlab/services';

import * as api from '../api';
import type { IRunsModel } from '../tokens';
import type { IRunRow, RequestChanges } from '../wire';
import { FINISHED_STATES } from '../wire';

export interface IReplacement {
  readonly run: IRunRow;
  /** Whether the other run began meanwhile: what it has done is not thrown away. */
  readonly hasStarted: boolean;
  /** Why the other run was not stopped; null where that did not fail. */
  readonly failure: Error | null;
}

/** Queue a run with changes, and only then stop the one that waits: there is always one of them. */
export async function replaceWaiting(
  model: IRunsModel,
  settings: ServerConnection.ISettings,
  runId: string,
  changes: RequestChanges
): Promise<IReplacement> {
  const run = await model.rerunRun(runId, changes);
  try {
    const { state } = await api.getRun(settings, runId);
    const isWaiting = state === 'queued';
    if (isWaiting) {
      await model.stopRuns([runId]);
    }
    const hasStarted = !isWaiting && !FINISHED_STATES.includes(state) && state !== 'stopping';
    return { run, hasStarted, failure: null };
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    return { run, hasStarted: false, failure };
  }
}
