/** The known runs, grouped and sorted for display. */
import type { IRunRow, IPosition } from '../wire';
import { UNFINISHED_STATES } from '../wire';

export interface IRunGroups {
  readonly waiting: readonly IRunRow[];
  readonly running: readonly IRunRow[];
  readonly finished: readonly IRunRow[];
}

export const NO_RUNS: IRunGroups = { waiting: [], running: [], finished: [] };

export class RunStore {
  /** Waiting runs in the order in which they start, the others newest first. */
  get groups(): IRunGroups {
    this._groups ??= groupsOf(this._runs.values());
    return this._groups;
  }

  get(runId: string): IRunRow | undefined {
    return this._runs.get(runId);
  }

  /** Store a run; a change has no position, so the last known one stays. */
  put(run: IRunRow): void {
    const position = run.position ?? this._runs.get(run.run_id)?.position ?? null;
    this._runs.set(run.run_id, run.state === 'queued' ? { ...run, position } : run);
    this._groups = null;
  }

  delete(runId: string): void {
    this._runs.delete(runId);
    this._groups = null;
  }

  /** Store only a waiting run's position; its other fields may be newer. */
  place({ run_id, position }: IRunRow): void {
    const known = this._runs.get(run_id);
    if (known?.state === 'queued' && !isSame(known.position, position)) {
      this._runs.set(run_id, { ...known, position });
      this._groups = null;
    }
  }

  /** Replace all runs by these. */
  replace(runs: readonly IRunRow[]): void {
    this._runs = new Map(runs.map(run => [run.run_id, run]));
    this._groups = null;
  }

  private _runs = new Map<string, IRunRow>();
  private _groups: IRunGroups | null = null;
}

/**
 * Return how many runs start before each waiting one, by id; null if unknown. The server counts all
 * runs ahead of a run, including those that cannot start.
 */
export function runsAhead(waiting: readonly IRunRow[]): ReadonlyMap<string, number | null> {
  const blocked = waiting.filter(isBlocked);
  const ahead = (run: IRunRow): number | null => {
    const before = run.position?.local_queue ?? null;
    if (before === null || isBlocked(run)) {
      return null;
    }
    const passed = blocked.filter(
      other => other.local_queue === run.local_queue && placeOf(other) < before
    );
    return before - passed.length;
  };
  return new Map(waiting.map(run => [run.run_id, ahead(run)]));
}

function groupsOf(runs: Iterable<IRunRow>): IRunGroups {
  const waiting: IRunRow[] = [];
  const running: IRunRow[] = [];
  const finished: IRunRow[] = [];
  for (const run of runs) {
    if (run.state === 'queued') {
      waiting.push(run);
    } else if (UNFINISHED_STATES.includes(run.state)) {
      running.push(run);
    } else {
      finished.push(run);
    }
  }
  const byId = (a: IRunRow, b: IRunRow) => compare(a.run_id, b.run_id);
  waiting.sort(
    (a, b) =>
      Number(isBlocked(a)) - Number(isBlocked(b)) ||
      placeOf(a) - placeOf(b) ||
      compare(a.created_at, b.created_at) ||
      byId(a, b)
  );
  running.sort((a, b) => compare(b.created_at, a.created_at) || byId(a, b));
  finished.sort((a, b) => compare(ended(b), ended(a)) || byId(a, b));
  return { waiting, running, finished };
}

function isBlocked(run: IRunRow): boolean {
  return run.reason === 'blocked';
}

/** Return a waiting run's place in its queue; the last one if it is unknown. */
function placeOf(run: IRunRow): number {
  return run.position?.local_queue ?? Number.MAX_SAFE_INTEGER;
}

function isSame(a: IPosition | null, b: IPosition | null): boolean {
  return a?.local_queue === b?.local_queue;
}

function ended(run: IRunRow): string {
  return run.finished_at ?? run.created_at;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
