/** What stands above the lists when something is missing, wrong or out of date. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { IInterruption } from '../models/jobs';
import type { IProblem } from '../wire';

interface INoticesProps {
  readonly interruption: IInterruption | null;
  readonly problems: readonly IProblem[];
  readonly isLoaded: boolean;
  readonly onRetry: () => void;
  readonly trans: TranslationBundle;
}

export function Notices(props: INoticesProps): React.JSX.Element {
  const { interruption, problems, isLoaded, onRetry, trans } = props;
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
    </div>
  );
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
