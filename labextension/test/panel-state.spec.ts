import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';

import { JobsModel } from '../src/models/jobs';
import { PanelState } from '../src/models/panel-state';
import { row } from './rows';
import { Server, until } from './server';

const trans = nullTranslator.load('jupyter_kueue');

async function jobsOf(...names: readonly string[]): Promise<JobsModel> {
  const server = new Server();
  server.answers.set('jobs', () => ({
    items: names.map(name => row(name)),
    total: names.length,
    next_cursor: null
  }));
  const jobs = new JobsModel(server.settings);
  await jobs.refresh();
  return jobs;
}

it('remembers what is folded and what was dismissed', async () => {
  const memory = new StateDB();
  const jobs = await jobsOf('a');
  const before = new PanelState({ jobs, trans, memory });
  before.fold('finished', true);
  before.dismiss(['Not allowed: list cohorts']);
  await until(() => before.isFolded('finished'));
  before.dispose();

  const after = new PanelState({ jobs, trans, memory });
  await until(() => after.isFolded('finished'));
  expect(after.isFolded('waiting')).toBe(false);
  expect([...after.dismissed]).toEqual(['Not allowed: list cohorts']);
  after.dispose();
  jobs.dispose();
});

it('selects what is seen, and forgets what the filter hides', async () => {
  const jobs = await jobsOf('train 1', 'train 2', 'report');
  const state = new PanelState({ jobs, trans, memory: null });
  state.selectAll();
  expect(state.selection.jobIds.size).toBe(3);
  state.filter = 'train';
  expect([...state.selection.jobIds]).toEqual(['train 1', 'train 2']);
  state.include('train 2');
  expect(state.selection.jobIds.size).toBe(2);
  state.include('report');
  expect([...state.selection.jobIds]).toEqual(['report']);
  state.fold('waiting', true);
  state.selectAll();
  expect(state.selection.jobIds.size).toBe(0);
  state.dispose();
  jobs.dispose();
});
