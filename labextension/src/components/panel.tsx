/** The whole panel: notices, queues, and my runs in three groups. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { IInterruption, IJobGroups } from '../models/jobs';
import type { ISelection } from '../models/selection';
import type { ILocalQueue, IProblem, IStockBackend } from '../wire';
import { JobList } from './job-list';
import type { IJobActions } from './job-row';
import { LocalQueues } from './local-queues';
import { Notices } from './notices';
import { Section } from './section';

interface IPanelProps {
  readonly isLoaded: boolean;
  readonly interruption: IInterruption | null;
  readonly problems: readonly IProblem[];
  readonly stockBackend: IStockBackend | null;
  readonly queues: readonly ILocalQueue[];
  readonly groups: IJobGroups;
  readonly olderCount: number;
  readonly selection: ISelection;
  readonly actions: IJobActions;
  readonly onRetry: () => void;
  readonly onListOlder: () => void;
  readonly onDismissStockBackend: () => void;
  readonly trans: TranslationBundle;
}

export function Panel(props: IPanelProps): React.JSX.Element {
  const { isLoaded, interruption, trans } = props;
  return (
    <>
      <Notices {...props} />
      {isLoaded ? (
        <Lists {...props} />
      ) : (
        interruption === null && (
          <p className="jp-Kueue-empty">{trans.__('Reading queues and runs…')}</p>
        )
      )}
    </>
  );
}

function Lists(props: IPanelProps): React.JSX.Element {
  const { queues, groups, olderCount, selection, actions, onListOlder, trans } = props;
  const { waiting, running, finished } = groups;
  const isEmpty = waiting.length + running.length + finished.length === 0;
  const list = (label: string, jobs: typeof waiting) => (
    <JobList {...{ label, jobs, selection, actions, trans }} />
  );
  return (
    <>
      <Section id="queues" title={trans.__('Queues')}>
        {queues.length > 0 ? (
          <LocalQueues queues={queues} trans={trans} />
        ) : (
          <p className="jp-Kueue-empty">
            {trans.__('There is no queue here. Ask an admin to create a LocalQueue.')}
          </p>
        )}
      </Section>
      {isEmpty ? (
        <p className="jp-Kueue-empty">
          {trans.__(
            'No runs yet. Submit a notebook to a queue, and it is shown here: where it waits, why, and its results.'
          )}
        </p>
      ) : (
        // A group without runs keeps its heading, so that nothing jumps when one moves on.
        <>
          <Section id="waiting" title={trans.__('Waiting')} count={waiting.length}>
            {list(trans.__('Waiting runs'), waiting)}
          </Section>
          <Section id="running" title={trans.__('Running')} count={running.length}>
            {list(trans.__('Running runs'), running)}
          </Section>
          <Section id="finished" title={trans.__('Finished')} count={finished.length + olderCount}>
            {list(trans.__('Finished runs'), finished)}
            {olderCount > 0 && (
              <button type="button" className="jp-Kueue-link" onClick={onListOlder}>
                {trans.__('Show older runs')}
              </button>
            )}
          </Section>
        </>
      )}
    </>
  );
}
