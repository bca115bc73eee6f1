import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';

import { RunsModel } from '../src/models/runs';
import { PanelState } from '../src/models/panel-state';
import { row } from './rows';
import { Server, until } from './server';

const trans = nullTranslator.load('jupyter_kueue');

async function runsOf(...names: readonly string[]): Promise<RunsModel> {
  const server = new Server();
  server.answers.set('runs', () => ({
    items: names.map(name => row(name)),
    total: names.length,
    next_cursor: null
  }));
  const runs = new RunsModel(server.settings);
  await runs.refresh();
  return runs;
}

it('remembers what is folded and what was dismissed', async () => {
  const memory = new StateDB();
  const runs = await runsOf('a');
  const before = new PanelState({ runs, trans, memory });
  before.fold('finished', true);
  before.dismiss(['Not allowed: list cohorts']);
  await until(() => before.isFolded('finished'));
  before.dispose();

  const after = new PanelState({ runs, trans, memory });
  await until(() => after.isFolded('finished'));
  expect(after.isFolded('waiting')).toBe(false);
  expect([...after.dismissed]).toEqual(['Not allowed: list cohorts']);
  after.dispose();
  runs.dispose();
});

it('selects what is seen, and forgets what the filter hides', async () => {
  const runs = await runsOf('train 1', 'train 2', 'report');
  const state = new PanelState({ runs, trans, memory: null });
  state.selectAll();
  expect(state.selection.runIds.size).toBe(3);
  state.filter = 'train';
  expect([...state.selection.runIds]).toEqual(['train 1', 'train 2']);
  state.include('train 2');
  expect(state.selection.runIds.size).toBe(2);
  state.include('report');
  expect([...state.selection.runIds]).toEqual(['report']);
  state.fold('waiting', true);
  state.selectAll();
  expect(state.selection.runIds.size).toBe(0);
  state.dispose();
  runs.dispose();
});
