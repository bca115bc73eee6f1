/**
 * The panel's filter: words that a run's name, message, queue or tags must have, each of them; and
 * `state:failed`, `queue:team-a`, `tag:weekly`, `schedule:<id>`.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRunRow } from '../wire';
import type { IRunGroups } from './run-store';
import { messageOf } from './sentences';

type Test = (run: IRunRow) => boolean;

/** Return the runs that a filter leaves, in the same order; all of them where it is empty. */
export function filtered(groups: IRunGroups, query: string, trans: TranslationBundle): IRunGroups {
  const tests = query
    .toLocaleLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
    .map(word => testOf(word, trans));
  if (tests.length === 0) {
    return groups;
  }
  const matches: Test = run => tests.every(test => test(run));
  return {
    waiting: groups.waiting.filter(matches),
    running: groups.running.filter(matches),
    finished: groups.finished.filter(matches)
  };
}

function testOf(word: string, trans: TranslationBundle): Test {
  const [, key, value] = /^(state|queue|tag|schedule):(.+)$/.exec(word) ?? [];
  switch (key) {
    case 'state':
      // A user calls waiting what the server calls queued.
      return run => run.state === value || (value === 'waiting' && run.state === 'queued');
    case 'queue':
      return run => run.local_queue.toLocaleLowerCase() === value;
    case 'tag':
      return run => run.tags.some(tag => tag.toLocaleLowerCase() === value);
    case 'schedule':
      return run => run.schedule_id === value;
    default:
      return run => textOf(run, trans).includes(word);
  }
}

function textOf(run: IRunRow, trans: TranslationBundle): string {
  return [run.name, messageOf(run, trans) ?? '', run.local_queue, run.state, ...run.tags]
    .join('\n')
    .toLocaleLowerCase();
}
