/** A group of runs, each keeping its place while it changes. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { ISelection } from '../models/selection';
import type { IJobRow } from '../wire';
import type { IJobActions } from './job-row';
import { JobRow } from './job-row';

interface IJobListProps {
  readonly label: string;
  readonly jobs: readonly IJobRow[];
  readonly selection: ISelection;
  readonly actions: IJobActions;
  readonly trans: TranslationBundle;
}

export function JobList(props: IJobListProps): React.JSX.Element {
  const { label, jobs, selection, actions, trans } = props;
  return (
    <ul className="jp-Kueue-jobs" role="listbox" aria-label={label} aria-multiselectable={true}>
      {jobs.map(job => (
        <JobRow
          key={job.job_id}
          job={job}
          isSelected={selection.jobIds.has(job.job_id)}
          actions={actions}
          trans={trans}
        />
      ))}
    </ul>
  );
}
