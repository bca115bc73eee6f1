/**
 * The state of a run whose document is open. It is polled until the run has ended, while the
 * document is visible, and each time the document is updated.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { RequestError } from '../request';
import { asRequestError } from '../request';
import type { IRun } from '../wire';
import { FINISHED_STATES } from '../wire';

const INTERVAL_MS = 3000;
/** A large document is fetched less often, so that the connection is idle most of the time. */
const PAUSE_FACTOR = 10;

export interface IFollowedRunOptions {
  readonly serverSettings: ServerConnection.ISettings;
  readonly runId: string;
  /** Updates the document to the run's current state. */
  readonly update: (run: IRun) => Promise<void>;
}

export class FollowedRun implements IDisposable {
  constructor(options: IFollowedRunOptions) {
    this._options = options;
    this._poll = new Poll({
      name: 'jupyter-kueue:followed-run',
      auto: false,
      factory: () => this._read(),
      frequency: frequency(INTERVAL_MS),
      standby: 'when-hidden'
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The run as the document shows it; null until it is first read. */
  get run(): IRun | null {
    return this._run;
  }

  /** Why the document may be out of date; null if it is not. */
  get error(): RequestError | null {
    return this._error;
  }

  get isFinished(): boolean {
    return this._run !== null && FINISHED_STATES.includes(this._run.state);
  }

  /** Whether the run was deleted. */
  get isDeleted(): boolean {
    return this._error?.status === 404 && this._error.reason !== 'unexpected';
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

  /** Poll now, and from now on. */
  start(): void {
    if (!this.isFinished && !this.isDisposed) {
      void this._poll.refresh();
    }
  }

  stop(): void {
    void this._poll.stop();
  }

  private async _read(): Promise<void> {
    const { serverSettings, runId, update } = this._options;
    const begin = performance.now();
    try {
      const run = await api.getRun(serverSettings, runId);
      await update(run);
      this._run = run;
      this._error = null;
    } catch (error) {
      this._error = asRequestError(error);
      throw error;
    } finally {
      if (!this.isDisposed) {
        this._poll.frequency =
          this.isFinished || this.isDeleted
            ? frequency(Poll.NEVER)
            : frequency(Math.max(INTERVAL_MS, PAUSE_FACTOR * (performance.now() - begin)));
        this._changed.emit();
      }
    }
  }

  private readonly _options: IFollowedRunOptions;
  private readonly _poll: Poll<void>;
  private readonly _changed = new Signal<this, void>(this);
  private _run: IRun | null = null;
  private _error: RequestError | null = null;
}

function frequency(interval: number) {
  return { interval, backoff: true, max: interval === Poll.NEVER ? interval : 10 * interval };
}
