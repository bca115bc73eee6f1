/** Runs as the server sends them. */
import type { IRunRow, IPosition } from '../src/wire';

export function row(runId: string, fields: Partial<IRunRow> = {}): IRunRow {
  return {
    run_id: runId,
    name: runId,
    state: 'queued',
    reason: 'waiting',
    message: null,
    detail: null,
    local_queue: 'team-a',
    position: null,
    created_at: '2026-11-26T10:00:00Z',
    admitted_at: null,
    started_at: null,
    finished_at: null,
    schedule_id: null,
    tags: [],
    request: { input_path: 'reports/weekly.ipynb' },
    left_behind: null,
    warnings: [],
    ...fields
  };
}

export function at(place: number): IPosition {
  return { local_queue: place, cluster_queue: null, approximate: false };
}
