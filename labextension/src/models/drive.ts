/**
 * The files of runs as a read-only drive of JupyterLab, `kueue:<job_id>/<path>`, so that every
 * viewer that Lab has opens them and nothing is copied into the user's folders.
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
    const model = fileModel(job, path);
    if (options.content === false) {
      return model;
    }
    const blob = await api.readFile(this.serverSettings, jobId, path);
    if (model.type === 'notebook') {
      return { ...model, format: 'json', content: JSON.parse(await blob.text()) as unknown };
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
  const type = isFolder ? 'directory' : PathExt.extname(path) === '.ipynb' ? 'notebook' : 'file';
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
