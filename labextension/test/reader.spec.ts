import { PromiseDelegate } from '@lumino/coreutils';

import { Reader } from '../src/models/reader';
import { RequestError } from '../src/request';
import { until } from './server';

it('reads when it is told to, and never twice at once', async () => {
  const answers = [new PromiseDelegate<number>(), new PromiseDelegate<number>()];
  let asked = 0;
  const reader = new Reader({
    name: 'test',
    read: () => {
      asked += 1;
      return answers[asked - 1]?.promise ?? Promise.resolve(asked);
    }
  });
  expect(reader.reading.kind).toBe('unread');
  const first = reader.refresh();
  await until(() => asked === 1);
  const second = reader.refresh();
  void reader.refresh();
  answers[0]?.resolve(1);
  await until(() => asked === 2);
  answers[1]?.resolve(2);
  await Promise.all([first, second]);
  expect(asked).toBe(2);
  expect(reader.reading).toEqual({ kind: 'read', value: 2 });
  reader.dispose();
});

it('keeps what it knows when it fails, and tries again by itself', async () => {
  const results: (() => Promise<string>)[] = [
    () => Promise.resolve('before'),
    () => Promise.reject(new RequestError(503, 'cluster-unavailable', 'away')),
    () => Promise.resolve('after')
  ];
  const reader = new Reader({
    name: 'test',
    read: () => results.shift()?.() ?? new Promise(() => undefined)
  });
  await reader.refresh();
  await reader.refresh();
  expect(reader.reading).toMatchObject({ kind: 'failed', value: 'before' });
  await until(() => reader.reading.kind === 'read');
  expect(reader.reading).toEqual({ kind: 'read', value: 'after' });
  reader.dispose();
});
