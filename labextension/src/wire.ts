/**
 * What the server says, field by field as in `jupyter_kueue/server/openapi.yaml`: the names are the
 * same on both sides, so that one search finds both.
 */

export type RunState =
  'queued' | 'starting' | 'running' | 'stopping' | 'stopped' | 'succeeded' | 'failed';

export const UNFINISHED_STATES: readonly RunState[] = ['queued', 'starting', 'running', 'stopping'];

export const FINISHED_STATES: readonly RunState[] = ['succeeded', 'failed', 'stopped'];

/** What a text of the server's is made of, so that it can be said in another language. */
export interface ISentence {
  readonly code: string;
  readonly values: Readonly<Record<string, SentenceValue>>;
}

export type SentenceValue = string | number | ISentence | readonly SentenceValue[];

export interface IPosition {
  readonly local_queue: number | null;
  readonly cluster_queue: number | null;
  readonly approximate: boolean;
}

/** What did not go along of a notebook's folder; `message` is a sentence about it. */
export interface ILeftBehind {
  readonly count: number;
  readonly paths: readonly string[];
  readonly ignored_count: number;
  readonly ignored_paths: readonly string[];
  readonly message: string;
  readonly sentence?: ISentence | null;
}

/** How far a run has come; cells are numbered as Jupyter numbers them: 1 is `In [1]`. */
export interface IProgress {
  readonly cell: number | null;
  readonly cells_done: number | null;
  readonly cells: number | null;
  readonly since: string | null;
}

/** Where a notebook failed. */
export interface ICellError {
  readonly name: string | null;
  readonly value: string;
  readonly cell: number | null;
  readonly cell_index: number | null;
}

/** Amounts as Kubernetes writes them: `500m`, `4Gi`. */
export interface IResources {
  readonly cpu?: string | number | null;
  readonly memory?: string | number | null;
  readonly gpus?: number | null;
}

/** What was asked for; what is null was left to the server. */
export interface IRequest {
  readonly name?: string | null;
  readonly input_path: string;
  readonly local_queue?: string | null;
  readonly profile?: string | null;
  readonly environment?: string | null;
  readonly kernel_name?: string | null;
  readonly resources?: IResources | null;
  readonly parameters?: Readonly<Record<string, unknown>> | null;
  readonly timeout_seconds?: number | null;
}

/** Fields of a request that another run, or a schedule from now on, has otherwise. */
export type RequestChanges = Partial<Omit<IRequest, 'input_path'>>;

export interface IRunRow {
  readonly run_id: string;
  readonly name: string;
  readonly state: RunState;
  readonly reason: string | null;
  readonly message: string | null;
  readonly sentence?: ISentence | null;
  readonly detail: string | null;
  readonly local_queue: string;
  readonly position: IPosition | null;
  readonly created_at: string;
  readonly admitted_at: string | null;
  readonly started_at: string | null;
  /** When its latest attempt began; null before the first one. */
  readonly attempt_started_at?: string | null;
  readonly finished_at: string | null;
  readonly schedule_id: string | null;
  readonly tags: readonly string[];
  readonly request: IRequest;
  readonly left_behind: ILeftBehind | null;
  /** What was asked for or written and is not among its files, in sentences; the first of them. */
  readonly warnings: readonly string[];
  readonly warning_sentences?: readonly (ISentence | null)[];
}

/** Everything of a run: its row, how far it came, what it wrote and what it took along. */
export interface IRun extends IRunRow {
  readonly progress: IProgress | null;
  readonly error: ICellError | null;
  readonly files: readonly IFile[];
  readonly inputs: readonly IFile[];
}

/** A schedule, which jupyter-scheduler calls a job definition. */
export interface ISchedule {
  readonly schedule_id: string;
  readonly name: string;
  /** Whether it fires: it is neither paused nor has it ended. */
  readonly active: boolean;
  readonly message: string | null;
  readonly sentence?: ISentence | null;
  readonly next_run_at: string | null;
  readonly request: IRequest;
}

/** A size that runs can have. */
export interface IProfile extends IResources {
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly default: boolean;
}

/** An image that runs can have. */
export interface IEnvironment {
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly default: boolean;
}

export interface IResourceUsage {
  readonly used: number;
  readonly cluster_queue_used: number | null;
  readonly nominal: number | null;
  readonly borrowed: number | null;
  readonly limit: number | null;
  readonly free: number | null;
  readonly reclaimable: number | null;
}

export interface ILocalQueue {
  readonly name: string;
  readonly cluster_queue: string;
  readonly active: boolean;
  readonly message: string | null;
  readonly sentence?: ISentence | null;
  readonly pending: number;
  readonly admitted: number;
  readonly resources: Readonly<Record<string, IResourceUsage>>;
}

/** What a run wrote, and what it took along: two namespaces, so that no path means two files. */
export type FileKind = 'files' | 'inputs';

/** Which file of which run. */
export interface IRunFile {
  readonly runId: string;
  readonly kind: FileKind;
  readonly path: string;
}

export interface IFile {
  readonly path: string;
  readonly size_bytes: number;
  readonly role: 'notebook' | 'export' | 'side-effect' | 'input' | 'log';
}

export interface IProblem {
  readonly what: string;
  readonly what_sentence?: ISentence | null;
  readonly fix: string;
  readonly fix_sentence?: ISentence | null;
  readonly severity: 'error' | 'warning';
  /** A code for what is wrong, one of those that errors have; null where there is none. */
  readonly reason?: string | null;
}

export interface IHealth {
  readonly ok: boolean;
  readonly settings: {
    readonly local_queue?: string | null;
    /** What moves a run's files asks for, beside the run. */
    readonly staging_cpu?: string | null;
    readonly staging_memory?: string | null;
  };
  readonly problems: readonly IProblem[];
}

/** What jupyter-scheduler's own backend has that was not brought over. */
export interface IStockBackend {
  readonly database: string | null;
  readonly jobs: number;
  readonly schedules: number;
  readonly problem: string | null;
  readonly problem_sentence?: ISentence | null;
}

export interface IPage<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly next_cursor: string | null;
}

export interface IDeletion {
  readonly deleted: readonly string[];
  readonly failures: readonly (IErrorBody & { readonly run_id: string })[];
}

export interface IErrorBody {
  readonly message: string;
  /** Null where `field_sentences` have it. */
  readonly sentence?: ISentence | null;
  readonly reason: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly field_sentences?: Readonly<Record<string, ISentence | null>>;
}

/** One event of the stream `changes`. */
export type Change =
  | {
      readonly type: 'hello' | 'gap' | 'local-queues' | 'schedule' | 'schedule-deleted';
      readonly cursor: string;
    }
  | {
      readonly type: 'run';
      readonly cursor: string;
      readonly run_id: string;
      readonly run: IRunRow;
    }
  | { readonly type: 'run-deleted'; readonly cursor: string; readonly run_id: string };
