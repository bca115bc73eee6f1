/**
 * What the server says, by the names that this package has for it. The types are generated from the
 * server's models.
 */
import type * as rest from './rest-types';

export type RunState = rest.RunRow['state'];

export const UNFINISHED_STATES: readonly RunState[] = ['queued', 'starting', 'running', 'stopping'];

export const FINISHED_STATES: readonly RunState[] = ['succeeded', 'failed', 'stopped'];

export type ISentence = rest.Sentence;
export type SentenceValue = rest.SentenceValue;
export type SentencePart = rest.SentencePart;
export type IPosition = rest.Position;
export type ILeftBehind = rest.ShownLeftBehind;
export type IProgress = rest.Progress;
export type ICellError = rest.CellError;
export type IResources = rest.Resources;
export type IRequest = rest.RunRequest;
export type RequestChanges = Partial<Omit<IRequest, 'input_path'>>;
export type IRunRow = rest.RunRow;
export type IRun = rest.Run;
export type ISchedule = rest.ScheduleRow;
export type IProfile = rest.Profile;
export type IEnvironment = rest.Environment;
export type IResourceUsage = rest.ResourceUsage;
export type ILocalQueue = rest.LocalQueue;
/** What is shown of a file, which the executed notebook has before it is written. */
export type IFile = Pick<rest.RunFile, 'path' | 'size_bytes' | 'role'>;
export type IProblem = rest.Problem;
export type IHealth = rest.Health;
export type IStockBackend = rest.StockBackendCount;
export type IDeletion = rest.Deletion;
/** An error; those of Jupyter itself have no more than the first two fields. */
export type IErrorBody = Pick<rest.Error, 'message' | 'reason'> & Partial<rest.Error>;
export type Change = rest.Change;

/** What a run wrote, and what it was submitted with: two namespaces, so that no path means two files. */
export type FileKind = 'files' | 'inputs';

/** Which file of which run. */
export interface IRunFile {
  readonly runId: string;
  readonly kind: FileKind;
  readonly path: string;
}

export interface IPage<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly next_cursor: string | null;
}
