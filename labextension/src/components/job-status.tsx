/** A run's live state in jupyter-scheduler's detail view. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { leftBehindOf, messageOf, warningsOf } from '../models/sentences';
import { cellOf, position, stateName } from '../models/words';
import type { IJobRow, IProgress } from '../wire';
import { UNFINISHED_STATES } from '../wire';
import { Elapsed } from './elapsed';

interface IJobStatusProps {
  readonly job: IJobRow;
  /** How many runs start before it; null where that is not known. */
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  readonly onStop: () => void;
  readonly trans: TranslationBundle;
}

export function JobStatus(props: IJobStatusProps): React.JSX.Element {
  const { job, ahead, progress, onStop, trans } = props;
  const where = job.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans);
  const isUnfinished = UNFINISHED_STATES.includes(job.state);
  return (
    <div className="jp-Kueue-status" role="status" data-state={job.state}>
      <div>
        <strong>{stateName(job.state, trans)}</strong>
        {' · '}
        {trans.__('queue %1', job.local_queue)}
        {isUnfinished && where !== null && ` · ${where}`}
        {isUnfinished && (
          <>
            {' · '}
            <Elapsed since={job.started_at ?? job.created_at} trans={trans} />
          </>
        )}
      </div>
      {[messageOf(job, trans), ...warningsOf(job, trans), leftBehindOf(job, trans)]
        .filter(text => text !== null)
        .map(text => (
          <div key={text} className="jp-Kueue-fix">
            {text}
          </div>
        ))}
      {isUnfinished && (
        <button
          type="button"
          className="jp-mod-styled jp-mod-warn"
          disabled={job.state === 'stopping'}
          onClick={onStop}
        >
          {trans.__('Stop')}
        </button>
      )}
    </div>
  );
}
