/** The server's routes as functions. Nothing above this file knows a path. */
import type { ServerConnection } from '@jupyterlab/services';

import { readEvents } from './events';
import { NOT_MODIFIED, request, RequestError, routeUrl } from './request';
import type {
  Change,
  IDeletion,
  IEnvironment,
  IHealth,
  IRun,
  IRunRow,
  ILocalQueue,
  IPage,
  IProfile,
  IRequest,
  ISchedule,
  IStockBackend,
  RunState,
  RequestChanges,
  IRunFile
} from './wire';

type Settings = ServerConnection.ISettings;

/** As many as the server gives in one page. */
export const MOST_PER_PAGE = 500;

export interface IRunQuery {
  readonly states: readonly RunState[];
  readonly sort: string;
  readonly limit: number;
  readonly cursor: string | null;
}

export async function listRuns(settings: Settings, query: IRunQuery): Promise<IPage<IRunRow>> {
  const parameters = new URLSearchParams(query.states.map(state => ['state', state]));
  parameters.set('sort', query.sort);
  parameters.set('limit', String(query.limit));
  if (query.cursor !== null) {
    parameters.set('cursor', query.cursor);
  }
  return await json(settings, `runs?${parameters}`);
}

export async function getRun(settings: Settings, runId: string): Promise<IRun> {
  return await json(settings, runPath(runId));
}

/** Queue a run of a notebook. */
export async function submitRun(
  settings: Settings,
  asked: RequestChanges & Pick<IRequest, 'input_path'>
): Promise<IRunRow> {
  return await json(settings, 'runs', sent('POST', asked));
}

export async function stopRun(settings: Settings, runId: string): Promise<void> {
  await request(settings, `${runPath(runId)}/stop`, { method: 'POST' });
}

/** Queue a run of the same files once more, with `changes` to what was asked for. */
export async function rerunRun(
  settings: Settings,
  runId: string,
  changes: RequestChanges
): Promise<IRunRow> {
  return await json(settings, `${runPath(runId)}/rerun`, sent('POST', changes));
}

/** Delete runs, up to `MOST_PER_PAGE` of them; each is tried. */
export async function deleteRuns(
  settings: Settings,
  runIds: readonly string[]
): Promise<IDeletion> {
  const parameters = new URLSearchParams(runIds.map(runId => ['run_id', runId]));
  return await json(settings, `runs?${parameters}`, { method: 'DELETE' });
}

export async function readFile(settings: Settings, file: IRunFile): Promise<Blob> {
  const response = await request(settings, filePath(file));
  return await response.blob();
}

/** Return the notebook as it stands now: with the outputs so far, at the end the executed one. */
export async function readNotebook(settings: Settings, runId: string): Promise<unknown> {
  return await json(settings, `${runPath(runId)}/notebook`);
}

/** A notebook as it stands, and what it is called by in the next question for it. */
export interface INotebookVersion {
  readonly etag: string | null;
  readonly notebook: unknown;
}

/** Return the notebook as it stands now; null where it is still the one that is named. */
export async function readChangedNotebook(
  settings: Settings,
  runId: string,
  etag: string | null
): Promise<INotebookVersion | null> {
  const headers = etag === null ? {} : { 'If-None-Match': etag };
  const response = await request(settings, `${runPath(runId)}/notebook`, { headers });
  return response.status === NOT_MODIFIED
    ? null
    : { etag: response.headers.get('ETag'), notebook: (await response.json()) as unknown };
}

/** Return what a run has printed so far. */
export async function readLog(settings: Settings, runId: string): Promise<string> {
  const response = await request(settings, `${runPath(runId)}/logs`);
  return await response.text();
}

/** Return where the browser downloads a file from. */
export function fileUrl(settings: Settings, file: IRunFile): string {
  return routeUrl(settings, filePath(file));
}

export async function listLocalQueues(settings: Settings): Promise<readonly ILocalQueue[]> {
  const page: IPage<ILocalQueue> = await json(settings, 'local-queues');
  return page.items;
}

export async function listProfiles(settings: Settings): Promise<readonly IProfile[]> {
  const page: IPage<IProfile> = await json(settings, 'profiles');
  return page.items;
}

export async function listEnvironments(settings: Settings): Promise<readonly IEnvironment[]> {
  const page: IPage<IEnvironment> = await json(settings, 'environments');
  return page.items;
}

/** Return all schedules. */
export async function listSchedules(settings: Settings): Promise<readonly ISchedule[]> {
  const found: ISchedule[] = [];
  let cursor: string | null = null;
  do {
    const parameters = new URLSearchParams({ limit: String(MOST_PER_PAGE) });
    if (cursor !== null) {
      parameters.set('cursor', cursor);
    }
    const page: IPage<ISchedule> = await json(settings, `schedules?${parameters}`);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

export async function getSchedule(settings: Settings, scheduleId: string): Promise<ISchedule> {
  return await json(settings, schedulePath(scheduleId));
}

/** Change what the runs of a schedule ask for, from the next one on. */
export async function changeSchedule(
  settings: Settings,
  scheduleId: string,
  changes: RequestChanges
): Promise<ISchedule> {
  return await json(settings, schedulePath(scheduleId), sent('PATCH', changes));
}

/** Return how many runs of a schedule there are. */
export async function countRunsOfSchedule(settings: Settings, scheduleId: string): Promise<number> {
  const parameters = new URLSearchParams({ schedule_id: scheduleId, limit: '0' });
  const page: IPage<IRunRow> = await json(settings, `runs?${parameters}`);
  return page.total;
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

function sent(method: string, body: unknown): RequestInit {
  return { method, body: JSON.stringify(body) };
}

function schedulePath(scheduleId: string): string {
  return `schedules/${encodeURIComponent(scheduleId)}`;
}

function runPath(runId: string): string {
  return `runs/${encodeURIComponent(runId)}`;
}

function filePath({ runId, kind, path }: IRunFile): string {
  return `${runPath(runId)}/${kind}/${path.split('/').map(encodeURIComponent).join('/')}`;
}
