/**
 * What the panel and the dialog show: my runs, the queues, what is wrong.
 *
 * It is kept true by the stream of changes, and only while somebody observes it: a stream holds
 * one of the few connections that a browser opens to a server, for all its tabs together. Nothing
 * is asked for on a clock: only what failed is tried again, with growing pauses.
 */
import type { ServerConnection } from '@jupyterlab/services';
import { PromiseDelegate } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import { RequestError } from '../request';
import type { Change, IJobRow, ILocalQueue, IPosition, IProblem, JobState } from '../wire';
import { FINISHED_STATES, UNFINISHED_STATES } from '../wire';

/** As many finished runs as are read at first. */
const FINISHED_AT_FIRST = 100;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;
/** The server gives a sign of life every 15 s: three missed ones, and the connection is dead. */
const SILENCE_MS = 45_000;
/** Queues change all the time where many share them: they are read once a second at most. */
const QUEUES_PAUSE_MS = 1000;
/** The server keeps the quotas that it has read for three seconds. */
const QUOTA_SETTLES_MS = 4000;
/** Changes that come together are shown together. */
const GATHER_MS = 30;

type JobChange = Extract<Change, { type: 'job' | 'job-deleted' }>;

/** Why what is shown may be out of date. */
export interface IInterruption {
  readonly error: RequestError;
  readonly since: Date;
}

export interface IJobGroups {
  readonly waiting: readonly IJobRow[];
  readonly running: readonly IJobRow[];
  readonly finished: readonly IJobRow[];
}

