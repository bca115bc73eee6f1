/**
 * What the panel and the dialog show: my runs, the queues, what is wrong.
 *
 * Runs are kept true by the stream of changes, and only while somebody observes them: a stream holds
 * one of the few connections that a browser opens to a server, for all its tabs together.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate, DisposableSet } from '@lumino/disposable';
import { Debouncer, Throttler } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { RequestError } from '../request';
import { requestError } from '../request';
import type { IRunsModel } from '../tokens';
import type {
  Change,
  IHealth,
  IRunRow,
  ILocalQueue,
  IProblem,
  IResources,
  RunState,
  RequestChanges
} from '../wire';
import { FINISHED_STATES, UNFINISHED_STATES } from '../wire';
import { ChangeStream } from './change-stream';
import type { Connection, IInterruption, Reading } from './connection';
import { known } from './connection';
import type { IRunGroups } from './run-store';
import { RunStore } from './run-store';
import { ProgressModel } from './progress';
import { Reader } from './reader';
import { ScheduleNames } from './schedule-names';

/** As many finished runs as are read at first. */
const FINISHED_AT_FIRST = 100;
/** Queues change all the time where many share them. */
const QUEUES_PAUSE_MS = 300;
/** A cluster that goes away is no change of any queue: it is noticed by asking. */
const QUEUES_MS = 10_000;
/** The server keeps the quotas that it has read for a second. */
const QUOTA_SETTLES_MS = 1500;
/** What is wrong comes and goes without a change of any run. */
const HEALTH_MS = 60_000;
/** Changes that come together are shown together. */
const GATHER_MS = 30;
/** Runs are deleted in parts, so that it is seen how far that has come. */
const DELETED_AT_ONCE = 20;
const DELETIONS_AT_ONCE = 4;

type RunChange = Extract<Change, { type: 'run' | 'run-deleted' }>;

interface IRunLists {
  readonly unfinished: readonly IRunRow[];
  readonly finished: readonly IRunRow[];
}

