import type { Contents } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import { KueueDrive } from '../src/models/drive';
import { row } from './rows';
import { Server } from './server';

const ID = '1113694e-84ab-4f65-90b8-bc62bbecf0fe';
const trans = nullTranslator.load('jupyter_kueue');

/** The user's own files, by their paths. */
class OwnFiles {
  readonly files = new Map<string, unknown>();

  get(path: string): Promise<unknown> {
    return this.files.has(path)
      ? Promise.resolve({ path, content: this.files.get(path) })
      : Promise.reject(Object.assign(new Error('Not found'), { response: { status: 404 } }));
  }

  save(path: string, options: Partial<Contents.IModel>): Promise<unknown> {
    this.files.set(path, options.content);
    return Promise.resolve({ path });
  }

  delete(path: string): Promise<void> {
    this.files.delete(path);
    return Promise.resolve();
  }
}

let server: Server;
let own: OwnFiles;
let drive: KueueDrive;

function run(state: 'running' | 'succeeded', ...paths: readonly [string, string][]) {
  const files = paths.map(([path, role]) => ({ path, role, size_bytes: 1 }));
  const run = row(ID, { state, request: { input_path: 'reports/weekly.ipynb' } });
  const inputs = [{ path: 'data/a.csv', role: 'input', size_bytes: 1 }];
  server.answers.set(`runs/${ID}`, () => ({ ...run, progress: null, error: null, files, inputs }));
}

beforeEach(() => {
  server = new Server();
  own = new OwnFiles();
  drive = new KueueDrive({
    serverSettings: server.settings,
    own: own as unknown as Contents.IManager,
    trans
  });
});

it('lists the files of a run as a folder', async () => {
  run(
    'succeeded',
    ['weekly.ipynb', 'notebook'],
    ['data/a.csv', 'side-effect'],
    ['data/b.csv', 'side-effect']
  );
  const folder = await drive.get(ID);
  expect((folder.content as Contents.IModel[]).map(({ name, type }) => [name, type])).toEqual([
    ['weekly.ipynb', 'notebook'],
    ['data', 'directory']
  ]);
});

it('tells what a run took along from what it wrote under the same name', async () => {
  run('succeeded', ['data/a.csv', 'side-effect']);
  server.answers.set(`runs/${ID}/files/data/a.csv`, () => new Response('written'));
  server.answers.set(`runs/${ID}/inputs/data/a.csv`, () => new Response('taken along'));
  expect(await drive.get(`${ID}/data/a.csv`)).toMatchObject({ content: 'written' });
  expect(await drive.get(`inputs/${ID}/data/a.csv`)).toMatchObject({
    path: `inputs/${ID}/data/a.csv`,
    content: 'taken along'
  });
  const folder = await drive.get(`inputs/${ID}`);
  expect((folder.content as Contents.IModel[]).map(({ path }) => path)).toEqual([
    `inputs/${ID}/data`
  ]);
});

it('opens the notebook and the log of a run that goes on as they are so far', async () => {
  run('running', ['run.log', 'log']);
  server.answers.set(`runs/${ID}/notebook`, () => ({ cells: [], nbformat: 4 }));
  server.answers.set(`runs/${ID}/logs`, () => new Response('cell 1\n'));
  const notebook = await drive.get(`${ID}/weekly.ipynb`);
  expect(notebook).toMatchObject({ type: 'notebook', writable: false, content: { cells: [] } });
  const log = await drive.get(`${ID}/run.log`);
  expect(log).toMatchObject({ type: 'file', format: 'text', content: 'cell 1\n' });
});

it('saves a changed result among the user’s own files, and overwrites none', async () => {
  own.files.set('weekly.ipynb', 'the source');
  await drive.save(`${ID}/weekly.ipynb`, { content: 'changed' });
  expect(own.files.get('weekly.ipynb')).toBe('the source');
  expect(own.files.get('weekly-Copy1.ipynb')).toBe('changed');
  await drive.save('folder/mine.ipynb', { content: 'named' });
  expect(own.files.get('folder/mine.ipynb')).toBe('named');
});

it('looks for a name in the user’s own files, so that Lab asks before it overwrites', async () => {
  await expect(drive.get('mine.ipynb')).rejects.toMatchObject({ response: { status: 404 } });
  own.files.set('mine.ipynb', 'there');
  expect(await drive.get('mine.ipynb')).toMatchObject({ content: 'there' });
});

it('never changes a run', async () => {
  await expect(drive.delete(`${ID}/weekly.ipynb`)).rejects.toThrow('never change');
  await expect(drive.rename()).rejects.toThrow('never change');
});