export class JobsModel {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
  }

  /** Anything that is shown has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether runs and queues have been read once. */
  get isLoaded(): boolean {
    return this._isLoaded;
  }

  get queues(): readonly ILocalQueue[] {
    return this._queues;
  }

  /** What is missing or wrong, each with its fix. */
  get problems(): readonly IProblem[] {
    return this._problems;
  }

  /** Why what is shown may be out of date; null while all is well. */
  get interruption(): IInterruption | null {
    return this._interruption;
  }

  /** How many finished runs there are beyond those that have been read. */
  get olderCount(): number {
    return this._olderCount;
  }

  /** The runs by what they do: waiting ones oldest first, the others newest first. */
  get groups(): IJobGroups {
    this._groups ??= groupsOf(this._jobs.values());
    return this._groups;
  }

  job(jobId: string): IJobRow | undefined {
    return this._jobs.get(jobId);
  }

  /** Keep this true until the returned object is disposed of. */
  observe(): IDisposable {
    this._observers += 1;
    if (this._observers === 1) {
      document.addEventListener('visibilitychange', this._onVisibility);
      this._listenOrPause();
    }
    return new DisposableDelegate(() => {
      this._observers -= 1;
      if (this._observers === 0) {
        document.removeEventListener('visibilitychange', this._onVisibility);
        this._listenOrPause();
      }
    });
  }

  /** Read everything anew. */
  async refresh(): Promise<void> {
    this._pauses.forEach(end => end());
    await this._read();
  }

  /** Read a run that need not be among those shown, and show it from now on. */
  async fetchJob(jobId: string): Promise<void> {
    const job = await api.getJob(this._settings, jobId);
    if (!this._jobs.has(jobId)) {
      this._put(job);
    }
  }

  /** Read the next page of finished runs. */
  async listOlderJobs(): Promise<void> {
    const page = await this._listFinished(api.MOST_PER_PAGE, this._olderCursor);
    page.items.forEach(job => this._jobs.set(job.job_id, job));
    this._olderCursor = page.next_cursor;
    this._olderCount = Math.max(0, this._olderCount - page.items.length);
    this._touch();
  }

  /** Stop runs in whatever state they are; what becomes of them comes with the changes. */
  async stopJobs(jobIds: readonly string[]): Promise<void> {
    await Promise.all(jobIds.map(jobId => api.stopJob(this._settings, jobId)));
  }

  /** Delete runs; returns why some could not be, as sentences. */
  async deleteJobs(jobIds: readonly string[]): Promise<readonly string[]> {
    const failures: string[] = [];
    for (let start = 0; start < jobIds.length; start += api.MOST_PER_PAGE) {
      const some = jobIds.slice(start, start + api.MOST_PER_PAGE);
      const done = await api.deleteJobs(this._settings, some);
      done.deleted.forEach(jobId => this._jobs.delete(jobId));
      failures.push(...done.failures.map(failure => failure.message));
    }
    this._touch();
    return failures;
  }

  private _listenOrPause(): void {
    const isWanted = this._observers > 0 && !document.hidden;
    if (isWanted && this._stop === null) {
      const stop = new AbortController();
      this._stop = stop;
      void this._listen(stop.signal);
    } else if (!isWanted && this._stop !== null) {
      this._stop.abort();
      this._stop = null;
    }
  }

  private async _listen(stop: AbortSignal): Promise<void> {
    let pause = FIRST_PAUSE_MS / 2;
    do {
      try {
        for await (const change of this._changesWhileAlive(stop)) {
          pause = FIRST_PAUSE_MS / 2;
          await this._take(change, stop);
        }
        this._interrupt(new RequestError(0, 'offline', ''), stop);
      } catch (error) {
        this._interrupt(error, stop);
      }
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    } while (await this._pause(pause, stop));
  }

  /** Yield changes; a connection that has been silent for too long is an error. */
  private async *_changesWhileAlive(stop: AbortSignal): AsyncGenerator<Change | null, void> {
    const silence = new AbortController();
    let timer = window.setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const signal = AbortSignal.any([stop, silence.signal]);
      for await (const change of api.listenToChanges(this._settings, this._cursor, signal)) {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => silence.abort(), SILENCE_MS);
        yield change;
      }
    } finally {
      window.clearTimeout(timer);
    }
  }

  /** Take a change, or a sign of life (null): from the first one on nothing is missed. */
  private async _take(change: Change | null, stop: AbortSignal): Promise<void> {
    if (change !== null) {
      this._apply(change);
    }
    if (this._isStale) {
      await this._readUntilDone(stop);
    } else if (this._interruption !== null && !this._isReadingAgain) {
      this._interruption = null;
      this._touch();
    }
  }

  private _apply(change: Change): void {
    this._cursor = change.cursor;
    switch (change.type) {
      case 'hello':
        break;
      case 'gap':
        this._isStale = true;
        break;
      case 'local-queues':
        this._readQueuesSoon();
        break;
      case 'schedule':
        this._touch();
        break;
      case 'job':
      case 'job-deleted':
        this._applyToJob(change);
        if (this._isReading) {
          this._changesWhileReading.push(change);
        }
        break;
    }
  }

  private _applyToJob(change: JobChange): void {
    if (change.type === 'job') {
      this._put(change.job);
    } else {
      this._jobs.delete(change.job_id);
      this._touch();
    }
  }

  /** Read everything once now, and in the background again until it works. Never raises. */
  private async _readUntilDone(stop: AbortSignal): Promise<void> {
    if (this._isReadingAgain) {
      return;
    }
    await this._read();
    if (this._isStale || this._hasErrors()) {
      void this._readAgain(stop);
    }
  }

  private async _readAgain(stop: AbortSignal): Promise<void> {
    this._isReadingAgain = true;
    let pause = FIRST_PAUSE_MS;
    while ((this._isStale || this._hasErrors()) && (await this._pause(pause, stop))) {
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      await this._read();
    }
    this._isReadingAgain = false;
  }

  private _hasErrors(): boolean {
    return this._problems.some(problem => problem.severity === 'error');
  }

  private async _read(): Promise<void> {
    this._isReading = true;
    this._changesWhileReading.length = 0;
    try {
      const [health, unfinished, finished, queues] = await Promise.all([
        api.getHealth(this._settings),
        this._listUnfinished(UNFINISHED_STATES),
        this._listFinishedAgain(),
        api.listLocalQueues(this._settings)
      ]);
      this._jobs = new Map([...unfinished, ...finished].map(job => [job.job_id, job]));
      // An answer may be older than what the stream told while it was on its way.
      this._changesWhileReading.forEach(change => this._applyToJob(change));
      this._queues = queues;
      this._problems = health.problems;
      this._isLoaded = true;
      this._isStale = false;
      this._interruption = null;
    } catch (error) {
      this._interrupt(error, this._stop?.signal);
      await this._readHealth();
    } finally {
      this._isReading = false;
    }
    this._touch();
  }

  /** What keeps the rest away: health answers even then. */
  private async _readHealth(): Promise<void> {
    try {
      this._problems = (await api.getHealth(this._settings)).problems;
    } catch (error) {
      this._interrupt(error, this._stop?.signal);
    }
  }

  private async _listUnfinished(states: readonly JobState[]): Promise<readonly IJobRow[]> {
    const found: IJobRow[] = [];
    let cursor: string | null = null;
    do {
      const page = await api.listJobs(this._settings, {
        states,
        sort: 'created_at',
        limit: api.MOST_PER_PAGE,
        cursor
      });
      found.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return found;
  }

  /** Read as many finished runs as are shown. */
  private async _listFinishedAgain(): Promise<readonly IJobRow[]> {
    const wanted = Math.max(FINISHED_AT_FIRST, this.groups.finished.length);
    const found: IJobRow[] = [];
    let cursor: string | null = null;
    do {
      const limit = Math.min(wanted - found.length, api.MOST_PER_PAGE);
      const page = await this._listFinished(limit, cursor);
      found.push(...page.items);
      cursor = page.next_cursor;
      this._olderCount = page.total - found.length;
    } while (cursor !== null && found.length < wanted);
    this._olderCursor = cursor;
    return found;
  }

  private async _listFinished(limit: number, cursor: string | null) {
    const states = FINISHED_STATES;
    return await api.listJobs(this._settings, { states, sort: '-finished_at', limit, cursor });
  }

  /**
   * Read how full the queues are and who stands where, once for all that happens meanwhile, and
   * once more when the server's own knowledge of quotas is sure to be newer than the last change.
   */
  private _readQueuesSoon(): void {
    window.clearTimeout(this._settling);
    this._settling = window.setTimeout(() => void this._readQueues(), QUOTA_SETTLES_MS);
    void this._readQueues();
  }

  private async _readQueues(): Promise<void> {
    const stop = this._stop?.signal;
    this._areQueuesStale = true;
    if (this._isReadingQueues || stop === undefined) {
      return;
    }
    this._isReadingQueues = true;
    while (this._areQueuesStale && !stop.aborted) {
      this._areQueuesStale = false;
      try {
        const [queues, waiting] = await Promise.all([
          api.listLocalQueues(this._settings),
          this.groups.waiting.length > 0 ? this._listUnfinished(['queued']) : []
        ]);
        this._queues = queues;
        waiting.forEach(job => this._place(job));
      } catch (error) {
        this._isStale = true;
        this._interrupt(error, stop);
        void this._readUntilDone(stop);
      }
      this._touch();
      await this._pause(QUEUES_PAUSE_MS, stop);
    }
    this._isReadingQueues = false;
  }

  /** Take over a waiting run's position alone: the stream is newer in all else. */
  private _place(job: IJobRow): void {
    const known = this._jobs.get(job.job_id);
    if (known?.state === 'queued' && !isSame(known.position, job.position)) {
      this._jobs.set(job.job_id, { ...known, position: job.position });
    }
  }

  /** Take over a run; a change does not tell its position, which is then the one known so far. */
  private _put(job: IJobRow): void {
    const position = job.position ?? this._jobs.get(job.job_id)?.position ?? null;
    this._jobs.set(job.job_id, job.state === 'queued' ? { ...job, position } : job);
    this._touch();
  }

  private _interrupt(error: unknown, stop: AbortSignal | undefined): void {
    if (stop?.aborted) {
      return;
    }
    if (!(error instanceof RequestError)) {
      error = new RequestError(0, 'offline', error instanceof Error ? error.message : '');
    }
    const since = this._interruption?.since ?? new Date();
    this._interruption = { error: error as RequestError, since };
    this._touch();
  }

  /** Wait, or until the user asks to try again; returns whether anybody still looks. */
  private async _pause(milliseconds: number, stop: AbortSignal): Promise<boolean> {
    const over = new PromiseDelegate<void>();
    const end = () => over.resolve();
    const timer = window.setTimeout(end, milliseconds * (0.75 + Math.random() / 2));
    stop.addEventListener('abort', end);
    if (stop.aborted) {
      end();
    }
    this._pauses.add(end);
    await over.promise;
    this._pauses.delete(end);
    stop.removeEventListener('abort', end);
    window.clearTimeout(timer);
    return !stop.aborted;
  }

  private _touch(): void {
    this._groups = null;
    this._emitting ??= window.setTimeout(() => {
      this._emitting = null;
      this._changed.emit();
    }, GATHER_MS);
  }

  private readonly _onVisibility = () => this._listenOrPause();

  private readonly _settings: ServerConnection.ISettings;
  private readonly _changed = new Signal<this, void>(this);
  private _observers = 0;
  private _stop: AbortController | null = null;
  private readonly _pauses = new Set<() => void>();
  private _emitting: number | null = null;
  private _cursor: string | null = null;
  private _jobs = new Map<string, IJobRow>();
  private _groups: IJobGroups | null = null;
  private _queues: readonly ILocalQueue[] = [];
  private _settling = 0;
  private _areQueuesStale = false;
  private _isReadingQueues = false;
  private _isReadingAgain = false;
  private _problems: readonly IProblem[] = [];
  private _interruption: IInterruption | null = null;
  private _isReading = false;
  private readonly _changesWhileReading: JobChange[] = [];
  private _isLoaded = false;
  private _isStale = true;
  private _olderCursor: string | null = null;
  private _olderCount = 0;
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
  // None of these times changes later, so no row leaves its place within its group.
  waiting.sort((a, b) => compare(a.created_at, b.created_at) || compare(a.job_id, b.job_id));
  running.sort((a, b) => compare(b.created_at, a.created_at) || compare(a.job_id, b.job_id));
  finished.sort((a, b) => compare(ended(b), ended(a)) || compare(a.job_id, b.job_id));
  return { waiting, running, finished };
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
