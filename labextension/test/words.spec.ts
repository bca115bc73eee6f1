import { nullTranslator } from '@jupyterlab/translation';

import { SENTENCES } from '../src/models/catalogue';
import {
  EXACT,
  cellOf,
  detailOf,
  duration,
  byteSize,
  free,
  freeText,
  namesOf,
  position,
  reasonOf,
  sayingOf,
  sentences,
  sinceOf,
  stagingText,
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
  [4300, '4.2 KiB'],
  [0, '0 B'],
  [1023, '1023 B'],
  [3 * 2 ** 20, '3 MiB']
])('%d bytes are %s', (bytes, words) => expect(byteSize(bytes, trans)).toBe(words));

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

it('says what is free, and what more by taking back', () => {
  const usage = { used: 0, cluster_queue_used: 0, nominal: 2, borrowed: 0, limit: 4 };
  const queue = {
    name: 'team-b',
    cluster_queue: 'team-b',
    active: true,
    message: null,
    sentence: null,
    pending: 0,
    admitted: 0,
    resources: {
      memory: { ...usage, free: 20.8 * 2 ** 30, reclaimable: 0 },
      cpu: { ...usage, free: 6.8, reclaimable: 0 },
      'nvidia.com/gpu': { ...usage, free: 1, reclaimable: 1 }
    }
  };
  expect(freeText(queue, trans)).toBe(
    '1 GPU, 6.8 CPUs, 20.8 GiB free (and 1 GPU that it can take back)'
  );
  expect(freeText({ ...queue, resources: {} }, trans)).toBeNull();
});

it('says what moving the files of a run takes beside it', () => {
  const staging = { cpu: '50m', memory: '128Mi' };
  expect(stagingText('cpu', staging, trans)).toBe(
    'Each run includes 0.05 CPU for moving its files'
  );
  expect(stagingText('memory', staging, trans)).toContain('128 MiB');
  expect(stagingText('nvidia.com/gpu', staging, trans)).toBeNull();
  expect(stagingText('cpu', { cpu: '0' }, trans)).toBeNull();
  expect(stagingText('cpu', null, trans)).toBeNull();
});

describe('a waiting run', () => {
  const sentence = { code: 'waits-for-amount', values: { amount: '1 GPU' } };

  it('says what is missing before it names its queue', () => {
    const waiting = row('a', { message: 'Waiting for 1 GPU.', sentence });
    expect(sayingOf(waiting, trans)).toBe('Waiting for 1 GPU · team-a');
    const left = { count: 1, paths: ['.env'], ignored_count: 0, ignored_paths: [] };
    const left_behind = {
      ...left,
      message: 'Hidden files were not uploaded: .env.',
      sentence: null
    };
    expect(sayingOf({ ...waiting, left_behind }, trans)).toBe(
      'Waiting for 1 GPU · team-a. Hidden files were not uploaded: .env.'
    );
  });

  it('names its queue once', () => {
    const waits = { code: 'waits-for-turn', values: { queue: 'team-a' } };
    const waiting = row('a', { message: 'Waiting in team-a.', sentence: waits });
    expect(sayingOf(waiting, trans)).toBe('Waiting in team-a.');
  });

  it('has the words of the cluster where its own say less', () => {
    const detail = "couldn't assign flavors to pod set main";
    const waiting = row('a', { message: 'Waiting for 1 GPU.', sentence, detail });
    expect(detailOf(waiting, trans)).toBeNull();
    const paused = { code: 'both', values: { first: 'Paused.', second: sentence } };
    expect(detailOf({ ...waiting, sentence: paused }, trans)).toBeNull();
    const other = { ...waiting, sentence: { code: 'admission-check', values: {} } };
    expect(detailOf(other, trans)).toBe(`Cluster: ${detail}`);
    expect(detailOf({ ...other, detail: null }, trans)).toBeNull();
  });
});

it('knows sentences by codes that there are', () => {
  expect([...EXACT].filter(code => !SENTENCES.has(code))).toEqual([]);
});

it.each([
  'Job has reached the specified backoff limit',
  'Container notebook for pod default/nb-1 failed with exit code 45 matching FailJob rule at index 2'
])('leaves out %j', detail => {
  const failed = row('a', { state: 'failed', message: 'Ran out of memory.', detail });
  expect(detailOf(failed, trans)).toBeNull();
});

it.each([
  ['queued', {}, '10:00'],
  ['starting', { admitted_at: '10:05' }, '10:05'],
  ['running', { admitted_at: '10:05', started_at: '10:06' }, '10:06'],
  ['running', { admitted_at: '10:05', started_at: '10:06', attempt_started_at: '10:30' }, '10:30'],
  // Admitted again, its next attempt has not begun.
  ['starting', { admitted_at: '10:40', started_at: '10:06', attempt_started_at: '10:30' }, '10:40'],
  ['starting', { reason: 'retrying', admitted_at: '10:05', attempt_started_at: '10:06' }, null]
] as const)('%s with %j goes on since %j', (state, times, since) => {
  const at = (value: string) => (/^\d/.test(value) ? `2026-11-26T${value}:00Z` : value);
  const fields = Object.fromEntries(Object.entries(times).map(([key, value]) => [key, at(value)]));
  const run = row('a', { state, created_at: at('10:00'), ...fields });
  expect(sinceOf(run)).toBe(since === null ? null : at(since));
});

it('says when a run began again', () => {
  const first = '2026-01-02T03:04:05.000Z';
  const running = row('r', {
    state: 'running',
    message: 'Running.',
    sentence: null,
    started_at: first,
    attempt_started_at: first
  });
  expect(sayingOf(running, trans)).toBe('Running.');
  const again = { ...running, attempt_started_at: '2026-01-02T04:05:06.000Z' };
  expect(sayingOf(again, trans)).toMatch(/^Running\. It started again at .+\.$/);
  expect(sayingOf({ ...again, state: 'succeeded', message: null }, trans)).toBe('Succeeded.');
});
