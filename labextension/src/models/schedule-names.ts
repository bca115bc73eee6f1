/**
 * The names of the schedules that runs belong to: a run's row has the id alone. They are read when a
 * run is shown whose schedule is not known, and again when schedules change; without them the panel
 * shows less, so that a failure is nothing to tell of.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { IRunRow } from '../wire';
import { known } from './connection';
import { Reader } from './reader';

type Names = ReadonlyMap<string, string>;

export class ScheduleNames implements IDisposable {
  constructor(settings: ServerConnection.ISettings) {
    this._reader = new Reader<Names>({
      name: 'jupyter-kueue:schedules',
      read: async () => {
        const schedules = await api.listSchedules(settings);
        return new Map(schedules.map(({ schedule_id, name }) => [schedule_id, name]));
      }
    });
    this._reader.changed.connect(() => this._changed.emit(), this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._reader.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._reader.dispose();
      Signal.clearData(this);
    }
  }

  /** Return a schedule's name; null where it is not known. */
  of(scheduleId: string): string | null {
    return known(this._reader.reading)?.get(scheduleId) ?? null;
  }

  /** Have the names of the schedules of these runs. */
  need(runs: readonly IRunRow[]): void {
    const wanted = runs.flatMap(({ schedule_id: id }) => (id === null ? [] : [id]));
    // What was asked for once is not there: its runs go with a schedule that is deleted.
    const missing = wanted.filter(id => this.of(id) === null && !this._asked.has(id));
    if (missing.length > 0) {
      missing.forEach(id => this._asked.add(id));
      void this._reader.refresh();
    }
  }

  /** A schedule is new or changed. */
  renew(): void {
    if (this._asked.size > 0) {
      void this._reader.refresh();
    }
  }

  stop(): void {
    this._reader.stop();
  }

  private readonly _reader: Reader<Names>;
  private readonly _asked = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
}
