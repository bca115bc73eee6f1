/**
 * The files of runs as a read-only drive of JupyterLab, `kueue:<job_id>/<path>`, so that every
 * viewer that Lab has opens them and nothing is copied into the user's folders.
 *
 * Whoever wrote a notebook may have written that it is trusted, and Lab would run the scripts in its
 * outputs with the user's session. Trust is what a user gives to a signed file in a folder of theirs,
 * so none of these has it: as Jupyter's contents manager does, the drive clears the marks.
 */
import { PathExt } from '@jupyterlab/coreutils';
import type { Contents, ServerConnection } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as api from '../api';
import type { IJob } from '../wire';

export const DRIVE_NAME = 'kueue';

/** Return the path in Lab of a run's file. */
export function drivePath(jobId: string, path: string): string {
  return `${DRIVE_NAME}:${jobId}/${path}`;
}

export class KueueDrive implements Contents.IDrive {
  constructor(readonly serverSettings: ServerConnection.ISettings) {}

  readonly name = DRIVE_NAME;

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
    const { jobId, path } = parsed(localPath);
    const job = await api.getJob(this.serverSettings, jobId);
    if (job.files.every(file => file.path !== path)) {
      return folderModel(job, path);
    }
    const isNotebook = options.type === 'notebook' || isNotebookPath(path);
    const model: Contents.IModel = {
      ...fileModel(job, path),
      type: isNotebook ? 'notebook' : 'file'
    };
    if (options.content === false) {
      return model;
    }
    const blob = await api.readFile(this.serverSettings, jobId, path);
    if (isNotebook) {
      const content = asContents(JSON.parse(await blob.text()));
      return { ...model, format: 'json', content };
    }
    return options.format === 'base64'
      ? { ...model, format: 'base64', content: await base64(blob) }
      : { ...model, format: 'text', content: await blob.text() };
  }

  getDownloadUrl(localPath: string): Promise<string> {
    const { jobId, path } = parsed(localPath);
    return Promise.resolve(api.fileUrl(this.serverSettings, jobId, path));
  }

  listCheckpoints(): Promise<Contents.ICheckpointModel[]> {
    return Promise.resolve([]);
  }

  newUntitled = refuse;
  delete = refuse;
  rename = refuse;
  save = refuse;
  copy = refuse;
  createCheckpoint = refuse;
  restoreCheckpoint = refuse;
  deleteCheckpoint = refuse;

  private readonly _fileChanged = new Signal<this, Contents.IChangedArgs>(this);
  private _isDisposed = false;
}

function isNotebookPath(path: string): boolean {
  return PathExt.extname(path).toLowerCase() === '.ipynb';
}

/**
 * Return a notebook as Jupyter's contents manager hands it out: texts that a file holds as lists of
 * lines are whole, and no cell says that it is trusted, of whatever format it is: in format 3 the
 * cells lie in worksheets.
 */
function asContents(notebook: unknown): unknown {
  if (!isObject(notebook)) {
    return notebook;
  }
  const cleaned: Record<string, unknown> = { ...notebook };
  if (Array.isArray(notebook.cells)) {
    cleaned.cells = notebook.cells.map(cellAsContents);
  }
  if (Array.isArray(notebook.worksheets)) {
    cleaned.worksheets = notebook.worksheets.map(asContents);
  }
  return cleaned;
}

function cellAsContents(cell: unknown): unknown {
  if (!isObject(cell)) {
    return cell;
  }
  const cleaned: Record<string, unknown> = { ...cell };
  if ('source' in cell) {
    cleaned.source = joined(cell.source);
  }
  if (isObject(cell.metadata)) {
    cleaned.metadata = { ...cell.metadata, trusted: false };
  }
  if (isObject(cell.attachments)) {
    cleaned.attachments = Object.fromEntries(
      Object.entries(cell.attachments).map(([name, bundle]) => [name, bundleAsContents(bundle)])
    );
  }
  if (Array.isArray(cell.outputs)) {
    cleaned.outputs = cell.outputs.map(outputAsContents);
  }
  return cleaned;
}

function outputAsContents(output: unknown): unknown {
  if (!isObject(output)) {
    return output;
  }
  const cleaned: Record<string, unknown> = { ...output };
  if ('text' in output) {
    cleaned.text = joined(output.text);
  }
  if ('data' in output) {
    cleaned.data = bundleAsContents(output.data);
  }
  return cleaned;
}

/** Join the lines of each media type but JSON's, whose lists are values. */
function bundleAsContents(bundle: unknown): unknown {
  if (!isObject(bundle)) {
    return bundle;
  }
  const isJson = (type: string) => type === 'application/json' || type.endsWith('+json');
  return Object.fromEntries(
    Object.entries(bundle).map(([type, value]) => [type, isJson(type) ? value : joined(value)])
  );
}

/** Return the text in a list of its lines, and anything else as it is. */
function joined(value: unknown): unknown {
  const isText = Array.isArray(value) && value.every(line => typeof line === 'string');
  return isText ? value.join('') : value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(): Promise<never> {
  return Promise.reject(
    new Error("A run's files never change. Save a copy in your own folder and work on that.")
  );
}

function parsed(localPath: string): { jobId: string; path: string } {
  const [jobId = '', ...parts] = localPath.split('/').filter(part => part !== '');
  return { jobId, path: parts.join('/') };
}

/** Return a file or folder without its content. */
function fileModel(job: IJob, path: string, isFolder = false): Contents.IModel {
  const type = isFolder ? 'directory' : isNotebookPath(path) ? 'notebook' : 'file';
  return {
    name: PathExt.basename(path),
    path: PathExt.join(job.job_id, path),
    type,
    format: null,
    content: null,
    mimetype: '',
    writable: false,
    // The files of a run have no times of their own.
    created: job.created_at,
    last_modified: job.finished_at ?? job.created_at
  };
}

function folderModel(job: IJob, path: string): Contents.IModel {
  const prefix = path === '' ? '' : `${path}/`;
  const inside = job.files
    .filter(file => file.path.startsWith(prefix))
    .map(file => file.path.slice(prefix.length));
  if (inside.length === 0 && path !== '') {
    throw new Error(`The run ${job.name} has no file ${path}.`);
  }
  const names = [...new Set(inside.map(name => name.split('/')[0] ?? name))];
  const content = names.map(name => fileModel(job, prefix + name, !inside.includes(name)));
  return { ...fileModel(job, path, true), format: 'json', content };
}

async function base64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
}
