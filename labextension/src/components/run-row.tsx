/** One run in the panel: two lines that say the most important, and its actions. */
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  ellipsesIcon,
  historyIcon,
  notebookIcon,
  redoIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import React from 'react';

import { messageOf } from '../models/sentences';
import {
  asOf,
  cellOf,
  detailOf,
  moment,
  position,
  quoted,
  runtime,
  sayingOf,
  shareDone,
  sinceOf,
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
  /** The name of the schedule that it is of; null where it is of none, or that is not known. */
  readonly schedule: string | null;
  /** Since when its state may be another one than is shown; null where it is as shown. */
  readonly staleSince: Date | null;
  readonly isSelected: boolean;
  /** No other one is selected: it says all that it has to say. */
  readonly isOnlySelected: boolean;
  /** Whether the keyboard is here: it alone is reached by the Tab key, with its actions. */
  readonly isCurrent: boolean;
  readonly actions: IRunActions;
  readonly trans: TranslationBundle;
}

export const RunRow = React.memo(function RunRow(props: IRunRowProps): React.JSX.Element {
  const { run, ahead, progress, schedule, isSelected, isOnlySelected, isCurrent } = props;
  const { actions, trans } = props;
  const isFinished = FINISHED_STATES.includes(run.state);
  const staleSince = isFinished ? null : props.staleSince;
  const isQueued = run.state === 'queued';
  const saying = asOf(staleSince, sayingOf(run, trans), trans);
  const scheduled = scheduleOf(run, schedule, trans);
  const tooltip = [saying, detailOf(run, trans)].filter(text => text !== null).join('\n');
  const share = run.state === 'running' ? shareDone(progress) : null;
  const tabIndex = isCurrent ? 0 : -1;
  return (
    <div
      className={[
        'jp-Kueue-run',
        isSelected ? 'jp-mod-selected' : '',
        isOnlySelected ? 'jp-mod-only' : '',
        staleSince === null ? '' : 'jp-mod-stale'
      ].join(' ')}
      data-run-id={run.run_id}
      data-key={run.run_id}
      data-state={run.state}
      data-reason={run.reason ?? undefined}
      role="treeitem"
      aria-level={2}
      aria-selected={isSelected}
      aria-label={labelOf({ run, ahead, progress, scheduled, staleSince, trans })}
      tabIndex={tabIndex}
      onClick={event => actions.click(run.run_id, event)}
      onContextMenu={() => actions.meanInMenu(run.run_id)}
      onDoubleClick={() => actions.openOutput(run.run_id)}
    >
      <div className="jp-Kueue-line">
        {scheduled !== null && (
          <span className="jp-Kueue-schedule" title={scheduled}>
            <historyIcon.react tag="span" height="14px" width="14px" />
          </span>
        )}
        <span className="jp-Kueue-name" title={run.name}>
          {run.name}
        </span>
        <span className="jp-Kueue-note">
          <Summary {...{ run, ahead, progress, staleSince, trans }} />
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
        <div className="jp-Kueue-why" title={tooltip}>
          {saying}
        </div>
      ) : (
        <div className="jp-Kueue-progress" title={tooltip}>
          <div className="jp-Kueue-bar">
            <div style={{ width: `${100 * share}%` }} />
          </div>
        </div>
      )}
    </div>
  );
});

/** Return which schedule a run is of, null where it is of none. */
function scheduleOf(
  { schedule_id }: IRunRow,
  name: string | null,
  trans: TranslationBundle
): string | null {
  if (schedule_id === null) {
    return null;
  }
  return name === null
    ? trans.__('Run of a schedule')
    : trans.__('Run of the schedule %1', quoted(name, trans));
}

/** Return a row's name for those who do not see it. */
function labelOf(shown: ISummaryProps & { readonly scheduled: string | null }): string {
  const { run, ahead, progress, scheduled, staleSince, trans } = shown;
  const message = messageOf(run, trans);
  return [
    run.name,
    stateName(run.state, trans),
    run.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans),
    message === null ? null : asOf(staleSince, message, trans),
    scheduled
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
  readonly staleSince: Date | null;
  readonly trans: TranslationBundle;
}

/** What matters most at a glance: where it stands, how far it is, when it ended. */
function Summary({ run, ahead, progress, staleSince, trans }: ISummaryProps): React.JSX.Element {
  if (run.finished_at === null) {
    const where = run.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans);
    const since = sinceOf(run);
    return (
      <>
        {where}
        {where !== null && since !== null && ' · '}
        {since !== null && <Elapsed since={since} until={staleSince} trans={trans} />}
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
