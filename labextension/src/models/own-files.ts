/** Copies files of runs to the user's own files. */
import { PathExt } from '@jupyterlab/coreutils';
import type { Contents, ServerConnection } from '@jupyterlab/services';

import * as api from '../api';
import type { IRunFile } from '../wire';

/** Return the path, or a free one next to it: `report.ipynb`, `report-Copy1.ipynb`. */
export async function freePath(own: Contents.IManager, path: string): Promise<string> {
  const extension = PathExt.extname(path);
  const stem = extension === '' ? path : path.slice(0, -extension.length);
  for (let number = 0; ; number += 1) {
    const candidate = number === 0 ? path : `${stem}-Copy${number}${extension}`;
    if (!(await exists(own, candidate))) {
      return candidate;
    }
  }
}

/** Copy a run's file unchanged into one of the user's folders; return its path there. */
export async function copyToFolder(
  settings: ServerConnection.ISettings,
  own: Contents.IManager,
  file: IRunFile,
  folder: string
): Promise<string> {
  const blob = await api.readFile(settings, file);
  const path = await freePath(own, PathExt.join(folder, PathExt.basename(file.path)));
  const content = await asBase64(blob);
  await own.save(path, { type: 'file', format: 'base64', content });
  return path;
}

/** Return the bytes of a file as base64. */
export async function asBase64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
}

/** Return whether the user has a file or folder at a path. */
export async function exists(own: Contents.IManager, path: string): Promise<boolean> {
  try {
    await own.get(path, { content: false });
    return true;
  } catch (error) {
    if ((error as { response?: { status?: number } }).response?.status === 404) {
      return false;
    }
    throw error;
  }
}
