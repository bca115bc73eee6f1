/** What stands above the lists when something is missing, wrong or out of date. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { IInterruption } from '../models/jobs';
import type { IProblem, IStockBackend } from '../wire';

interface INoticesProps {
  readonly interruption: IInterruption | null;
  readonly problems: readonly IProblem[];
  readonly stockBackend: IStockBackend | null;
  readonly isLoaded: boolean;
  readonly onRetry: () => void;
  readonly onDismissStockBackend: () => void;
  readonly trans: TranslationBundle;
}

export function Notices(props: INoticesProps): React.JSX.Element {
  const { interruption, problems, stockBackend, isLoaded, onRetry, trans } = props;
  return (
    <div role="status" aria-live="polite">
      {interruption !== null && !isToldBy(problems, interruption) && (
        <div className="jp-Kueue-notice jp-mod-warn" data-reason={interruption.error.reason}>
          <div>{reasonOf(interruption, trans)}</div>
          {isLoaded && (
            <div>
              {trans.__(
                'What is shown below is from %1.',
                interruption.since.toLocaleTimeString(undefined, {
                  hour: '2-digit',
                  minute: '2-digit'
                })
              )}
            </div>
          )}
          <button type="button" className="jp-Kueue-link" onClick={onRetry}>
            {trans.__('Try again now')}
          </button>
        </div>
      )}
      {problems.map(problem => (
        <div
          key={problem.what}
          className={`jp-Kueue-notice jp-mod-${problem.severity === 'error' ? 'error' : 'warn'}`}
        >
          <div>{problem.what}</div>
          <div className="jp-Kueue-fix">{problem.fix}</div>
        </div>
      ))}
      {stockBackend !== null && (
        <div className="jp-Kueue-notice" data-notice="stock-backend">
          <div>{stockBackend.problem ?? whatIsLeft(stockBackend, trans)}</div>
          {stockBackend.problem === null && (
            <div className="jp-Kueue-fix">
              {trans.__('Run “jupyter kueue import” in a terminal to bring them over.')}
            </div>
          )}
          <button type="button" className="jp-Kueue-link" onClick={props.onDismissStockBackend}>
            {trans.__('Do not tell me again')}
          </button>
        </div>
      )}
    </div>
  );
}

function whatIsLeft({ jobs, schedules }: IStockBackend, trans: TranslationBundle): string {
  const counted = [
    jobs > 0 && trans._n('%1 job', '%1 jobs', jobs),
    schedules > 0 && trans._n('%1 job definition', '%1 job definitions', schedules)
  ].filter(text => text !== false);
  const what = counted.length > 1 ? trans.__('%1 and %2', ...counted) : counted[0];
  return trans.__('jupyter-scheduler’s own backend has %1 that you do not see here.', what);
}

/** Health may name the same thing, and its fix as well. */
function isToldBy(problems: readonly IProblem[], { error }: IInterruption): boolean {
  return problems.some(problem => problem.what === error.message);
}

function reasonOf({ error }: IInterruption, trans: TranslationBundle): string {
  if (error.reason === 'offline') {
    return trans.__(
      'The Jupyter server does not answer: it may be restarting, or you are offline. It is tried again by itself.'
    );
  }
  if (error.status === 404) {
    return trans.__(
      'This Jupyter server runs without jupyter-kueue. Install it where the server runs, then restart the server.'
    );
  }
  return error.message;
}
