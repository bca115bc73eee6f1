/**
 * How the panel is looked at: what is selected, folded, filtered and dismissed. What is folded and
 * dismissed is remembered with the workspace.
 */
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IRunsModel } from '../tokens';
import type { IFiltered } from './run-filter';
import { filtered } from './run-filter';
import type { IRunGroups } from './run-store';
import type { ISelection } from './selection';
import { NOTHING_SELECTED, retain, select, selectAll } from './selection';

const STORED = 'jupyter-kueue:panel';

export type SectionId = 'queues' | 'waiting' | 'running' | 'finished';

export interface IPanelStateOptions {
  readonly runs: IRunsModel;
  readonly trans: TranslationBundle;
  /** Where it is remembered; null where nothing can be. */
  readonly memory: IStateDB | null;
}

export class PanelState implements IDisposable {
  constructor({ runs, trans, memory }: IPanelStateOptions) {
    this._runs = runs;
    this._trans = trans;
    this._memory = memory;
    runs.changed.connect(this._onRuns, this);
    void this._restore();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      Signal.clearData(this);
    }
  }

  get selection(): ISelection {
    return this._selection;
  }

  /** The runs that the filter leaves. */
  get groups(): IRunGroups {
    return this._filtered.groups;
  }

  /** What is wrong with the filter, as a sentence; null where nothing is. */
  get filterProblem(): string | null {
    return this._filtered.problem;
  }

  get filter(): string {
    return this._filter;
  }

  set filter(filter: string) {
    if (filter !== this._filter) {
      this._filter = filter;
      this._onRuns();
      this._changed.emit();
    }
  }

  get dismissed(): ReadonlySet<string> {
    return this._dismissed;
  }

  isFolded(section: SectionId): boolean {
    return this._folded.has(section);
  }

  fold(section: SectionId, isFolded: boolean): void {
    if (isFolded === this._folded.has(section)) {
      return;
    }
    if (isFolded) {
      this._folded.add(section);
    } else {
      this._folded.delete(section);
    }
    this._changed.emit();
    void this._store();
  }

  /** Do not tell these again. */
  dismiss(texts: readonly string[]): void {
    this._dismissed = new Set([...this._dismissed, ...texts]);
    this._changed.emit();
    void this._store();
  }

  select(runId: string, keys: { readonly toggle: boolean; readonly range: boolean }): void {
    this._setSelection(select(this._selection, runId, keys, this._shown()));
  }

  /** Have a run among those that are selected: what a menu is opened for is what it acts on. */
  include(runId: string): void {
    if (!this._selection.runIds.has(runId)) {
      this.select(runId, { toggle: false, range: false });
    }
  }

  selectAll(): void {
    this._setSelection(selectAll(this._selection, this._shown()));
  }

  clearSelection(): void {
    this._setSelection(NOTHING_SELECTED);
  }

  /** The runs that are on the screen, from the top. */
  private _shown(): readonly string[] {
    const { waiting, running, finished } = this.groups;
    return [
      ...(this.isFolded('waiting') ? [] : waiting),
      ...(this.isFolded('running') ? [] : running),
      ...(this.isFolded('finished') ? [] : finished)
    ].map(run => run.run_id);
  }

  private get _filtered(): IFiltered {
    return filtered(this._runs.groups, this._filter, {
      scheduleName: id => this._runs.scheduleName(id),
      trans: this._trans
    });
  }

  private _setSelection(selection: ISelection): void {
    this._selection = selection;
    this._changed.emit();
  }

  private _onRuns(): void {
    const { waiting, running, finished } = this.groups;
    const there = [...waiting, ...running, ...finished].map(run => run.run_id);
    const selection = retain(this._selection, there);
    if (selection !== this._selection) {
      this._setSelection(selection);
    }
  }

  private async _restore(): Promise<void> {
    const stored = await this._memory?.fetch(STORED);
    if (this._isDisposed) {
      return;
    }
    for (const section of textsIn(stored, 'folded')) {
      this._folded.add(section);
    }
    this._dismissed = new Set([...this._dismissed, ...textsIn(stored, 'dismissed')]);
    this._changed.emit();
  }

  private async _store(): Promise<void> {
    await this._memory?.save(STORED, {
      folded: [...this._folded],
      dismissed: [...this._dismissed]
    });
  }

  private readonly _runs: IRunsModel;
  private readonly _trans: TranslationBundle;
  private readonly _memory: IStateDB | null;
  private readonly _changed = new Signal<this, void>(this);
  private _isDisposed = false;
  private _selection: ISelection = NOTHING_SELECTED;
  private _filter = '';
  private readonly _folded = new Set<string>();
  private _dismissed: ReadonlySet<string> = new Set();
}

function textsIn(stored: ReadonlyPartialJSONValue | undefined, key: string): readonly string[] {
  const found =
    typeof stored === 'object' && stored !== null && !Array.isArray(stored)
      ? (stored as Record<string, unknown>)[key]
      : [];
  return Array.isArray(found) ? found.map(String) : [];
}
