/**
 * The panel's filter: words that a run's name, message, queue or tags must have, each of them; and
 * `state:failed`, `queue:team-a`, `tag:weekly`, `schedule:<id>`.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobRow } from '../wire';
import type { IJobGroups } from './job-store';
import { messageOf } from './sentences';

type Test = (job: IJobRow) => boolean;

/** Return the runs that a filter leaves, in the same order; all of them where it is empty. */
export function filtered(groups: IJobGroups, query: string, trans: TranslationBundle): IJobGroups {
  const tests = query
    .toLocaleLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
    .map(word => testOf(word, trans));
  if (tests.length === 0) {
    return groups;
  }
  const matches: Test = job => tests.every(test => test(job));
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
      return job => job.state === value || (value === 'waiting' && job.state === 'queued');
    case 'queue':
      return job => job.local_queue.toLocaleLowerCase() === value;
    case 'tag':
      return job => job.tags.some(tag => tag.toLocaleLowerCase() === value);
    case 'schedule':
      return job => job.schedule_id === value;
    default:
      return job => textOf(job, trans).includes(word);
  }
}

function textOf(job: IJobRow, trans: TranslationBundle): string {
  return [job.name, messageOf(job, trans) ?? '', job.local_queue, job.state, ...job.tags]
    .join('\n')
    .toLocaleLowerCase();
}
