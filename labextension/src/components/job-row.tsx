/** One run in the panel: two lines that say the most important, and its actions. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, notebookIcon, stopIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { moment, position, runtime, stateName } from '../models/words';
import type { IJobRow } from '../wire';
import { FINISHED_STATES } from '../wire';
import { Elapsed } from './elapsed';

export interface IJobActions {
  readonly openOutput: (jobId: string) => void;
  readonly stop: (jobId: string) => void;
  readonly delete: (jobId: string) => void;
  readonly click: (jobId: string, event: React.MouseEvent | React.KeyboardEvent) => void;
}

interface IJobRowProps {
  readonly job: IJobRow;
  readonly isSelected: boolean;
  readonly actions: IJobActions;
  readonly trans: TranslationBundle;
}

export const JobRow = React.memo(function JobRow(props: IJobRowProps): React.JSX.Element {
  const { job, isSelected, actions, trans } = props;
  const isFinished = FINISHED_STATES.includes(job.state);
  const saying = job.message ?? stateName(job.state, trans);
  const leftBehind = job.left_behind?.message ?? null;

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target !== event.currentTarget) {
      return;
    }
    if (event.key === 'Enter' && isFinished) {
      actions.openOutput(job.job_id);
    } else if (event.key === 'Delete') {
      actions.delete(job.job_id);
    } else if (event.key === ' ') {
      event.preventDefault();
      actions.click(job.job_id, event);
    }
  };

  return (
    <li
      className={`jp-Kueue-job${isSelected ? ' jp-mod-selected' : ''}`}
      data-job-id={job.job_id}
      data-state={job.state}
      role="option"
      aria-selected={isSelected}
      tabIndex={0}
      onClick={event => actions.click(job.job_id, event)}
      onDoubleClick={() => isFinished && actions.openOutput(job.job_id)}
      onKeyDown={onKeyDown}
    >
      <div className="jp-Kueue-line">
        <span className="jp-Kueue-name" title={job.name}>
          {job.name}
        </span>
        <span className="jp-Kueue-note">
          <Summary job={job} trans={trans} />
        </span>
        <span className="jp-Kueue-actions">
          {isFinished ? (
            <Action
              icon={notebookIcon}
              label={trans.__('Open the executed notebook')}
              onClick={() => actions.openOutput(job.job_id)}
            />
          ) : (
            <Action
              icon={stopIcon}
              label={trans.__('Stop')}
              isEnabled={job.state !== 'stopping'}
              onClick={() => actions.stop(job.job_id)}
            />
          )}
          <Action
            icon={closeIcon}
            label={trans.__('Delete…')}
            onClick={() => actions.delete(job.job_id)}
          />
        </span>
      </div>
      <div
        className="jp-Kueue-why"
        title={[job.message, job.detail, leftBehind].filter(text => text !== null).join('\n')}
      >
        {leftBehind === null ? saying : `${saying.replace(/[^.!?…]$/, '$&.')} ${leftBehind}`}
      </div>
    </li>
  );
});

interface ISummaryProps {
  readonly job: IJobRow;
  readonly trans: TranslationBundle;
}

/** What matters most at a glance: where it stands, how long it runs, when it ended. */
function Summary({ job, trans }: ISummaryProps): React.JSX.Element {
  if (job.state === 'queued') {
    const where = position(job, trans);
    return (
      <>
        {job.local_queue}
        {where !== null && ` · ${where}`}
        {' · '}
        <Elapsed since={job.created_at} trans={trans} />
      </>
    );
  }
  if (job.finished_at === null) {
    return <Elapsed since={job.started_at ?? job.admitted_at ?? job.created_at} trans={trans} />;
  }
  const ran = runtime(job, trans);
  return (
    <span title={new Date(job.finished_at).toLocaleString()}>
      {moment(job.finished_at, new Date())}
      {ran !== null && ` · ${ran}`}
    </span>
  );
}

interface IActionProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly isEnabled?: boolean;
  readonly onClick: () => void;
}

function Action({ icon, label, isEnabled = true, onClick }: IActionProps): React.JSX.Element {
  return (
    <button
      type="button"
      className="jp-Kueue-action"
      title={label}
      aria-label={label}
      disabled={!isEnabled}
      onClick={event => {
        event.stopPropagation();
        onClick();
      }}
      onDoubleClick={event => event.stopPropagation()}
    >
      <icon.react tag="span" height="14px" width="14px" />
    </button>
  );
}
