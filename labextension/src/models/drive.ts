/**
 * The files of runs as a read-only drive of JupyterLab, `kueue:<run_id>/<path>`, and their inputs,
 * `kueue:inputs/<run_id>/<path>`, so that all of Lab's viewers open them and nothing is copied into
 * the user's folders. For an unfinished run, the drive has its notebook and its log so far.
 *
 * Any other path is a path among the user's own files, because Lab saves copies of a document to
 * the document's drive.
 *
 * A notebook's author may have marked it as trusted, and Lab would then run the scripts in its
 * outputs with the user's session. Only the user gives trust, to a signed file in their own folder,
 * so the drive clears the marks, as Jupyter's contents manager does.
 */
import { PathExt } from '@jupyterlab/coreutils';
import type { Contents, ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { FileKind, IFile, IRun, IRunFile } from '../wire';
import { FINISHED_STATES } from '../wire';
import { asContents, isNotebookPath } from './notebook-contents';
import { plainLog } from './log-text';
import { asBase64, freePath } from './own-files';

export const DRIVE_NAME = 'kueue';

const INPUTS = 'inputs';
const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Return the path in Lab of a run's file. */
export function drivePath(runId: string, path: string, kind: FileKind = 'files'): string {
  return `${DRIVE_NAME}:${localPathOf({ runId, kind, path })}`;
}

/** Return the run and file at a path of this drive; null if it is not a run's. */
export function runFileAt(localPath: string): IRunFile | null {
  const parts = localPath.split('/').filter(part => part !== '');
  const kind: FileKind = parts[0] === INPUTS ? 'inputs' : 'files';
  const [runId = '', ...rest] = kind === 'inputs' ? parts.slice(1) : parts;
  return RUN_ID.test(runId) ? { runId, kind, path: rest.join('/') } : null;
}

function localPathOf({ runId, kind, path }: IRunFile): string {
  return PathExt.join(kind === 'inputs' ? INPUTS : '', runId, path);
}

export interface IKueueDriveOptions {
  readonly serverSettings: ServerConnection.ISettings;
  /** The user's own files. */
  readonly own: Contents.IManager;
  readonly trans: TranslationBundle;
}

export class KueueDrive implements Contents.IDrive {
  constructor({ serverSettings, own, trans }: IKueueDriveOptions) {
    this.serverSettings = serverSettings;
    this._own = own;
    this._trans = trans;
  }

  readonly name = DRIVE_NAME;
  readonly serverSettings: ServerConnection.ISettings;

  get fileChanged(): ISignal<this, Contents.IChangedArgs> {
    return this._fileChanged;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  async get(localPath: string, options: Contents.IFetchOptions = {}): Promise<Contents.IModel> {
    const at = runFileAt(localPath);
    if (at === null) {
      return await this._own.get(localPath, options);
    }
    const run = await api.getRun(this.serverSettings, at.runId);
    const file = fileOf(run, at);
    if (file === undefined) {
      return this._folderModel(run, at);
    }
    const isNotebook = options.type === 'notebook' || isNotebookPath(at.path);
    const model: Contents.IModel = {
      ...fileModel(run, at),
      type: isNotebook ? 'notebook' : 'file'
    };
    if (options.content === false) {
      return model;
    }
    if (isNotebook) {
      return { ...model, format: 'json', content: asContents(await this._notebook(run, at, file)) };
    }
    if (file.role === 'log' && !FINISHED_STATES.includes(run.state)) {
      const content = await api.readLog(this.serverSettings, run.run_id);
      return { ...model, format: 'text', content: plainLog(content) };
    }
    const blob = await api.readFile(this.serverSettings, at);
    return options.format === 'base64'
      ? { ...model, format: 'base64', content: await asBase64(blob) }
      : { ...model, format: 'text', content: shownText(file, await blob.text()) };
  }

  getDownloadUrl(localPath: string): Promise<string> {
    const at = runFileAt(localPath);
    return at === null
      ? this._own.getDownloadUrl(localPath)
      : Promise.resolve(api.fileUrl(this.serverSettings, at));
  }

  /** Save to the user's own files; a document from a run gets a name that is free there. */
  async save(localPath: string, options: Partial<Contents.IModel> = {}): Promise<Contents.IModel> {
    const at = runFileAt(localPath);
    const path = at === null ? localPath : await freePath(this._own, PathExt.basename(at.path));
    return await this._own.save(path, options);
  }

  async delete(localPath: string): Promise<void> {
    if (runFileAt(localPath) !== null) {
      await this._refuse();
    }
    await this._own.delete(localPath);
  }

  listCheckpoints(): Promise<Contents.ICheckpointModel[]> {
    return Promise.resolve([]);
  }

  newUntitled(): Promise<Contents.IModel> {
    return this._refuse();
  }

  rename(): Promise<Contents.IModel> {
    return this._refuse();
  }

  copy(): Promise<Contents.IModel> {
    return this._refuse();
  }

  createCheckpoint(): Promise<Contents.ICheckpointModel> {
    return this._refuse();
  }

  restoreCheckpoint(): Promise<void> {
    return this._refuse();
  }

  deleteCheckpoint(): Promise<void> {
    return this._refuse();
  }

  /** Return a notebook; the run's current one if it is not, or never became, an output. */
  private async _notebook(run: IRun, at: IRunFile, file: IFile): Promise<unknown> {
    const isOutput = FINISHED_STATES.includes(run.state) && run.files.some(known => known === file);
    if (file.role === 'notebook' && !isOutput) {
      return await api.readNotebook(this.serverSettings, run.run_id);
    }
    const blob = await api.readFile(this.serverSettings, at);
    return JSON.parse(await blob.text()) as unknown;
  }

  private _folderModel(run: IRun, at: IRunFile): Contents.IModel {
    const { path } = at;
    const prefix = path === '' ? '' : `${path}/`;
    const inside = run[at.kind]
      .filter(file => file.path.startsWith(prefix))
      .map(file => file.path.slice(prefix.length));
    if (inside.length === 0 && path !== '') {
      throw new Error(this._trans.__('The run “%1” has no file %2.', run.name, path));
    }
    const names = [...new Set(inside.map(name => name.split('/')[0] ?? name))];
    const content = names.map(name =>
      fileModel(run, { ...at, path: prefix + name }, !inside.includes(name))
    );
    return { ...fileModel(run, at, true), format: 'json', content };
  }

  private _refuse(): Promise<never> {
    return Promise.reject(
      new Error(
        this._trans.__(
          'The files of a run never change. Choose “Copy to my files…” to work on a copy.'
        )
      )
    );
  }

  private readonly _own: Contents.IManager;
  private readonly _trans: TranslationBundle;
  private readonly _fileChanged = new Signal<this, Contents.IChangedArgs>(this);
  private _isDisposed = false;
}

/** Return a run's notebook by its name, even before there is an output of it. */
export function notebookName(run: Pick<IRun, 'request'>): string {
  return PathExt.basename(run.request.input_path);
}

/** Return a file of a run; undefined if the run has none at that path. */
export function fileOf(run: IRun, { kind, path }: IRunFile): IFile | undefined {
  const listed = run[kind].find(file => file.path === path);
  const isNotebook = kind === 'files' && path === notebookName(run);
  return listed ?? (isNotebook ? { path, size_bytes: 0, role: 'notebook' } : undefined);
}

function shownText({ role }: IFile, text: string): string {
  return role === 'log' ? plainLog(text) : text;
}

/** Return a file or folder without its content. */
function fileModel(run: IRun, at: IRunFile, isFolder = false): Contents.IModel {
  const type = isFolder ? 'directory' : isNotebookPath(at.path) ? 'notebook' : 'file';
  return {
    name: PathExt.basename(at.path),
    path: localPathOf(at),
    type,
    format: null,
    content: null,
    mimetype: '',
    writable: false,
    // The files of a run have no times of their own.
    created: run.created_at,
    last_modified: run.finished_at ?? run.created_at
  };
}
