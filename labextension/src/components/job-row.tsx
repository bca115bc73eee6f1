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
import type { IJobRow, IProgress } from '../wire';
import { FINISHED_STATES } from '../wire';
import { Elapsed } from './elapsed';
import { IconButton } from './icon-button';

export interface IJobActions {
  readonly openOutput: (jobId: string) => void;
  readonly rerun: (jobId: string) => void;
  readonly stop: (jobId: string) => void;
  readonly click: (jobId: string, event: React.MouseEvent) => void;
  /** A menu is about to open for it. */
  readonly meanInMenu: (jobId: string) => void;
}

interface IJobRowProps {
  readonly job: IJobRow;
  /** How many runs start before it; null where that is not known. */
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  readonly isSelected: boolean;
  /** No other one is selected: it says all that it has to say. */
  readonly isOnlySelected: boolean;
  /** Whether the keyboard is here: it alone is reached by the Tab key, with its actions. */
  readonly isCurrent: boolean;
  readonly actions: IJobActions;
  readonly trans: TranslationBundle;
}

export const JobRow = React.memo(function JobRow(props: IJobRowProps): React.JSX.Element {
  const { job, ahead, progress, isSelected, isOnlySelected, isCurrent, actions, trans } = props;
  const isFinished = FINISHED_STATES.includes(job.state);
  const isQueued = job.state === 'queued';
  const saying = sayingOf(job, trans);
  const share = job.state === 'running' ? shareDone(progress) : null;
  const tabIndex = isCurrent ? 0 : -1;
  return (
    <div
      className={[
        'jp-Kueue-job',
        isSelected ? 'jp-mod-selected' : '',
        isOnlySelected ? 'jp-mod-only' : ''
      ].join(' ')}
      data-job-id={job.job_id}
      data-key={job.job_id}
      data-state={job.state}
      role="treeitem"
      aria-level={2}
      aria-selected={isSelected}
      aria-label={labelOf(job, ahead, progress, trans)}
      tabIndex={tabIndex}
      onClick={event => actions.click(job.job_id, event)}
      onContextMenu={() => actions.meanInMenu(job.job_id)}
      onDoubleClick={() => !isQueued && actions.openOutput(job.job_id)}
    >
      <div className="jp-Kueue-line">
        <span className="jp-Kueue-name" title={job.name}>
          {job.name}
        </span>
        <span className="jp-Kueue-note">
          <Summary {...{ job, ahead, progress, trans }} />
        </span>
        <span className="jp-Kueue-actions">
          {!isQueued && (
            <IconButton
              icon={notebookIcon}
              label={
                isFinished ? trans.__('Open the result') : trans.__('Open the notebook so far')
              }
              tabIndex={tabIndex}
              onClick={() => actions.openOutput(job.job_id)}
            />
          )}
          {isFinished ? (
            <IconButton
              icon={redoIcon}
              label={trans.__('Run again')}
              tabIndex={tabIndex}
              onClick={() => actions.rerun(job.job_id)}
            />
          ) : (
            <IconButton
              icon={stopIcon}
              label={trans.__('Stop')}
              isEnabled={job.state !== 'stopping'}
              tabIndex={tabIndex}
              onClick={() => actions.stop(job.job_id)}
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
        <div className="jp-Kueue-why" title={sentences(saying, job.detail)}>
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
  job: IJobRow,
  ahead: number | null,
  progress: IProgress | undefined,
  trans: TranslationBundle
): string {
  return [
    job.name,
    stateName(job.state, trans),
    job.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans),
    messageOf(job, trans)
  ]
    .filter(text => text !== null)
    .join(', ');
}

/** Open the menu of the right mouse button, which has the same actions, at the button. */
function openMenu(event: React.MouseEvent): void {
  const { left, bottom } = event.currentTarget.getBoundingClientRect();
  event.currentTarget.closest('.jp-Kueue-job')?.dispatchEvent(
    new MouseEvent('contextmenu', {
      bubbles: true,
      cancelable: true,
      clientX: left,
      clientY: bottom
    })
  );
}

interface ISummaryProps {
  readonly job: IJobRow;
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  readonly trans: TranslationBundle;
}

/** What matters most at a glance: where it stands, how far it is, when it ended. */
function Summary({ job, ahead, progress, trans }: ISummaryProps): React.JSX.Element {
  if (job.finished_at === null) {
    const isQueued = job.state === 'queued';
    const where = isQueued ? position(ahead, trans) : cellOf(progress, trans);
    const since = isQueued ? job.created_at : (job.started_at ?? job.admitted_at ?? job.created_at);
    return (
      <>
        {where !== null && `${where} · `}
        <Elapsed since={since} trans={trans} />
      </>
    );
  }
  const ran = runtime(job, trans);
  return (
    <span title={new Date(job.finished_at).toLocaleString()}>
      {moment(job.finished_at, new Date())}
      {ran !== null && ` · ${ran}`}
    </span>
  );
}
