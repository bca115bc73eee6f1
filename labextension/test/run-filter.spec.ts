import { nullTranslator } from '@jupyterlab/translation';

import { filtered } from '../src/models/run-filter';
import { RunStore } from '../src/models/run-store';
import { row } from './rows';

const trans = nullTranslator.load('jupyter_kueue');
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
    ['state:failed train', []],
    ['state:', []]
  ])('%j leaves %j', (query, names) => {
    const { waiting, running, finished } = filtered(store.groups, query, trans);
    expect([...waiting, ...running, ...finished].map(run => run.name)).toEqual(names);
  });
});
