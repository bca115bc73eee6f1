import { staleSince } from '../src/models/connection';
import { RunsModel } from '../src/models/runs';
import type { IRunRow } from '../src/wire';
import { row } from './rows';
import { refusal, Server, until } from './server';

function page(items: readonly IRunRow[], total = items.length) {
  return { items, total, next_cursor: null };
}

const TEAM_A = {
  name: 'team-a',
  cluster_queue: 'team-a',
  active: true,
  message: null,
  pending: 0,
  admitted: 0,
  resources: {}
};

let server: Server;
let model: RunsModel;
let listed: IRunRow[];

beforeEach(() => {
  server = new Server();
  listed = [row('a')];
  server.answers.set('runs', () => page(listed));
  server.answers.set('local-queues', () => page([TEAM_A as never]));
  server.answers.set('health', () => ({ ok: true, settings: {}, problems: [] }));
  model = new RunsModel(server.settings);
});

afterEach(() => model.dispose());

/** Have the model listen to the server, and know what it lists. */
async function follow() {
  const observation = model.observe();
  await until(() => server.isListenedTo);
  server.tell({ type: 'hello', cursor: '1' });
  await until(() => model.isLoaded && model.queues !== null);
  return observation;
}

it('asks nothing while nobody looks, and stops when nobody does any more', async () => {
  expect(server.asked).toEqual([]);
  expect(model.connection.kind).toBe('closed');
  const observation = await follow();
  expect(model.connection.kind).toBe('live');
  observation.dispose();
  expect(model.connection.kind).toBe('closed');
  await until(() => !server.isListenedTo);
});

it('reads the lists once the stream is open', async () => {
  await follow();
  expect(server.asked[0]).toBe('GET changes');
  expect(model.groups.waiting.map(run => run.run_id)).toEqual(['a']);
  expect(model.defaultQueue).toBe('team-a');
  expect(server.asked.filter(asked => asked.includes('state=queued')).length).toBeLessThan(3);
});

it('follows the changes', async () => {
  await follow();
  server.tell({ type: 'run', cursor: '2', run_id: 'b', run: row('b', { state: 'running' }) });
  await until(() => model.groups.running.length === 1);
  server.tell({ type: 'run-deleted', cursor: '3', run_id: 'a', run: null });
  await until(() => model.groups.waiting.length === 0);
});

it('reads all anew after a gap', async () => {
  await follow();
  listed = [row('c')];
  server.tell({ type: 'gap', cursor: '9' });
  await until(() => model.run('c') !== undefined);
  expect(model.run('a')).toBeUndefined();
});

it('keeps what it knows when the server goes, and goes on where it was', async () => {
  await follow();
  server.hangUp();
  await until(() => model.connection.kind === 'lost');
  expect(model.interruption?.error.reason).toBe('offline');
  expect(model.run('a')).toBeDefined();
  await until(() => server.isListenedTo);
  expect(server.asked.filter(asked => asked.startsWith('GET changes')).pop()).toBe(
    'GET changes?since=1'
  );
  server.tell({ type: 'run', cursor: '2', run_id: 'b', run: row('b') });
  await until(() => model.connection.kind === 'live');
  await until(() => model.interruption === null);
  expect(model.run('b')).toBeDefined();
});

it('shows runs from memory while the cluster is away', async () => {
  const down = () => refusal(503, 'cluster-unavailable');
  server.answers.set('changes', down);
  server.answers.set('local-queues', down);
  model.observe();
  await until(() => model.isLoaded);
  expect(model.groups.waiting.map(run => run.run_id)).toEqual(['a']);
  expect(model.queues).toBeNull();
  expect(model.interruption?.error.reason).toBe('cluster-unavailable');
});

