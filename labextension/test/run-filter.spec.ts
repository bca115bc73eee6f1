import { nullTranslator } from '@jupyterlab/translation';

import { filtered } from '../src/models/run-filter';
import { RunStore } from '../src/models/run-store';
import { row } from './rows';

const scheduleName = (id: string) => (id === 'daily' ? 'Weekly report' : null);
const trans = nullTranslator.load('jupyter_kueue');
const context = { scheduleName, trans };
const store = new RunStore();
store.replace([
  row('train', { message: 'Waits for 2 GPUs', tags: ['Sales'] }),
  row('nightly train', { state: 'running', local_queue: 'team-b' }),
  row('report', { state: 'failed', message: 'Ran out of memory', schedule_id: 'daily' })
]);

describe('the filter', () => {
  it.each([
    ['', ['train', 'nightly train', 'report']],
    ['TRAIN', ['train', 'nightly train']],
    ['train nightly', ['nightly train']],
    ['memory', ['report']],
    ['state:failed', ['report']],
    ['state:waiting', ['train']],
    ['queue:team-b', ['nightly train']],
    ['tag:sales', ['train']],
    ['schedule:daily', ['report']],
    ['schedule:"weekly rep"', ['report']],
    ['"weekly report"', ['report']],
    ['queue:team', ['train', 'nightly train', 'report']],
    ['tag:sal', ['train']],
    ['state:finished', ['report']],
    ['state:fin', ['report']],
    ['state:queued', ['train']],
    ['state:running', ['nightly train']],
    ['state:failed train', []],
    ['state:', ['train', 'nightly train', 'report']]
  ])('%j leaves %j', (query, names) => {
    const { groups, problem } = filtered(store.groups, query, context);
    expect([...groups.waiting, ...groups.running, ...groups.finished].map(run => run.name)).toEqual(
      names
    );
    expect(problem).toBeNull();
  });

  it('names the states that there are', () => {
    const { groups, problem } = filtered(store.groups, 'train state:bogus', context);
    expect(groups.waiting).toEqual([]);
    expect(problem).toBe(
      'There is no state “bogus”. Use one of these: waiting, running, finished, queued, starting, ' +
        'stopping, succeeded, failed, stopped.'
    );
  });
});
