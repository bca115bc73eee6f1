/** The server's routes as functions. Nothing above this file knows a path. */
import type { ServerConnection } from '@jupyterlab/services';

import { readEvents } from './events';
import { request, RequestError, routeUrl } from './request';
import type {
  Change,
  IDeletion,
  IHealth,
  IJob,
  IJobRow,
  ILocalQueue,
  IPage,
  IStockBackend,
  JobState
} from './wire';

type Settings = ServerConnection.ISettings;

/** As many as the server gives in one page. */
export const MOST_PER_PAGE = 500;

export interface IJobQuery {
  readonly states: readonly JobState[];
  readonly sort: string;
  readonly limit: number;
  readonly cursor: string | null;
}

export async function listJobs(settings: Settings, query: IJobQuery): Promise<IPage<IJobRow>> {
  const parameters = new URLSearchParams(query.states.map(state => ['state', state]));
  parameters.set('sort', query.sort);
  parameters.set('limit', String(query.limit));
  if (query.cursor !== null) {
    parameters.set('cursor', query.cursor);
  }
  return await json(settings, `jobs?${parameters}`);
}

export async function getJob(settings: Settings, jobId: string): Promise<IJob> {
  return await json(settings, jobPath(jobId));
}

export async function stopJob(settings: Settings, jobId: string): Promise<void> {
  await request(settings, `${jobPath(jobId)}/stop`, { method: 'POST' });
}

/** Delete runs, up to `MOST_PER_PAGE` of them; each is tried. */
export async function deleteJobs(
  settings: Settings,
  jobIds: readonly string[]
): Promise<IDeletion> {
  const parameters = new URLSearchParams(jobIds.map(jobId => ['job_id', jobId]));
  return await json(settings, `jobs?${parameters}`, { method: 'DELETE' });
}

export async function readFile(settings: Settings, jobId: string, path: string): Promise<Blob> {
  const response = await request(settings, filePath(jobId, path));
  return await response.blob();
}

/** Return where the browser downloads a file from. */
export function fileUrl(settings: Settings, jobId: string, path: string): string {
  return routeUrl(settings, filePath(jobId, path));
}

export async function listLocalQueues(settings: Settings): Promise<readonly ILocalQueue[]> {
  const page: IPage<ILocalQueue> = await json(settings, 'local-queues');
  return page.items;
}

export async function getHealth(settings: Settings): Promise<IHealth> {
  return await json(settings, 'health');
}

export async function countStockBackend(settings: Settings): Promise<IStockBackend> {
  return await json(settings, 'stock-backend');
}

/**
 * Listen to what changes after `since` (null: from now).
 *
 * Yields each change, and null for each sign of life between them. Ends when the server ends it.
 */
export async function* listenToChanges(
  settings: Settings,
  since: string | null,
  signal: AbortSignal
): AsyncGenerator<Change | null, void> {
  const query = since === null ? '' : `?${new URLSearchParams({ since })}`;
  const response = await request(settings, `changes${query}`, { signal });
  if (response.body === null) {
    throw new RequestError(response.status, 'unexpected', 'The stream of changes has no body.');
  }
  for await (const data of readEvents(response.body)) {
    yield data === null ? null : (JSON.parse(data) as Change);
  }
}

async function json<T>(settings: Settings, path: string, init: RequestInit = {}): Promise<T> {
  const response = await request(settings, path, init);
  return (await response.json()) as T;
}

function jobPath(jobId: string): string {
  return `jobs/${encodeURIComponent(jobId)}`;
}

function filePath(jobId: string, path: string): string {
  return `${jobPath(jobId)}/files/${path.split('/').map(encodeURIComponent).join('/')}`;
}