it('asks what is wrong when the queues cannot be read, and again when they can', async () => {
  await follow();
  server.answers.set('local-queues', () => refusal(503, 'cluster-unavailable'));
  const problem = { what: 'It is away.', fix: 'Wait.', severity: 'error' };
  server.answers.set('health', () => ({ ok: false, settings: {}, problems: [problem] }));
  server.tell({ type: 'local-queues', cursor: '2', run_id: null, run: null });
  await until(() => model.problems.length === 1);
  expect(model.queues).toHaveLength(1);
  expect(model.interruption?.error.reason).toBe('cluster-unavailable');
  server.answers.set('local-queues', () => page([TEAM_A as never]));
  server.answers.set('health', () => ({ ok: true, settings: {}, problems: [] }));
  await until(() => model.problems.length === 0 && model.interruption === null);
});

it('deletes many in parts, and tells how far it is', async () => {
  listed = Array.from({ length: 300 }, (_, number) => row(`run-${number}`));
  await follow();
  const deletions: string[][] = [];
  server.answers.set('runs', () => {
    const asked = server.asked[server.asked.length - 1] ?? '';
    const named = [...new URLSearchParams(asked.split('?')[1]).getAll('run_id')];
    deletions.push(named);
    const failures = named.includes('run-7')
      ? [{ run_id: 'run-7', message: 'It is gone.', reason: 'not-found' }]
      : [];
    return { deleted: named.filter(runId => runId !== 'run-7'), failures };
  });
  const done: number[] = [];
  const failures = await model.deleteRuns(
    listed.map(run => run.run_id),
    count => done.push(count)
  );
  expect(failures.map(failure => failure.message)).toEqual(['It is gone.']);
  expect(deletions.flat()).toHaveLength(300);
  expect(done).toEqual([...done].sort((a, b) => a - b));
  expect(done[done.length - 1]).toBe(300);
  expect(model.groups.waiting.map(run => run.run_id)).toEqual(['run-7']);
});

it('shows a run that was submitted again at once', async () => {
  await follow();
  server.answers.set('runs/a/rerun', () => row('again', { name: 'a' }));
  await model.rerunRun('a', { parameters: { lr: 0.1 } });
  expect(model.run('again')?.name).toBe('a');
  server.answers.set('runs/a/rerun', () =>
    refusal(422, 'invalid', 'parameters: no', { parameters: 'no' })
  );
  await expect(model.rerunRun('a')).rejects.toMatchObject({ fields: { parameters: 'no' } });
});

it('knows the names of the schedules that runs are of, and asks for no others', async () => {
  let name = 'weekly report';
  server.answers.set('schedules', () => page([{ schedule_id: 's', name } as never]));
  await follow();
  server.tell({ type: 'schedule', cursor: '2' });
  server.tell({ type: 'run', cursor: '3', run_id: 'b', run: row('b', { schedule_id: 's' }) });
  await until(() => model.scheduleName('s') === 'weekly report');
  const asked = () => server.asked.filter(one => one.startsWith('GET schedules')).length;
  expect(asked()).toBe(1);
  name = 'monthly report';
  server.tell({ type: 'schedule', cursor: '4' });
  await until(() => model.scheduleName('s') === 'monthly report');
  // One that is not there is asked for once.
  for (const cursor of ['5', '6']) {
    server.tell({ type: 'run', cursor, run_id: cursor, run: row(cursor, { schedule_id: 'gone' }) });
  }
  await until(() => model.run('6') !== undefined && asked() === 3);
  expect(model.scheduleName('gone')).toBeNull();
  expect(asked()).toBe(3);
});

it('says since when states may be others', async () => {
  await follow();
  expect(staleSince(model)).toBeNull();
  server.answers.set('local-queues', () => refusal(403, 'forbidden'));
  server.tell({ type: 'local-queues', cursor: '2', run_id: null, run: null });
  await until(() => model.interruption !== null);
  expect(staleSince(model)).toBeNull();
  server.answers.set('local-queues', () => refusal(503, 'cluster-unavailable'));
  server.tell({ type: 'local-queues', cursor: '3', run_id: null, run: null });
  await until(() => staleSince(model) !== null);
  server.answers.set('local-queues', () => page([TEAM_A as never]));
  await until(() => model.interruption === null);
  expect(staleSince(model)).toBeNull();
  server.hangUp();
  await until(() => staleSince(model) !== null);
});
