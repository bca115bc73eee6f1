/** Replaces a waiting run with a changed one. */
import type { ServerConnection } from '@jupyterlab/services';

import * as api from '../api';
import type { IRunsModel } from '../tokens';
import type { IRunRow, RequestChanges } from '../wire';
import { FINISHED_STATES } from '../wire';

export interface IReplacement {
  readonly run: IRunRow;
  /** Whether the other run has started meanwhile; its work is kept. */
  readonly hasStarted: boolean;
  /** Why the other run was not stopped; null if that did not fail. */
  readonly failure: Error | null;
}

/** Submit a changed run, and only then stop the waiting one, so that one of them always exists. */
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
