/** The runs that are known, in the groups and the order in which they are shown. */
import type { IJobRow, IPosition } from '../wire';
import { UNFINISHED_STATES } from '../wire';

export interface IJobGroups {
  readonly waiting: readonly IJobRow[];
  readonly running: readonly IJobRow[];
  readonly finished: readonly IJobRow[];
}

export const NO_JOBS: IJobGroups = { waiting: [], running: [], finished: [] };

export class JobStore {
  /** Waiting runs in the order in which they start, the others newest first. */
  get groups(): IJobGroups {
    this._groups ??= groupsOf(this._jobs.values());
    return this._groups;
  }

  get(jobId: string): IJobRow | undefined {
    return this._jobs.get(jobId);
  }

  /** Take over a run; a change does not tell its position, which is then the one known so far. */
  put(job: IJobRow): void {
    const position = job.position ?? this._jobs.get(job.job_id)?.position ?? null;
    this._jobs.set(job.job_id, job.state === 'queued' ? { ...job, position } : job);
    this._groups = null;
  }

  delete(jobId: string): void {
    this._jobs.delete(jobId);
    this._groups = null;
  }

  /** Take over a waiting run's position alone: the rest that is known may be newer. */
  place({ job_id, position }: IJobRow): void {
    const known = this._jobs.get(job_id);
    if (known?.state === 'queued' && !isSame(known.position, position)) {
      this._jobs.set(job_id, { ...known, position });
      this._groups = null;
    }
  }

  /** Forget all and take these over. */
  replace(jobs: readonly IJobRow[]): void {
    this._jobs = new Map(jobs.map(job => [job.job_id, job]));
    this._groups = null;
  }

  private _jobs = new Map<string, IJobRow>();
  private _groups: IJobGroups | null = null;
}

/**
 * Return how many runs start before each of the waiting ones, by their ids; null where that is not
 * known. The server counts all that stand before a run, those too that cannot start.
 */
export function runsAhead(waiting: readonly IJobRow[]): ReadonlyMap<string, number | null> {
  const blocked = waiting.filter(isBlocked);
  const ahead = (job: IJobRow): number | null => {
    const before = job.position?.local_queue ?? null;
    if (before === null || isBlocked(job)) {
      return null;
    }
    const passed = blocked.filter(
      other => other.local_queue === job.local_queue && placeOf(other) < before
    );
    return before - passed.length;
  };
  return new Map(waiting.map(job => [job.job_id, ahead(job)]));
}

function groupsOf(jobs: Iterable<IJobRow>): IJobGroups {
  const waiting: IJobRow[] = [];
  const running: IJobRow[] = [];
  const finished: IJobRow[] = [];
  for (const job of jobs) {
    if (job.state === 'queued') {
      waiting.push(job);
    } else if (UNFINISHED_STATES.includes(job.state)) {
      running.push(job);
    } else {
      finished.push(job);
    }
  }
  const byId = (a: IJobRow, b: IJobRow) => compare(a.job_id, b.job_id);
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

function isBlocked(job: IJobRow): boolean {
  return job.reason === 'blocked';
}

/** Return a waiting run's place in its queue; the last one, where that is not known. */
function placeOf(job: IJobRow): number {
  return job.position?.local_queue ?? Number.MAX_SAFE_INTEGER;
}

function isSame(a: IPosition | null, b: IPosition | null): boolean {
  return a?.local_queue === b?.local_queue;
}

function ended(job: IJobRow): string {
  return job.finished_at ?? job.created_at;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
