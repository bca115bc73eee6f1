/**
 * The additional options in jupyter-scheduler's pages: queue and size in the create form, a run's
 * live state in a job's detail view, and missing details of a job definition in its view.
 */
import type { Scheduler } from '@jupyterlab/scheduler';
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';

import { Notices } from '../components/notices';
import { noticesOf } from '../models/notices';
import type { IRunsModel } from '../tokens';
import { CommandIDs } from '../tokens';
import { CreateForm } from './create-form';
import { DefinitionDetails } from './definition-details';
import { JobDetails } from './job-details';
import { execute } from './reporting';

export interface IOptionsContext {
  readonly model: IRunsModel;
  readonly serverSettings: ServerConnection.ISettings;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

export type OptionsProps = Scheduler.IAdvancedOptionsProps & {
  readonly context: IOptionsContext;
};

// jupyter-scheduler's JobsView, whose values are in the props.
const CREATE_FORM = 1;
const JOB_DETAIL = 5;

/** Return the component that jupyter-scheduler renders in its forms and views. */
export function advancedOptions(
  context: IOptionsContext
): React.FC<Scheduler.IAdvancedOptionsProps> {
  const { model, commands, trans } = context;
  return function AdvancedOptions(props): React.JSX.Element {
    React.useEffect(() => {
      const observation = model.observe();
      return () => observation.dispose();
    }, []);
    return (
      <UseSignal signal={model.changed}>
        {() => (
          <div className="jp-Kueue-scheduler">
            <Notices
              notices={whatIsMissing(context)}
              onAction={() => execute(commands, CommandIDs.refresh)}
              trans={trans}
            />
            {props.jobsView === CREATE_FORM ? (
              <CreateForm {...props} context={context} />
            ) : props.jobsView === JOB_DETAIL ? (
              <JobDetails {...props} context={context} />
            ) : (
              <DefinitionDetails {...props} context={context} />
            )}
          </div>
        )}
      </UseSignal>
    );
  };
}

/** What keeps runs from running; the panel shows notices that are only informative. */
function whatIsMissing({ model, trans }: IOptionsContext) {
  const { interruption, isLoaded } = model;
  const problems = model.problems.filter(problem => problem.severity === 'error');
  return noticesOf(
    { interruption, problems, isLoaded, dismissed: new Set(), stockBackend: null },
    trans
  );
}
