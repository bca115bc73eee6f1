/** The whole panel: notices, queues, and my runs in three groups. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { InputGroup } from '@jupyterlab/ui-components';
import React from 'react';

import type { IRunGroups } from '../models/run-store';
import type { INotice } from '../models/notices';
import type { SectionId } from '../models/panel-state';
import type { ISelection } from '../models/selection';
import type { ILocalQueue, IProgress, IResources } from '../wire';
import type { IRunTreeGroup, ITreeActions } from './run-tree';
import { RunTree } from './run-tree';
import { LocalQueues } from './local-queues';
import { Notices } from './notices';
import { Section } from './section';

export interface IPanelActions extends ITreeActions {
  readonly act: (notice: INotice) => void;
  readonly filter: (query: string) => void;
  readonly submit: () => void;
  readonly listOlder: () => void;
}

interface IPanelProps {
  readonly isLoaded: boolean;
  readonly isInterrupted: boolean;
  readonly notices: readonly INotice[];
  readonly queues: readonly ILocalQueue[] | null;
  readonly defaultQueue: string | null;
  /** What moving a run's files takes beside the run; null where that is not known. */
  readonly staging: IResources | null;
  /** All runs, and those that the filter leaves. */
  readonly all: IRunGroups;
  readonly shown: IRunGroups;
  readonly filter: string;
  /** What is wrong with the filter; null where nothing is. */
  readonly filterProblem: string | null;
  readonly isFolded: (section: SectionId) => boolean;
  readonly olderCount: number;
  readonly selection: ISelection;
  readonly progressOf: (runId: string) => IProgress | undefined;
  readonly scheduleName: (scheduleId: string) => string | null;
  /** Since when states may be others than are shown; null while they are as shown. */
  readonly staleSince: Date | null;
  readonly actions: IPanelActions;
  readonly trans: TranslationBundle;
}

export function Panel(props: IPanelProps): React.JSX.Element {
  const { isLoaded, isInterrupted, notices, actions, trans } = props;
  return (
    <>
      <Notices notices={notices} onAction={actions.act} trans={trans} />
      {isLoaded ? (
        <Lists {...props} />
      ) : (
        !isInterrupted && <p className="jp-Kueue-empty">{trans.__('Reading queues and runs…')}</p>
      )}
    </>
  );
}

function Lists(props: IPanelProps): React.JSX.Element {
  const { queues, defaultQueue, staging, all, isFolded, actions, trans } = props;
  const isEmpty = all.waiting.length + all.running.length + all.finished.length === 0;
  return (
    <>
      <Section
        id="queues"
        title={trans.__('Queues')}
        isFolded={isFolded('queues')}
        onFold={fold => actions.fold('queues', fold)}
      >
        {queues !== null && queues.length > 0 ? (
          <LocalQueues
            queues={queues}
            defaultQueue={defaultQueue}
            staging={staging}
            trans={trans}
          />
        ) : (
          <p className="jp-Kueue-empty">
            {queues === null
              ? trans.__('The queues can’t be read now.')
              : trans.__('There is no queue here. Ask an admin to create a LocalQueue.')}
          </p>
        )}
      </Section>
      {isEmpty ? <NoRuns {...props} /> : <Runs {...props} />}
    </>
  );
}

function NoRuns({ actions, trans }: IPanelProps): React.JSX.Element {
  return (
    <div className="jp-Kueue-empty">
      <p>
        {trans.__(
          'No runs. Submit a notebook and follow it here: its place in the queue, its progress and its results.'
        )}
      </p>
      <button
        type="button"
        className="jp-Kueue-submit jp-mod-styled jp-mod-accept"
        onClick={actions.submit}
      >
        {trans.__('Submit a notebook…')}
      </button>
      <p>{trans.__('Or right-click a notebook in the file browser and choose “Create Job”.')}</p>
    </div>
  );
}

function Runs(props: IPanelProps): React.JSX.Element {
  const { all, shown, filter, filterProblem, isFolded, olderCount, actions, trans } = props;
  const group = (id: keyof IRunGroups, title: string, older: number): IRunTreeGroup => {
    const total = String(all[id].length + older);
    return {
      id,
      title,
      count: filter === '' ? total : trans.__('%1 of %2', shown[id].length, total),
      isFolded: isFolded(id),
      runs: shown[id]
    };
  };
  const isNothingFound =
    filter !== '' && shown.waiting.length + shown.running.length + shown.finished.length === 0;
  return (
    <>
      <div className="jp-Kueue-filter">
        <InputGroup
          type="search"
          aria-label={trans.__('Filter runs')}
          title={trans.__(
            'Search, or use state:failed, queue:team-a, tag:weekly, schedule:"weekly report"'
          )}
          placeholder={trans.__('Filter runs')}
          rightIcon="ui-components:search"
          value={filter}
          onChange={event => actions.filter(event.target.value)}
        />
      </div>
      {/* A group without runs keeps its heading, so that nothing jumps when one moves on. */}
      <RunTree
        groups={[
          group('waiting', trans.__('Waiting'), 0),
          group('running', trans.__('Running'), 0),
          group('finished', trans.__('Finished'), olderCount)
        ]}
        selection={props.selection}
        progressOf={props.progressOf}
        scheduleName={props.scheduleName}
        staleSince={props.staleSince}
        actions={actions}
        trans={trans}
      />
      {isNothingFound && (
        <p className="jp-Kueue-empty" aria-live="polite">
          {filterProblem ?? trans.__('No runs match the filter.')}
        </p>
      )}
      {olderCount > 0 && !isFolded('finished') && (
        <button type="button" className="jp-Kueue-link" onClick={actions.listOlder}>
          {filter === '' ? trans.__('Show older runs') : trans.__('Look through older runs')}
        </button>
      )}
    </>
  );
}
