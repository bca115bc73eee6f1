/**
 * Reads one value from the server on request, never twice at once, and retries failures with
 * growing pauses.
 */
import type { IDisposable } from '@lumino/disposable';
import type { IPoll } from '@lumino/polling';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { asRequestError } from '../request';
import type { Reading } from './connection';

/** The delay before an unsettled value is read again. */
const UNSETTLED_MS = 4000;
const RETRIES: IPoll.Frequency = { interval: 1000, backoff: true, max: 15_000 };

export interface IReaderOptions<T> {
  readonly name: string;
  readonly read: () => Promise<T>;
  /** The interval in milliseconds between unrequested reads; without it there are none. */
  readonly interval?: number;
  /** Whether a value must be read again soon, as after a failure. */
  readonly isUnsettled?: (value: T) => boolean;
}

export class Reader<T> implements IDisposable {
  constructor(options: IReaderOptions<T>) {
    this._options = options;
    this._poll = new Poll({
      name: options.name,
      auto: false,
      factory: () => this._read(),
      frequency: RETRIES,
      standby: 'never'
    });
  }

  get reading(): Reading<T> {
    return this._reading;
  }

  get changed(): ISignal<this, Reading<T>> {
    return this._changed;
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

  /** Read it now; resolves once it has been read or reading has failed. Never rejects. */
  async refresh(): Promise<void> {
    if (this._running === null) {
      await this._poll.refresh();
      await this._poll.tick.catch(() => undefined);
    } else {
      this._isStale = true;
      await this._running.catch(() => undefined);
    }
  }

  /** Do not read it again until the next `refresh`. */
  stop(): void {
    void this._poll.stop();
  }

  private async _read(): Promise<void> {
    this._running ??= this._readWhileStale();
    try {
      await this._running;
    } finally {
      this._running = null;
    }
  }

  private async _readWhileStale(): Promise<void> {
    const { read, interval, isUnsettled } = this._options;
    try {
      let value: T;
      do {
        value = await read();
        // A request during the read needs a newer value.
      } while (this._takeStale());
      const isSettled = isUnsettled?.(value) !== true;
      this._poll.frequency = isSettled
        ? { interval: interval ?? Poll.NEVER, backoff: true, max: interval ?? Poll.NEVER }
        : { ...RETRIES, interval: UNSETTLED_MS };
      this._set({ kind: 'read', value });
    } catch (reason) {
      this._poll.frequency = RETRIES;
      const last = this._reading;
      this._set({
        kind: 'failed',
        error: asRequestError(reason),
        since: last.kind === 'failed' ? last.since : new Date(),
        value: last.kind === 'unread' ? null : last.value
      });
      throw reason;
    }
  }

  private _takeStale(): boolean {
    const isStale = this._isStale;
    this._isStale = false;
    return isStale;
  }

  private _set(reading: Reading<T>): void {
    this._reading = reading;
    if (!this.isDisposed) {
      this._changed.emit(reading);
    }
  }

  private readonly _options: IReaderOptions<T>;
  private readonly _poll: Poll<void, unknown>;
  private readonly _changed = new Signal<this, Reading<T>>(this);
  private _reading: Reading<T> = { kind: 'unread' };
  private _running: Promise<void> | null = null;
  private _isStale = false;
}
