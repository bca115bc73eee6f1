import { nullTranslator } from '@jupyterlab/translation';

import {
  cellOf,
  duration,
  fileSize,
  free,
  namesOf,
  position,
  reasonOf,
  sentences,
  usage
} from '../src/models/words';
import { RequestError } from '../src/request';
import { row } from './rows';

const trans = nullTranslator.load('jupyter_kueue');

it.each([
  [-5, '0 s'],
  [59_999, '59 s'],
  [3 * 60_000, '3 min'],
  [7_500_000, '2 h 5 min'],
  [3 * 86_400_000 + 4 * 3_600_000, '3 d 4 h']
])('%d ms are %s', (ms, words) => expect(duration(ms, trans)).toBe(words));

it.each([
  [null, null],
  [0, 'next'],
  [1, '1 run ahead'],
  [2, '2 runs ahead']
])('%j before it: %j', (ahead, words) => expect(position(ahead, trans)).toBe(words));

it.each([
  [undefined, null],
  [{ cell: null, cells_done: 0, cells: 0, since: null }, null],
  [{ cell: 7, cells_done: 6, cells: 21, since: null }, 'cell 7 of 21'],
  [{ cell: null, cells_done: 21, cells: 21, since: null }, 'cell 21 of 21']
])('%j is %j', (progress, words) => expect(cellOf(progress, trans)).toBe(words));

it.each([
  [812, '812 B'],
  [4200, '4.2 KB'],
  [0, '0 B'],
  [3_000_000, '3 MB']
])('%d bytes are %s', (bytes, words) => expect(fileSize(bytes, trans)).toBe(words));

it('makes one text of sentences', () => {
  expect(sentences('Succeeded', null, 'Hidden files stayed behind: .env.', '')).toBe(
    'Succeeded. Hidden files stayed behind: .env.'
  );
});

it('names three runs, and counts the rest', () => {
  const runs = ['a', 'b', 'c', 'd', 'e'].map(name => row(name));
  expect(namesOf(runs.slice(0, 2), trans)).toBe('“a”, “b”');
  expect(namesOf(runs, trans)).toBe('“a”, “b”, “c” and 2 more');
});

it('has words of its own for what does not answer', () => {
  const said = (reason: string) => reasonOf(new RequestError(0, reason, 'Failed to fetch'), trans);
  expect(said('offline')).toMatch(/^The Jupyter server does not answer/);
  expect(said('cluster-unavailable')).toBe('The cluster does not answer. Try again once it does.');
  expect(said('conflict')).toBe('Failed to fetch');
});

it('says how full a queue is, and what is free in it', () => {
  const gpus = {
    used: 3,
    cluster_queue_used: 3,
    nominal: 2,
    borrowed: 1,
    limit: 4,
    free: 1,
    reclaimable: 0
  };
  expect(usage('nvidia.com/gpu', gpus, trans)).toBe('2 of 2 + 1 borrowed');
  expect(free(gpus)).toBe(1);
  // What others borrow of it is in use, whatever the queue itself uses.
  expect(free({ ...gpus, used: 0, cluster_queue_used: 0, free: 0, reclaimable: 2 })).toBe(0);
  // Without the right to read the cohorts, what it owns itself.
  expect(free({ ...gpus, cluster_queue_used: 1, limit: null, free: null })).toBe(1);
});
