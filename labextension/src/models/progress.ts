/**
 * The progress of running runs. Their rows do not contain it, so it is fetched for each of them,
 * every few seconds and only while the panel is visible.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { IProgress } from '../wire';

const INTERVAL_MS = 3000;
/** No more than these are fetched at once: a screen shows fewer. */
const MOST_RUNS = 20;

export interface IProgressOptions {
  readonly serverSettings: ServerConnection.ISettings;
  /** The running runs, newest first. */
  readonly running: () => readonly string[];
}

export class ProgressModel implements IDisposable {
  constructor({ serverSettings, running }: IProgressOptions) {
    this._serverSettings = serverSettings;
    this._running = running;
    this._poll = new Poll({
      name: 'jupyter-kueue:progress',
      auto: false,
      factory: () => this._read(),
      frequency: { interval: INTERVAL_MS, backoff: true, max: 10 * INTERVAL_MS },
      standby: () => this._running().length === 0 || 'when-hidden'
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The progress of a running run, if known. */
  of(runId: string): IProgress | undefined {
    return this._progress.get(runId);
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  start(): void {
    void this._poll.start();
  }

  stop(): void {
    void this._poll.stop();
  }

  private async _read(): Promise<void> {
    const asked = this._running().slice(0, MOST_RUNS);
    const answers = await Promise.allSettled(
      asked.map(runId => api.getRun(this._serverSettings, runId))
    );
    const found = new Map<string, IProgress>();
    answers.forEach((answer, place) => {
      const runId = asked[place] ?? '';
      const progress =
        answer.status === 'fulfilled' ? answer.value.progress : this._progress.get(runId);
      if (progress) {
        found.set(runId, progress);
      }
    });
    if (!this.isDisposed) {
      this._progress = found;
      this._changed.emit();
    }
  }

  private readonly _serverSettings: ServerConnection.ISettings;
  private readonly _running: () => readonly string[];
  private readonly _poll: Poll<void>;
  private readonly _changed = new Signal<this, void>(this);
  private _progress: ReadonlyMap<string, IProgress> = new Map();
}
