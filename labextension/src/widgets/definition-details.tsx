/** A job definition in jupyter-scheduler's detail view: when it fires, and what its form lacks. */
import type { Scheduler } from '@jupyterlab/scheduler';
import React from 'react';

import * as api from '../api';
import { Asked } from '../components/asked';
import { known } from '../models/connection';
import { Reader } from '../models/reader';
import { messageOf } from '../models/sentences';
import { reasonOf } from '../models/words';
import { CommandIDs } from '../tokens';
import type { ISchedule } from '../wire';
import type { IOptionsContext, OptionsProps } from './advanced-options';
import { askedFor } from './job-details';

interface IDefinition {
  readonly schedule: ISchedule;
  readonly runs: number;
}

export function DefinitionDetails({ model, context }: OptionsProps): React.JSX.Element {
  const { commands, trans } = context;
  const [definition, reload, problem] = useDefinition(model, context);
  const message = definition === null ? null : messageOf(definition.schedule, trans);
  const edit = () => {
    commands
      .execute(CommandIDs.editSchedule, { schedule_id: model.definitionId ?? '' })
      .then(reload, (error: unknown) => console.debug('It was not changed.', error));
  };
  return (
    <div className="jp-Kueue-options">
      {problem !== null && <p className="jp-Kueue-empty">{problem}</p>}
      {definition !== null && (
        <>
          <div className="jp-Kueue-status" role="status">
            <div>
              {definition.schedule.next_run_at === null
                ? isPaused(definition.schedule)
                  ? trans.__('Paused: no next run.')
                  : trans.__('No next run.')
                : trans.__(
                    'Next run: %1',
                    new Date(definition.schedule.next_run_at).toLocaleString(undefined, {
                      dateStyle: 'full',
                      timeStyle: 'short'
                    })
                  )}
            </div>
            {message !== null && <div className="jp-Kueue-fix">{message}</div>}
            <div className="jp-Kueue-fix">
              {definition.runs === 0
                ? trans.__('It has no runs yet.')
                : trans._n(
                    'Deleting this definition also deletes its run and the run’s results.',
                    'Deleting this definition also deletes its %1 runs and their results.',
                    definition.runs
                  )}
            </div>
          </div>
          <Asked asked={askedFor(model, trans)} trans={trans} />
          <button type="button" className="jp-mod-styled" onClick={edit}>
            {trans.__('Edit queue, size and parameters…')}
          </button>
        </>
      )}
    </div>
  );
}

/** Tell whether a schedule is paused: one that has ended is not active either, and says so. */
function isPaused({ active, sentence }: ISchedule): boolean {
  return !active && sentence?.code.startsWith('schedule-ended-') !== true;
}

function useDefinition(
  model: Scheduler.IModel,
  { serverSettings, trans }: IOptionsContext
): [IDefinition | null, () => void, string | null] {
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  const scheduleId = model.definitionId;
  const reader = React.useRef<Reader<IDefinition> | null>(null);
  React.useEffect(() => {
    if (scheduleId === undefined) {
      return;
    }
    const read = new Reader<IDefinition>({
      name: 'jupyter-kueue:schedule',
      read: async () => {
        const [schedule, runs] = await Promise.all([
          api.getSchedule(serverSettings, scheduleId),
          api.countRunsOfSchedule(serverSettings, scheduleId)
        ]);
        return { schedule, runs };
      }
    });
    reader.current = read;
    read.changed.connect(redraw);
    void read.refresh();
    return () => read.dispose();
  }, [serverSettings, scheduleId]);
  // The view around this one reads its definition anew whenever something was done to it.
  React.useEffect(() => void reader.current?.refresh(), [model]);
  const reading = reader.current?.reading ?? { kind: 'unread' };
  return [
    known(reading),
    () => void reader.current?.refresh(),
    reading.kind === 'failed' ? reasonOf(reading.error, trans) : null
  ];
}
