/** Runs as the server sends them. */
import type { IRunRow, IPosition } from '../src/wire';

export function row(runId: string, fields: Partial<IRunRow> = {}): IRunRow {
  return {
    run_id: runId,
    name: runId,
    owner: 'tess',
    state: 'queued',
    reason: 'waiting',
    message: null,
    sentence: null,
    detail: null,
    local_queue: 'team-a',
    priority_class: null,
    position: null,
    wait: null,
    created_at: '2026-11-26T10:00:00Z',
    admitted_at: null,
    started_at: null,
    attempt_started_at: null,
    finished_at: null,
    updated_at: null,
    resources: { cpu: '1', memory: '2Gi', gpus: 0 },
    image: 'notebook',
    schedule_id: null,
    rerun_of: null,
    tags: [],
    request: { input_path: 'reports/weekly.ipynb' },
    left_behind: null,
    warnings: [],
    warning_sentences: [],
    ...fields
  };
}

export function at(place: number): IPosition {
  return { local_queue: place, cluster_queue: null, approximate: false };
}
