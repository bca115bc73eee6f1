import { RunsModel } from '../src/models/runs';
import { replaceWaiting } from '../src/models/replacement';
import type { RunState } from '../src/wire';
import { row } from './rows';
import { refusal, Server } from './server';

let server: Server;
let model: RunsModel;

beforeEach(() => {
  server = new Server();
  model = new RunsModel(server.settings);
  server.answers.set('runs/old/rerun', () => row('new'));
  server.answers.set('runs/old/stop', () => row('old', { state: 'stopped' }));
  is('queued');
});

afterEach(() => model.dispose());

function is(state: RunState): void {
  server.answers.set('runs/old', () => row('old', { state }));
}

const replace = () => replaceWaiting(model, server.settings, 'old', { name: 'smaller' });

it('queues the new run before it stops the one that waits', async () => {
  expect(await replace()).toMatchObject({ run: { run_id: 'new' }, failure: null });
  const asked = ['POST runs/old/rerun', 'GET runs/old', 'POST runs/old/stop'];
  expect(server.asked).toEqual(asked);
});

it('stops nothing where the new run is refused', async () => {
  server.answers.set('runs/old/rerun', () => refusal(422, 'invalid-request'));
  await expect(replace()).rejects.toThrow('It does not work.');
  expect(server.asked).toEqual(['POST runs/old/rerun']);
});

it('says that the one that waits was not stopped', async () => {
  server.answers.set('runs/old/stop', () => refusal(503, 'cluster-unavailable'));
  const { run, failure } = await replace();
  expect(run.run_id).toBe('new');
  expect(failure?.message).toBe('It does not work.');
});

it.each<[RunState, boolean]>([
  ['running', true],
  ['starting', true],
  ['succeeded', false],
  ['stopped', false]
])('leaves one alone that is %s by then', async (state, hasStarted) => {
  is(state);
  expect(await replace()).toMatchObject({ hasStarted, failure: null });
  expect(server.asked).not.toContain('POST runs/old/stop');
});
