/**
 * My runs in their groups, as a tree: one stop of the Tab key, then the arrow keys. Where the
 * keyboard is stays where it was, or goes to the neighbour of a row that is gone.
 */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { runsAhead } from '../models/run-store';
import type { SectionId } from '../models/panel-state';
import type { ISelection } from '../models/selection';
import { successor } from '../models/selection';
import type { IRunRow, IProgress } from '../wire';
import type { IRunActions } from './run-row';
import { RunRow } from './run-row';
import { Heading } from './section';

export interface IRunTreeGroup {
  readonly id: SectionId;
  readonly title: string;
  /** How many there are, those too that are not shown. */
  readonly count: string;
  readonly isFolded: boolean;
  readonly runs: readonly IRunRow[];
}

export interface ITreeActions extends IRunActions {
  readonly fold: (section: SectionId, isFolded: boolean) => void;
  readonly select: (
    runId: string,
    keys: { readonly toggle: boolean; readonly range: boolean }
  ) => void;
  readonly selectAll: () => void;
  readonly clearSelection: () => void;
}

interface IRunTreeProps {
  readonly groups: readonly IRunTreeGroup[];
  readonly selection: ISelection;
  readonly progressOf: (runId: string) => IProgress | undefined;
  readonly scheduleName: (scheduleId: string) => string | null;
  /** Since when states may be others than are shown; null while they are as shown. */
  readonly staleSince: Date | null;
  readonly actions: ITreeActions;
  readonly trans: TranslationBundle;
}

interface IRunTreeState {
  /** All that the arrow keys reach, from the top: groups by their ids, runs by theirs. */
  readonly keys: readonly string[];
  /** Where the keyboard is. */
  readonly current: string | null;
}

export class RunTree extends React.Component<IRunTreeProps, IRunTreeState> {
  static getDerivedStateFromProps(props: IRunTreeProps, state: IRunTreeState): IRunTreeState {
    const keys = keysOf(props.groups);
    return { keys, current: successor(state.current, state.keys, keys) };
  }

  override state: IRunTreeState = { keys: [], current: null };

  override getSnapshotBeforeUpdate(): boolean {
    return this._root.current?.contains(document.activeElement) === true;
  }

  override componentDidUpdate(_: IRunTreeProps, before: IRunTreeState, hadFocus: boolean): void {
    const isLost = this._root.current?.contains(document.activeElement) === false;
    if (hadFocus && (isLost || before.current !== this.state.current)) {
      this._focus(this.state.current);
    }
  }

  override render(): React.JSX.Element {
    const { groups, trans } = this.props;
    return (
      <div
        ref={this._root}
        className="jp-Kueue-tree"
        role="tree"
        aria-label={trans.__('My runs')}
        aria-multiselectable={true}
        onKeyDown={this._onKeyDown}
        onFocus={this._onFocus}
      >
        {groups.map(group => this._renderGroup(group))}
      </div>
    );
  }

  private _renderGroup(group: IRunTreeGroup): React.JSX.Element {
    const { selection, progressOf, scheduleName, staleSince, actions, trans } = this.props;
    const { current } = this.state;
    const ahead = group.id === 'waiting' ? runsAhead(group.runs) : null;
    return (
      <div
        key={group.id}
        className="jp-Kueue-section"
        role="treeitem"
        aria-level={1}
        aria-expanded={!group.isFolded}
        aria-label={`${group.title} ${group.count}`}
        data-section={group.id}
        data-key={group.id}
        tabIndex={current === group.id ? 0 : -1}
      >
        <div
          className="jp-Kueue-heading"
          aria-hidden={true}
          onClick={() => actions.fold(group.id, !group.isFolded)}
        >
          <Heading title={group.title} isFolded={group.isFolded} count={group.count} />
        </div>
        {!group.isFolded && group.runs.length > 0 && (
          <div role="group">
            {group.runs.map(run => (
              <RunRow
                key={run.run_id}
                run={run}
                ahead={ahead?.get(run.run_id) ?? null}
                progress={group.id === 'running' ? progressOf(run.run_id) : undefined}
                schedule={run.schedule_id === null ? null : scheduleName(run.schedule_id)}
                staleSince={staleSince}
                isSelected={selection.runIds.has(run.run_id)}
                isOnlySelected={selection.runIds.has(run.run_id) && selection.runIds.size === 1}
                isCurrent={current === run.run_id}
                actions={actions}
                trans={trans}
              />
            ))}
          </div>
        )}
      </div>
    );
  }

