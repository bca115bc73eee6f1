/** One run in the panel: two lines that say the most important, and its actions. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { ellipsesIcon, notebookIcon, redoIcon, stopIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { messageOf } from '../models/sentences';
import {
  cellOf,
  moment,
  position,
  runtime,
  sayingOf,
  sentences,
  shareDone,
  stateName
} from '../models/words';
import type { IRunRow, IProgress } from '../wire';
import { FINISHED_STATES } from '../wire';
import { Elapsed } from './elapsed';
import { IconButton } from './icon-button';

export interface IRunActions {
  readonly openOutput: (runId: string) => void;
  readonly rerun: (runId: string) => void;
  readonly stop: (runId: string) => void;
  readonly click: (runId: string, event: React.MouseEvent) => void;
  /** A menu is about to open for it. */
  readonly meanInMenu: (runId: string) => void;
}

interface IRunRowProps {
  readonly run: IRunRow;
  /** How many runs start before it; null where that is not known. */
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  readonly isSelected: boolean;
  /** No other one is selected: it says all that it has to say. */
  readonly isOnlySelected: boolean;
  /** Whether the keyboard is here: it alone is reached by the Tab key, with its actions. */
  readonly isCurrent: boolean;
  readonly actions: IRunActions;
  readonly trans: TranslationBundle;
}

export const RunRow = React.memo(function RunRow(props: IRunRowProps): React.JSX.Element {
  const { run, ahead, progress, isSelected, isOnlySelected, isCurrent, actions, trans } = props;
  const isFinished = FINISHED_STATES.includes(run.state);
  const isQueued = run.state === 'queued';
  const saying = sayingOf(run, trans);
  const share = run.state === 'running' ? shareDone(progress) : null;
  const tabIndex = isCurrent ? 0 : -1;
  return (
    <div
      className={[
        'jp-Kueue-run',
        isSelected ? 'jp-mod-selected' : '',
        isOnlySelected ? 'jp-mod-only' : ''
      ].join(' ')}
      data-run-id={run.run_id}
      data-key={run.run_id}
      data-state={run.state}
      data-reason={run.reason ?? undefined}
      role="treeitem"
      aria-level={2}
      aria-selected={isSelected}
      aria-label={labelOf(run, ahead, progress, trans)}
      tabIndex={tabIndex}
      onClick={event => actions.click(run.run_id, event)}
      onContextMenu={() => actions.meanInMenu(run.run_id)}
      onDoubleClick={() => actions.openOutput(run.run_id)}
    >
      <div className="jp-Kueue-line">
        <span className="jp-Kueue-name" title={run.name}>
          {run.name}
        </span>
        <span className="jp-Kueue-note">
          <Summary {...{ run, ahead, progress, trans }} />
        </span>
        <span className="jp-Kueue-actions">
          {!isQueued && (
            <IconButton
              icon={notebookIcon}
              label={
                isFinished ? trans.__('Open the result') : trans.__('Open the notebook so far')
              }
              tabIndex={tabIndex}
              onClick={() => actions.openOutput(run.run_id)}
            />
          )}
          {isFinished ? (
            <IconButton
              icon={redoIcon}
              label={trans.__('Run again')}
              tabIndex={tabIndex}
              onClick={() => actions.rerun(run.run_id)}
            />
          ) : (
            <IconButton
              icon={stopIcon}
              label={trans.__('Stop')}
              isEnabled={run.state !== 'stopping'}
              tabIndex={tabIndex}
              onClick={() => actions.stop(run.run_id)}
            />
          )}
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More actions')}
            tabIndex={tabIndex}
            onClick={openMenu}
          />
        </span>
      </div>
      {share === null ? (
        <div className="jp-Kueue-why" title={sentences(saying, run.detail)}>
          {saying}
        </div>
      ) : (
        <div className="jp-Kueue-progress" title={saying}>
          <div className="jp-Kueue-bar">
            <div style={{ width: `${100 * share}%` }} />
          </div>
        </div>
      )}
    </div>
  );
});

/** Return a row's name for those who do not see it. */
function labelOf(
  run: IRunRow,
  ahead: number | null,
  progress: IProgress | undefined,
  trans: TranslationBundle
): string {
  return [
    run.name,
    stateName(run.state, trans),
    run.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans),
    messageOf(run, trans)
  ]
    .filter(text => text !== null)
    .join(', ');
}

/** Open the menu of the right mouse button, which has the same actions, at the button. */
function openMenu(event: React.MouseEvent): void {
  const { left, bottom } = event.currentTarget.getBoundingClientRect();
  event.currentTarget.closest('.jp-Kueue-run')?.dispatchEvent(
    new MouseEvent('contextmenu', {
      bubbles: true,
      cancelable: true,
      clientX: left,
      clientY: bottom
    })
  );
}

interface ISummaryProps {
  readonly run: IRunRow;
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  readonly trans: TranslationBundle;
}

/** What matters most at a glance: where it stands, how far it is, when it ended. */
function Summary({ run, ahead, progress, trans }: ISummaryProps): React.JSX.Element {
  if (run.finished_at === null) {
    const isQueued = run.state === 'queued';
    const where = isQueued ? position(ahead, trans) : cellOf(progress, trans);
    const since = isQueued ? run.created_at : (run.started_at ?? run.admitted_at ?? run.created_at);
    return (
      <>
        {where !== null && `${where} · `}
        <Elapsed since={since} trans={trans} />
      </>
    );
  }
  const ran = runtime(run, trans);
  return (
    <span title={new Date(run.finished_at).toLocaleString()}>
      {moment(run.finished_at, new Date())}
      {ran !== null && ` · ${ran}`}
    </span>
  );
}
