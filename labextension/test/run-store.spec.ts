import { RunStore, runsAhead } from '../src/models/run-store';
import { at, row } from './rows';

const ids = (runs: readonly { run_id: string }[]) => runs.map(run => run.run_id);

describe('waiting runs', () => {
  const store = new RunStore();
  store.replace([
    row('older, but later', { position: at(3), created_at: '2026-11-26T09:00:00Z' }),
    row('blocked', { position: at(0), reason: 'blocked', created_at: '2026-11-26T08:00:00Z' }),
    row('first', { position: at(1) }),
    row('second', { position: at(2) }),
    row('unknown')
  ]);

  it('stand in the order in which they will start, blocked ones last', () => {
    expect(ids(store.groups.waiting)).toEqual([
      'first',
      'second',
      'older, but later',
      'unknown',
      'blocked'
    ]);
  });

  it('do not wait for those that cannot start', () => {
    const ahead = runsAhead(store.groups.waiting);
    expect(ahead.get('first')).toBe(0);
    expect(ahead.get('second')).toBe(1);
    expect(ahead.get('blocked')).toBeNull();
    expect(ahead.get('unknown')).toBeNull();
  });

  it('of another queue do not count', () => {
    const waiting = [
      row('mine', { position: at(1) }),
      row('theirs', { position: at(0), reason: 'blocked', local_queue: 'team-b' })
    ];
    expect(runsAhead(waiting).get('mine')).toBe(1);
  });
});

describe('a change', () => {
  it('keeps the position that is known, as it tells none', () => {
    const store = new RunStore();
    store.put(row('a', { position: at(4) }));
    store.put(row('a', { message: 'Waits for 1 GPU.' }));
    expect(store.get('a')?.position).toEqual(at(4));
  });

  it('moves a run to its group', () => {
    const store = new RunStore();
    store.put(row('a'));
    expect(ids(store.groups.waiting)).toEqual(['a']);
    store.put(row('a', { state: 'running' }));
    expect(ids(store.groups.running)).toEqual(['a']);
    store.put(row('a', { state: 'failed', finished_at: '2026-11-26T11:00:00Z' }));
    expect(ids(store.groups.finished)).toEqual(['a']);
    store.delete('a');
    expect(store.groups.finished).toEqual([]);
  });
});
