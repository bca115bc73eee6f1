/** A run's live state in jupyter-scheduler's detail view. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { leftBehindOf, messageOf, warningsOf } from '../models/sentences';
import { asOf, cellOf, position, sinceOf, stateName } from '../models/words';
import type { IRunRow, IProgress } from '../wire';
import { UNFINISHED_STATES } from '../wire';
import { Elapsed } from './elapsed';

interface IRunStatusProps {
  readonly run: IRunRow;
  /** How many runs start before it; null where that is not known. */
  readonly ahead: number | null;
  readonly progress: IProgress | undefined;
  /** Since when its state may be another one than is shown; null where it is as shown. */
  readonly staleSince: Date | null;
  readonly onStop: () => void;
  readonly trans: TranslationBundle;
}

export function RunStatus(props: IRunStatusProps): React.JSX.Element {
  const { run, ahead, progress, onStop, trans } = props;
  const where = run.state === 'queued' ? position(ahead, trans) : cellOf(progress, trans);
  const isUnfinished = UNFINISHED_STATES.includes(run.state);
  const staleSince = isUnfinished ? props.staleSince : null;
  const since = sinceOf(run);
  const message = messageOf(run, trans);
  return (
    <div className="jp-Kueue-status" role="status" data-state={run.state}>
      <div>
        <strong>{stateName(run.state, trans)}</strong>
        {' · '}
        {trans.__('queue %1', run.local_queue)}
        {isUnfinished && where !== null && ` · ${where}`}
        {isUnfinished && since !== null && (
          <>
            {' · '}
            <Elapsed since={since} until={staleSince} trans={trans} />
          </>
        )}
      </div>
      {[
        message && asOf(staleSince, message, trans),
        ...warningsOf(run, trans),
        leftBehindOf(run, trans)
      ]
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
