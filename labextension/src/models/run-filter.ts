/**
 * The panel's filter: words that a run's name, message, queue, tags or schedule must have, each of
 * them; and `state:failed`, `queue:team-a`, `tag:weekly`, `schedule:"weekly report"`, which match
 * beginnings.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRunRow, RunState } from '../wire';
import type { IRunGroups } from './run-store';
import { NO_RUNS } from './run-store';
import { messageOf } from './sentences';
import { quoted, stateName } from './words';

/** What the filter has to know beside the runs. */
export interface IFilterContext {
  /** Return a schedule's name; null where it is not known. */
  readonly scheduleName: (scheduleId: string) => string | null;
  readonly trans: TranslationBundle;
}

export interface IFiltered {
  /** The runs that are left, in the same order. */
  readonly groups: IRunGroups;
  /** What is wrong with the filter, as a sentence; null where nothing is. */
  readonly problem: string | null;
}

type Test = (run: IRunRow) => boolean;

/** The panel's sections, and the states. A name stands for all the states behind it. */
const STATES: readonly (readonly [string, readonly RunState[]])[] = [
  ['waiting', ['queued']],
  ['running', ['starting', 'running', 'stopping']],
  ['finished', ['succeeded', 'failed', 'stopped']],
  ['queued', ['queued']],
  ['starting', ['starting']],
  ['stopping', ['stopping']],
  ['succeeded', ['succeeded']],
  ['failed', ['failed']],
  ['stopped', ['stopped']]
];

/** Return the runs that a filter leaves; all of them where it is empty. */
export function filtered(groups: IRunGroups, query: string, context: IFilterContext): IFiltered {
  const words = query.toLocaleLowerCase().match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
  const unknown = words
    .map(word => /^state:(.*)$/.exec(word)?.[1])
    .find(name => name !== undefined && statesOf(name, context.trans).length === 0);
  if (unknown !== undefined) {
    return { groups: NO_RUNS, problem: unknownState(unknown, context.trans) };
  }
  const tests = words.map(word => testOf(word, context));
  if (tests.length === 0) {
    return { groups, problem: null };
  }
  const matches: Test = run => tests.every(test => test(run));
  const left = {
    waiting: groups.waiting.filter(matches),
    running: groups.running.filter(matches),
    finished: groups.finished.filter(matches)
  };
  return { groups: left, problem: null };
}

function testOf(word: string, context: IFilterContext): Test {
  const { trans, scheduleName } = context;
  const [, key, typed = ''] = /^(state|queue|tag|schedule):(.*)$/.exec(word) ?? [];
  const value = typed.replaceAll('"', '');
  const begins = (text: string) => text.toLocaleLowerCase().startsWith(value);
  switch (key) {
    case 'state': {
      const states = statesOf(value, trans);
      return run => states.includes(run.state);
    }
    case 'queue':
      return run => begins(run.local_queue);
    case 'tag':
      return run => run.tags.some(begins);
    case 'schedule':
      return ({ schedule_id: id }) =>
        id !== null && (begins(scheduleName(id) ?? '') || id === value);
    default: {
      const text = word.replaceAll('"', '');
      return run => textOf(run, context).includes(text);
    }
  }
}

/** Return the states whose names begin so, in English or as the panel calls them. */
function statesOf(name: string, trans: TranslationBundle): readonly RunState[] {
  return STATES.filter(([english, states]) => {
    const [only] = states.length === 1 ? states : [];
    const shown = only === undefined ? '' : stateName(only, trans).toLocaleLowerCase();
    return english.startsWith(name) || shown.startsWith(name);
  }).flatMap(([, states]) => states);
}

function unknownState(name: string, trans: TranslationBundle): string {
  const known = STATES.map(([english]) => english).join(trans.__(', '));
  return trans.__('There is no state %1. Use one of these: %2.', quoted(name, trans), known);
}

function textOf(run: IRunRow, { scheduleName, trans }: IFilterContext): string {
  const schedule = run.schedule_id === null ? null : scheduleName(run.schedule_id);
  const said = messageOf(run, trans);
  return [run.name, said ?? '', run.local_queue, run.state, schedule ?? '', ...run.tags]
    .join('\n')
    .toLocaleLowerCase();
}