  private readonly _onFocus = (event: React.FocusEvent<HTMLElement>) => {
    const key = event.target.closest<HTMLElement>('[data-key]')?.dataset.key;
    if (key !== undefined && key !== this.state.current) {
      this.setState({ current: key });
    }
  };

  private readonly _onKeyDown = (event: React.KeyboardEvent) => {
    const { current } = this.state;
    const isOnAction = event.target instanceof HTMLButtonElement;
    if (current === null || event.altKey || !this._handle(event, current, isOnAction)) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  /** Act on a key; returns whether it means something here. */
  private _handle(event: React.KeyboardEvent, current: string, isOnAction: boolean): boolean {
    const { keys } = this.state;
    const { groups, actions } = this.props;
    const isCommand = event.ctrlKey || event.metaKey;
    const place = keys.indexOf(current);
    const group = groups.find(({ id }) => id === current);
    switch (event.key) {
      case 'ArrowDown':
        return this._move(event, keys[place + 1]);
      case 'ArrowUp':
        return this._move(event, keys[place - 1]);
      case 'Home':
        return this._move(event, keys[0]);
      case 'End':
        return this._move(event, keys[keys.length - 1]);
      case 'ArrowRight':
        return group === undefined ? false : this._openOrEnter(event, group, keys[place + 1]);
      case 'ArrowLeft':
        return group === undefined
          ? this._focus(groups.find(({ runs }) => has(runs, current))?.id ?? null)
          : this._fold(group.id, true);
      case ' ':
        if (isOnAction) {
          return false;
        }
        return group === undefined
          ? this._select(current, { toggle: true, range: event.shiftKey })
          : this._fold(group.id, !group.isFolded);
      case 'Enter':
        return group !== undefined && !isOnAction && this._fold(group.id, !group.isFolded);
      case 'a':
        if (isCommand) {
          actions.selectAll();
        }
        return isCommand;
      case 'Escape':
        actions.clearSelection();
        return true;
      default:
        return false;
    }
  }

  /** Go to a row; as in any list, it is selected unless Ctrl is held. */
  private _move(event: React.KeyboardEvent, key: string | undefined): boolean {
    if (key === undefined) {
      return true;
    }
    this._focus(key);
    const isRun = this.props.groups.every(({ id }) => id !== key);
    if (isRun && !(event.ctrlKey || event.metaKey)) {
      this._select(key, { toggle: false, range: event.shiftKey });
    }
    return true;
  }

  private _openOrEnter(
    event: React.KeyboardEvent,
    group: IRunTreeGroup,
    next: string | undefined
  ): boolean {
    if (group.isFolded) {
      return this._fold(group.id, false);
    }
    return group.runs.length > 0 ? this._move(event, next) : true;
  }

  private _fold(section: SectionId, isFolded: boolean): boolean {
    this.props.actions.fold(section, isFolded);
    return true;
  }

  private _select(runId: string, keys: { toggle: boolean; range: boolean }): boolean {
    this.props.actions.select(runId, keys);
    return true;
  }

  private _focus(key: string | null): boolean {
    if (key !== null) {
      this._root.current
        ?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)
        ?.focus({ preventScroll: false });
    }
    return true;
  }

  private readonly _root = React.createRef<HTMLDivElement>();
}

function keysOf(groups: readonly IRunTreeGroup[]): readonly string[] {
  return groups.flatMap(({ id, isFolded, runs }) => [
    id,
    ...(isFolded ? [] : runs.map(run => run.run_id))
  ]);
}

function has(runs: readonly IRunRow[], runId: string): boolean {
  return runs.some(run => run.run_id === runId);
}
