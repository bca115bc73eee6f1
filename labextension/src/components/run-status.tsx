/** A run's live state in jupyter-scheduler's detail view. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { leftBehindOf, messageOf, warningsOf } from '../models/sentences';
import { cellOf, position, stateName } from '../models/words';
import type { IRunRow, IProgress } from '../wire';
import { UNFINISHED_STATES } from '../wire';
import { Elapsed } from './elapsed';

interface IRunStatusProps {
  readonly run: IRunRow;
  /** How many runs start before it; null where that is not known. */
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  readonly onStop: () => void;
  readonly trans: TranslationBundle;
}

export function RunStatus(props: IRunStatusProps): React.JSX.Element {
  const { run, ahead, progress, onStop, trans } = props;
  const where = run.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans);
  const isUnfinished = UNFINISHED_STATES.includes(run.state);
  return (
    <div className="jp-Kueue-status" role="status" data-state={run.state}>
      <div>
        <strong>{stateName(run.state, trans)}</strong>
        {' · '}
        {trans.__('queue %1', run.local_queue)}
        {isUnfinished && where !== null && ` · ${where}`}
        {isUnfinished && (
          <>
            {' · '}
            <Elapsed since={run.started_at ?? run.created_at} trans={trans} />
          </>
        )}
      </div>
      {[messageOf(run, trans), ...warningsOf(run, trans), leftBehindOf(run, trans)]
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
          disabled={run.state === 'stopping'}
          onClick={onStop}
        >
          {trans.__('Stop')}
        </button>
      )}
    </div>
  );
}
