/**
 * The stream of changes, kept open while it is wanted. If the connection breaks or is silent for
 * too long, it is opened again, with growing pauses, and continues after the last change received.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Debouncer, Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import { asRequestError, RequestError } from '../request';
import type { Change } from '../wire';
import type { Connection } from './connection';

const PAUSES = { interval: 1000, backoff: true, max: 15_000 };
/** The server sends a heartbeat every 15 s; after three missed ones the connection is dead. */
const SILENCE_MS = 45_000;

export class ChangeStream implements IDisposable {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
    this._poll = new Poll({
      name: 'jupyter-kueue:changes',
      auto: false,
      factory: () => this._listen(),
      frequency: PAUSES,
      standby: 'never'
    });
  }

  get connection(): Connection {
    return this._connection;
  }

  get connectionChanged(): ISignal<this, Connection> {
    return this._connectionChanged;
  }

  get received(): ISignal<this, Change> {
    return this._received;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.close();
    this._poll.dispose();
    this._silence.dispose();
    Signal.clearData(this);
  }

  open(): void {
    if (this._connection.kind === 'closed' && !this.isDisposed) {
      this._set({ kind: 'opening' });
      void this._poll.start();
    }
  }

  close(): void {
    void this._poll.stop();
    this._abort?.abort();
    this._set({ kind: 'closed' });
  }

  /** If the connection is lost, try again now. */
  retry(): void {
    if (this._connection.kind === 'lost') {
      void this._poll.refresh();
    }
  }

  /** Open one connection and read it to its end; fails if it cannot be opened. */
  private async _listen(): Promise<void> {
    this._abort?.abort();
    const abort = new AbortController();
    this._abort = abort;
    let wasAlive = false;
    try {
      this._expectMore();
      const changes = api.listenToChanges(this._settings, this._cursor, abort.signal);
      for await (const change of changes) {
        this._expectMore();
        wasAlive = true;
        this._set({ kind: 'live' });
        if (change !== null) {
          this._cursor = change.cursor;
          this._received.emit(change);
        }
      }
      this._lose(abort, new RequestError(0, 'offline', ''));
    } catch (error) {
      this._lose(abort, asRequestError(error));
      if (!wasAlive) {
        throw error;
      }
    } finally {
      if (this._abort === abort) {
        void this._silence.stop();
      }
    }
  }

  /** Abort the connection unless a heartbeat arrives in time. */
  private _expectMore(): void {
    void this._silence.invoke().catch(() => undefined);
  }

  /** Handle the end of the connection, unless it was closed on purpose. */
  private _lose(abort: AbortController, error: RequestError): void {
    if (this._connection.kind === 'closed' || this._abort !== abort) {
      return;
    }
    const since = this._connection.kind === 'lost' ? this._connection.since : new Date();
    this._set({ kind: 'lost', error, since });
  }

  private _set(connection: Connection): void {
    const isSame = connection.kind === this._connection.kind && connection.kind !== 'lost';
    if (!isSame) {
      this._connection = connection;
      this._connectionChanged.emit(connection);
    }
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _poll: Poll<void, unknown>;
  private readonly _silence = new Debouncer(() => this._abort?.abort(), SILENCE_MS);
  private readonly _connectionChanged = new Signal<this, Connection>(this);
  private readonly _received = new Signal<this, Change>(this);
  private _connection: Connection = { kind: 'closed' };
  private _abort: AbortController | null = null;
  private _cursor: string | null = null;
}
