import { nullTranslator } from '@jupyterlab/translation';

import * as api from '../src/api';
import { FollowedRun } from '../src/models/followed-run';
import { followingText } from '../src/models/words';
import type { IRun, IProgress, RunState } from '../src/wire';
import { row } from './rows';
import { refusal, Server, until } from './server';

const trans = nullTranslator.load('jupyter_kueue');

let server: Server;
let updates: RunState[];
let run: FollowedRun;

function runIn(state: RunState, progress: IProgress | null = null): IRun {
  const finished_at = state === 'running' ? null : '2026-11-26T11:00:00Z';
  return {
    ...row('a', { state, finished_at }),
    progress,
    attempts: [],
    error: null,
    files: [],
    inputs: [],
    format_errors: {},
    format_error_sentences: {},
    file_errors: {},
    file_error_sentences: {}
  };
}

beforeEach(() => {
  server = new Server();
  updates = [];
  run = new FollowedRun({
    serverSettings: server.settings,
    runId: 'a',
    update: ({ state }) => {
      updates.push(state);
      return Promise.resolve();
    }
  });
});

afterEach(() => run.dispose());

it('says which cell it shows, and asks no more once the run has ended', async () => {
  const progress = { cell: 3, cells_done: 2, cells: 12, since: null };
  server.answers.set('runs/a', () => runIn('running', progress));
  expect(followingText(run, false, trans)).toBe('');
  run.start();
  await until(() => run.run !== null);
  expect(followingText(run, false, trans)).toBe(
    'Running: cell 3 of 12. Read-only; updates every few seconds.'
  );

  server.answers.set('runs/a', () => runIn('succeeded'));
  run.stop();
  run.start();
  await until(() => run.isFinished);
  expect(followingText(run, false, trans)).toBe('This run has finished.');
  expect(updates).toEqual(['running', 'succeeded']);
  run.start();
  await new Promise(resolve => setTimeout(resolve));
  expect(updates).toHaveLength(2);
});

it('asks for nothing before somebody looks', async () => {
  server.answers.set('runs/a', () => runIn('running'));
  await new Promise(resolve => setTimeout(resolve));
  expect(server.asked).toEqual([]);
});

it('says when it is out of date, when its run is gone, and that it keeps the user’s changes', async () => {
  run.start();
  await until(() => run.error !== null);
  expect(followingText(run, false, trans)).toMatch(/^Not up to date\. The Jupyter server/);

  server.answers.set('runs/a', () => refusal(404, 'not-found'));
  run.start();
  await until(() => run.isDeleted);
  expect(followingText(run, false, trans)).toBe(
    'This run has been deleted. You see its last state.'
  );
  expect(
    followingText({ run: runIn('running'), error: null, isDeleted: false }, true, trans)
  ).toMatch(/^Not updating: you have changed/);
});

it('reads a notebook only where it is another one', async () => {
  server.answers.set('runs/a/notebook', () =>
    Response.json({ cells: [] }, { headers: { ETag: '"1"' } })
  );
  const version = await api.readChangedNotebook(server.settings, 'a', null);
  expect(version).toEqual({ etag: '"1"', notebook: { cells: [] } });
  server.answers.set('runs/a/notebook', () => new Response(null, { status: 304 }));
  expect(await api.readChangedNotebook(server.settings, 'a', '"1"')).toBeNull();
});
