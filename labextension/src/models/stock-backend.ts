/**
 * What jupyter-scheduler's own backend has that is not shown here, until it is brought over or the
 * user does not want to be told.
 *
 * It is counted when runs are read or change, a few seconds apart, and never again once there is
 * nothing: whoever has no such jobs pays for one request.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import { RequestError } from '../request';
import type { IStockBackend } from '../wire';
import type { JobsModel } from './jobs';

/** Runs change in bursts, and each count reads a database. */
const PAUSE_MS = 5000;
const SETTING = 'stockBackendNotice';

export interface IStockBackendOptions {
  readonly serverSettings: ServerConnection.ISettings;
  readonly jobs: JobsModel;
  /** Where it is kept that the user does not want to be told; null where nothing can be kept. */
  readonly preferences: Promise<ISettingRegistry.ISettings> | null;
}

export class StockBackendModel {
  constructor({ serverSettings, jobs, preferences }: IStockBackendOptions) {
    this._serverSettings = serverSettings;
    this._jobs = jobs;
    void this._follow(preferences);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What there is to be told; null for nothing. */
  get notice(): IStockBackend | null {
    return this._isWanted && !this._isDone ? this._found : null;
  }

  /** Do not tell it again, in this page or any other. */
  async dismiss(): Promise<void> {
    this._isWanted = false;
    this._changed.emit();
    await this._preferences?.set(SETTING, false);
  }

  private async _follow(preferences: Promise<ISettingRegistry.ISettings> | null): Promise<void> {
    try {
      this._preferences = await preferences;
      this._preferences?.changed.connect(this._onPreference, this);
      this._onPreference();
    } catch (error) {
      console.error('The settings of jupyter-kueue cannot be read.', error);
    }
    this._jobs.changed.connect(this._onJobs, this);
    this._onJobs();
  }

  private async _read(): Promise<void> {
    this._isReading = true;
    while (this._isStale && this._isWanted && !this._isDone) {
      this._isStale = false;
      try {
        this._found = await api.countStockBackend(this._serverSettings);
        this._changed.emit();
      } catch (error) {
        // The panel's other notices tell why the server does not answer; the next change asks anew.
        if (!(error instanceof RequestError)) {
          throw error;
        }
      }
      await new Promise(resolve => window.setTimeout(resolve, PAUSE_MS));
    }
    this._isReading = false;
  }

  private get _isDone(): boolean {
    const found = this._found;
    return found !== null && found.jobs + found.schedules === 0 && found.problem === null;
  }

  private readonly _onPreference = () => {
    this._isWanted = this._preferences?.get(SETTING).composite !== false;
    this._changed.emit();
    this._onJobs();
  };

  private readonly _onJobs = () => {
    this._isStale = true;
    if (this._jobs.isLoaded && this._isWanted && !this._isDone && !this._isReading) {
      void this._read();
    }
  };

  private readonly _serverSettings: ServerConnection.ISettings;
  private readonly _jobs: JobsModel;
  private readonly _changed = new Signal<this, void>(this);
  private _preferences: ISettingRegistry.ISettings | null = null;
  private _found: IStockBackend | null = null;
  private _isWanted = true;
  private _isStale = false;
  private _isReading = false;
}
