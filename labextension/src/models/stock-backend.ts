/**
 * The jobs and definitions of jupyter-scheduler's own backend that are not shown here, until they
 * are imported or the user dismisses the notice.
 *
 * They are counted when runs are read or change, at intervals of a few seconds, and never again
 * once there are none. Users without such jobs therefore pay for one request.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IDisposable } from '@lumino/disposable';
import { Throttler } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { IRunsModel } from '../tokens';
import type { IStockBackend } from '../wire';
import { known } from './connection';
import { Reader } from './reader';

/** Runs change in bursts, and each count reads a database. */
const PAUSE_MS = 5000;
const SETTING = 'stockBackendNotice';

export interface IStockBackendOptions {
  readonly serverSettings: ServerConnection.ISettings;
  readonly runs: IRunsModel;
  /** Stores that the user dismissed the notice; null if nothing can be stored. */
  readonly preferences: Promise<ISettingRegistry.ISettings> | null;
}

export class StockBackendModel implements IDisposable {
  constructor({ serverSettings, runs, preferences }: IStockBackendOptions) {
    this._runs = runs;
    this._count = new Reader<IStockBackend>({
      name: 'jupyter-kueue:stock-backend',
      read: () => api.countStockBackend(serverSettings)
    });
    this._count.changed.connect(this._emit, this);
    this._countSoon = new Throttler(() => this._count.refresh(), {
      limit: PAUSE_MS,
      edge: 'trailing'
    });
    void this._follow(preferences);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The counts to show; null for none. */
  get notice(): IStockBackend | null {
    return this._isWanted && !this._isDone ? known(this._count.reading) : null;
  }

  get isDisposed(): boolean {
    return this._count.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._preferences?.changed.disconnect(this._onPreference, this);
      this._runs.changed.disconnect(this._onRuns, this);
      this._countSoon.dispose();
      this._count.dispose();
      Signal.clearData(this);
    }
  }

  /** Do not show the notice again, in this page or any other. */
  async dismiss(): Promise<void> {
    this._isWanted = false;
    this._emit();
    await this._preferences?.set(SETTING, false);
  }

  private async _follow(preferences: Promise<ISettingRegistry.ISettings> | null): Promise<void> {
    try {
      this._preferences = await preferences;
    } catch (error) {
      console.error('The settings of jupyter-kueue cannot be read.', error);
    }
    if (!this.isDisposed) {
      this._preferences?.changed.connect(this._onPreference, this);
      this._runs.changed.connect(this._onRuns, this);
      this._onPreference();
    }
  }

  private get _isDone(): boolean {
    const found = known(this._count.reading);
    return found !== null && found.jobs + found.schedules === 0 && found.problem === null;
  }

  private _onPreference(): void {
    this._isWanted = this._preferences?.get(SETTING).composite !== false;
    this._emit();
    this._onRuns();
  }

  private _onRuns(): void {
    if (!this._runs.isLoaded || !this._isWanted || this._isDone) {
      return;
    }
    if (this._count.reading.kind === 'unread') {
      void this._count.refresh();
    } else {
      void this._countSoon.invoke().catch(() => undefined);
    }
  }

  private _emit(): void {
    this._changed.emit();
  }

  private readonly _runs: IRunsModel;
  private readonly _count: Reader<IStockBackend>;
  private readonly _countSoon: Throttler;
  private readonly _changed = new Signal<this, void>(this);
  private _preferences: ISettingRegistry.ISettings | null = null;
  private _isWanted = true;
}