export class RunsModel implements IRunsModel, IDisposable {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
    this._stream = new ChangeStream(settings);
    this.progress = new ProgressModel({
      serverSettings: settings,
      running: () => this.groups.running.map(run => run.run_id)
    });
    this._schedules = new ScheduleNames(settings);
    this._schedules.changed.connect(this._touch, this);
    this._parts.add(this._schedules);
    this._parts.add(this._stream);
    this._parts.add(this.progress);
    for (const part of [this._lists, this._queues, this._health, this._emission, this._settling]) {
      this._parts.add(part);
    }
    this._parts.add(this._queuesSoon);
    this._stream.received.connect(this._apply, this);
    this._stream.connectionChanged.connect(this._onConnection, this);
    for (const reader of [this._lists, this._queues, this._health]) {
      reader.changed.connect(this._touch, this);
    }
    this._queues.changed.connect(this._onQueues, this);
  }

  readonly progress: ProgressModel;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get connection(): Connection {
    return this._stream.connection;
  }

  get isLoaded(): boolean {
    return known(this._lists.reading) !== null;
  }

  get queues(): readonly ILocalQueue[] | null {
    return known(this._queues.reading);
  }

  get defaultQueue(): string | null {
    const configured = known(this._health.reading)?.settings.local_queue;
    const names = (this.queues ?? []).filter(queue => queue.active).map(queue => queue.name);
    return configured ?? names.find(name => name === 'default') ?? names[0] ?? null;
  }

  get staging(): IResources | null {
    const settings = known(this._health.reading)?.settings;
    if (settings === undefined) {
      return null;
    }
    const { staging_cpu: cpu, staging_memory: memory } = settings;
    return {
      ...(cpu === undefined ? {} : { cpu }),
      ...(memory === undefined ? {} : { memory })
    };
  }

  get problems(): readonly IProblem[] {
    return known(this._health.reading)?.problems ?? [];
  }

  get interruption(): IInterruption | null {
    const { connection } = this;
    if (connection.kind === 'lost') {
      return connection;
    }
    const failed = [this._lists.reading, this._queues.reading, this._health.reading].find(
      reading => reading.kind === 'failed'
    );
    return failed?.kind === 'failed' ? failed : null;
  }

  get olderCount(): number {
    return this._olderCount;
  }

  get groups(): IRunGroups {
    return this._store.groups;
  }

  get isDisposed(): boolean {
    return this._parts.isDisposed;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    document.removeEventListener('visibilitychange', this._onVisibility);
    this._parts.dispose();
    Signal.clearData(this);
  }

  run(runId: string): IRunRow | undefined {
    return this._store.get(runId);
  }

  scheduleName(scheduleId: string): string | null {
    return this._schedules.of(scheduleId);
  }

  observe(): IDisposable {
    this._observers += 1;
    if (this._observers === 1) {
      document.addEventListener('visibilitychange', this._onVisibility);
      this._openOrClose();
    }
    return new DisposableDelegate(() => {
      this._observers -= 1;
      if (this._observers === 0) {
        document.removeEventListener('visibilitychange', this._onVisibility);
        this._openOrClose();
      }
    });
  }

  async refresh(): Promise<void> {
    this._stream.retry();
    await Promise.all([this._lists.refresh(), this._queues.refresh(), this._health.refresh()]);
  }

  async fetchRun(runId: string): Promise<void> {
    const run = await api.getRun(this._settings, runId);
    if (this._store.get(runId) === undefined) {
      this._store.put(run);
      this._touch();
    }
  }

  async listOlderRuns(): Promise<void> {
    const page = await this._listFinished(api.MOST_PER_PAGE, this._olderCursor);
    page.items.forEach(run => this._store.put(run));
    this._schedules.need(page.items);
    this._olderCursor = page.next_cursor;
    this._olderCount = Math.max(0, this._olderCount - page.items.length);
    this._touch();
  }

  async stopRuns(runIds: readonly string[]): Promise<void> {
    await Promise.all(runIds.map(runId => api.stopRun(this._settings, runId)));
  }

  async rerunRun(runId: string, changes: RequestChanges = {}): Promise<IRunRow> {
    const run = await api.rerunRun(this._settings, runId, changes);
    this._store.put(run);
    this._touch();
    return run;
  }

  async deleteRuns(
    runIds: readonly string[],
    onProgress: (done: number) => void = () => undefined
  ): Promise<readonly RequestError[]> {
    const failures: RequestError[] = [];
    const parts: (readonly string[])[] = [];
    for (let start = 0; start < runIds.length; start += DELETED_AT_ONCE) {
      parts.push(runIds.slice(start, start + DELETED_AT_ONCE));
    }
    let done = 0;
    const deleteParts = async () => {
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
        const answer = await api.deleteRuns(this._settings, part);
        answer.deleted.forEach(runId => this._store.delete(runId));
        failures.push(...answer.failures.map(failure => requestError(200, failure)));
        done += part.length;
        this._touch();
        onProgress(done);
      }
    };
    await Promise.all(Array.from({ length: DELETIONS_AT_ONCE }, deleteParts));
    return failures;
  }

  private _openOrClose(): void {
    if (this._observers > 0 && !document.hidden && !this.isDisposed) {
      this._stream.open();
      this.progress.start();
    } else {
      this._stream.close();
      this.progress.stop();
      [this._lists, this._queues, this._health, this._schedules].forEach(reader => reader.stop());
    }
  }

  /**
   * Lists are read once the stream is open, so that no change falls in between. Where it cannot be
   * opened they are read all the same: they may be answered from memory.
   */
  private _onConnection(_: ChangeStream, connection: Connection): void {
    if (connection.kind === 'live' || connection.kind === 'lost') {
      if (this._isListWanted || this._lists.reading.kind !== 'read') {
        void this._lists.refresh();
      }
      void this._queues.refresh();
      void this._health.refresh();
    }
    this._touch();
  }

  /** Health knows why the queues cannot be read, and that they can be again. */
  private _onQueues(_: unknown, { kind }: Reading<readonly ILocalQueue[]>): void {
    if (kind === 'failed' || known(this._health.reading)?.ok === false) {
      void this._health.refresh();
    }
  }

  private _apply(_: ChangeStream, change: Change): void {
    switch (change.type) {
      case 'hello':
      case 'gap':
        // What came before this cursor was missed.
        this._isListWanted = true;
        void this._lists.refresh();
        break;
      case 'local-queues':
        void this._queuesSoon.invoke().catch(() => undefined);
        void this._settling.invoke().catch(() => undefined);
        break;
      case 'schedule':
      case 'schedule-deleted':
        this._schedules.renew();
        this._touch();
        break;
      case 'run':
      case 'run-deleted':
        this._applyToRun(change);
        this._changesWhileReading?.push(change);
        this._touch();
        break;
    }
  }

  private _applyToRun(change: RunChange): void {
    if (change.type === 'run') {
      this._store.put(change.run);
      this._schedules.need([change.run]);
    } else {
      this._store.delete(change.run_id);
    }
  }

  private async _readLists(): Promise<IRunLists> {
    this._isListWanted = false;
    const changes: RunChange[] = [];
    this._changesWhileReading = changes;
    try {
      const [unfinished, finished] = await Promise.all([
        this._listUnfinished(UNFINISHED_STATES),
        this._listFinishedAgain()
      ]);
      this._store.replace([...unfinished, ...finished]);
      this._schedules.need([...unfinished, ...finished]);
      // An answer may be older than what the stream told while it was on its way.
      changes.forEach(change => this._applyToRun(change));
      return { unfinished, finished };
    } catch (error) {
      this._isListWanted = true;
      throw error;
    } finally {
      this._changesWhileReading = null;
    }
  }

  private async _readQueues(): Promise<readonly ILocalQueue[]> {
    const [queues, waiting] = await Promise.all([
      api.listLocalQueues(this._settings),
      // One admission moves all who wait, which is no change of theirs.
      this.groups.waiting.length > 0 ? this._listUnfinished(['queued']) : []
    ]);
    waiting.forEach(run => this._store.place(run));
    return queues;
  }

  private async _listUnfinished(states: readonly RunState[]): Promise<readonly IRunRow[]> {
    const found: IRunRow[] = [];
    let cursor: string | null = null;
    do {
      const page = await api.listRuns(this._settings, {
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
  private async _listFinishedAgain(): Promise<readonly IRunRow[]> {
    const wanted = Math.max(FINISHED_AT_FIRST, this.groups.finished.length);
    const found: IRunRow[] = [];
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
    return await api.listRuns(this._settings, { states, sort: '-finished_at', limit, cursor });
  }

  private _touch(): void {
    void this._emission.invoke().catch(() => undefined);
  }

  private readonly _onVisibility = () => this._openOrClose();

  private readonly _settings: ServerConnection.ISettings;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _parts = new DisposableSet();
  private readonly _stream: ChangeStream;
  private readonly _schedules: ScheduleNames;
  private readonly _store = new RunStore();
  private readonly _lists = new Reader<IRunLists>({
    name: 'jupyter-kueue:runs',
    read: () => this._readLists()
  });
  private readonly _queues = new Reader<readonly ILocalQueue[]>({
    name: 'jupyter-kueue:local-queues',
    read: () => this._readQueues(),
    interval: QUEUES_MS
  });
  private readonly _health = new Reader<IHealth>({
    name: 'jupyter-kueue:health',
    read: () => api.getHealth(this._settings),
    interval: HEALTH_MS,
    isUnsettled: health => !health.ok
  });
  private readonly _queuesSoon = new Throttler(() => this._queues.refresh(), {
    limit: QUEUES_PAUSE_MS,
    edge: 'trailing'
  });
  /** Quotas are read once more when the server's knowledge of them is sure to be new. */
  private readonly _settling = new Debouncer(() => this._queues.refresh(), QUOTA_SETTLES_MS);
  private readonly _emission = new Throttler(() => this._changed.emit(), {
    limit: GATHER_MS,
    edge: 'trailing'
  });
  private _observers = 0;
  private _isListWanted = true;
  private _changesWhileReading: RunChange[] | null = null;
  private _olderCursor: string | null = null;
  private _olderCount = 0;
}
