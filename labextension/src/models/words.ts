/** Numbers, times and states in words. Pure: everything comes in, text comes out. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { RequestError } from '../request';
import type {
  ILocalQueue,
  IRun,
  IRunRow,
  IProgress,
  IResources,
  IResourceUsage,
  ISentence,
  RunState,
  SentenceValue
} from '../wire';
import { shownAmount } from './amounts';
import { errorOf, leftBehindOf, messageOf, warningsOf } from './sentences';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const GIBIBYTE = 2 ** 30;

/** Return a length of time with its two biggest units: `42 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export function duration(milliseconds: number, trans: TranslationBundle): string {
  const ms = Math.max(0, milliseconds);
  if (ms < MINUTE_MS) {
    return trans.__('%1 s', Math.floor(ms / 1000));
  }
  if (ms < HOUR_MS) {
    return trans.__('%1 min', Math.floor(ms / MINUTE_MS));
  }
  if (ms < DAY_MS) {
    const minutes = Math.floor((ms % HOUR_MS) / MINUTE_MS);
    return trans.__('%1 h %2 min', Math.floor(ms / HOUR_MS), minutes);
  }
  return trans.__('%1 d %2 h', Math.floor(ms / DAY_MS), Math.floor((ms % DAY_MS) / HOUR_MS));
}

/** Return how long a run ran, null where it never began or has not ended. */
export function runtime(run: IRunRow, trans: TranslationBundle): string | null {
  if (run.started_at === null || run.finished_at === null) {
    return null;
  }
  return duration(Date.parse(run.finished_at) - Date.parse(run.started_at), trans);
}

/** Return a point in time: the hour today, else the day. */
export function moment(time: string, now: Date): string {
  const date = new Date(time);
  return date.toDateString() === now.toDateString()
    ? date.toLocaleTimeString(undefined, { hour: 'numeric', minute: '2-digit' })
    : date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
}

/** Return where a waiting run stands, by how many start before it; null where that is not known. */
export function position(ahead: number | null, trans: TranslationBundle): string | null {
  if (ahead === null) {
    return null;
  }
  return ahead === 0 ? trans.__('next') : trans._n('%1 run ahead', '%1 runs ahead', ahead);
}

/** Return which cell runs, by its number; null before the first one. */
export function cellOf(progress: IProgress | undefined, trans: TranslationBundle): string | null {
  if (progress?.cells == null || progress.cells === 0) {
    return null;
  }
  const cell = progress.cell ?? (progress.cells_done ?? 0) + 1;
  return trans.__('cell %1 of %2', Math.min(cell, progress.cells), progress.cells);
}

/** A run of which a document is open, as `FollowedRun` has it. */
interface IFollowed {
  readonly run: IRun | null;
  readonly error: RequestError | null;
  readonly isDeleted: boolean;
}

/** Return what an open document of a run shows; empty while that is not known. */
export function followingText(
  { run, error, isDeleted }: IFollowed,
  isChangedByUser: boolean,
  trans: TranslationBundle
): string {
  if (isDeleted) {
    return trans.__('This run has been deleted. You see its last state.');
  }
  if (isChangedByUser) {
    return trans.__(
      'Not updating: you have changed this document. Save it under another name, or reload it from disk.'
    );
  }
  if (error !== null) {
    return sentences(trans.__('Not up to date.'), reasonOf(error, trans));
  }
  if (run === null) {
    return '';
  }
  switch (run.state) {
    case 'succeeded':
      return trans.__('This run has finished.');
    case 'failed':
      return sentences(trans.__('This run has failed.'), messageOf(run, trans));
    case 'stopped':
      return trans.__('This run was stopped.');
    default: {
      const state = stateName(run.state, trans);
      const where = cellOf(run.progress ?? undefined, trans);
      const shown = where === null ? state : trans.__('%1: %2', state, where);
      return sentences(shown, trans.__('Read-only; updates every few seconds.'));
    }
  }
}

/** Return how far a run has come, from 0 to 1; null before its first cell. */
export function shareDone(progress: IProgress | undefined): number | null {
  if (progress?.cells == null || progress.cells === 0) {
    return null;
  }
  return Math.min(1, (progress.cells_done ?? 0) / progress.cells);
}

/** Return a sentence about an error, as the user needs it. */
export function reasonOf(error: unknown, trans: TranslationBundle): string {
  if (!(error instanceof RequestError)) {
    return error instanceof Error ? error.message : String(error);
  }
  if (error.reason === 'offline') {
    return trans.__(
      'The Jupyter server does not answer: it may be restarting, or you are offline. Try again once it is back.'
    );
  }
  if (error.reason === 'unexpected' && error.status === 404) {
    return trans.__(
      'This Jupyter server runs without jupyter-kueue. Install it where the server runs, then restart the server.'
    );
  }
  if (error.reason === 'cluster-unavailable') {
    return trans.__('The cluster does not answer. Try again once it does.');
  }
  return errorOf(error, trans);
}

/** Put a text into quotation marks. */
export function quoted(text: string, trans: TranslationBundle): string {
  return trans.__('“%1”', text);
}

/** Return the names of runs: three of them, and how many more there are. */
export function namesOf(runs: readonly IRunRow[], trans: TranslationBundle): string {
  const names = runs.slice(0, 3).map(run => quoted(run.name, trans));
  const more = runs.length - names.length;
  const shown = names.join(trans.__(', '));
  return more > 0 ? trans._n('%2 and %1 more', '%2 and %1 more', more, shown) : shown;
}

/** Return sentences as one text; each ends with a full stop. */
export function sentences(...parts: readonly (string | null | undefined)[]): string {
  return parts
    .filter(part => part !== null && part !== undefined && part !== '')
    .map(part => (/[.!?…:]$/.test(part ?? '') ? part : `${part}.`))
    .join(' ');
}

/**
 * Return what a run says of itself; while it waits and may start, with its queue after what is
 * missing, unless that names the queue.
 */
export function sayingOf(run: IRunRow, trans: TranslationBundle): string {
  const said = messageOf(run, trans) ?? stateName(run.state, trans);
  const others = [restartOf(run, trans), ...warningsOf(run, trans), leftBehindOf(run, trans)];
  if (run.state !== 'queued' || run.reason === 'blocked' || isNamedIn(run.sentence, run)) {
    return sentences(said, ...others);
  }
  const placed = trans.__('%1 · %2', said.replace(/\.$/, ''), run.local_queue);
  const rest = sentences(...others);
  return rest === '' ? placed : sentences(placed, rest);
}

/** Return when a run began again, null where it goes on with its first attempt or has ended. */
function restartOf(run: IRunRow, trans: TranslationBundle): string | null {
  const { started_at: first, attempt_started_at: latest } = run;
  return run.state !== 'running' || first === null || latest == null || first === latest
    ? null
    : trans.__('It started again at %1.', moment(latest, new Date()));
}

/** Return what was said of a run when it was last known how it is; null stands for now. */
export function asOf(since: Date | null, text: string, trans: TranslationBundle): string {
  return since === null
    ? text
    : trans.__('At %1: %2', moment(since.toISOString(), new Date()), text);
}

/** Tell whether a sentence, or one in it, names the run's queue. */
function isNamedIn(sentence: ISentence | null | undefined, { local_queue }: IRunRow): boolean {
  const names = (value: SentenceValue): boolean =>
    typeof value === 'object'
      ? ('code' in value ? Object.values(value.values) : value).some(names)
      : value === local_queue;
  return sentence != null && names(sentence);
}

/** Sentences that hold all that the cluster says. */
export const EXACT: ReadonlySet<string> = new Set([
  'asks-and-lacks',
  'asks-for-too-much',
  'held',
  'held-cluster-queue',
  'kueue-says',
  'no-quota-for',
  'no-quota-for-disk',
  'no-such-cluster-queue',
  'no-such-queue',
  'paused-fair-share',
  'paused-higher-priority',
  'paused-taken-back',
  'queue-not-open',
  'starts-next',
  'waits-for-amount',
  'will-not-start'
]);

/** What the Job controller says of an end of which the run itself, or its pod, says more. */
const JOB_ENDED =
  /^(Job has reached the specified backoff limit|Job was active longer than specified deadline|Container \S+ for pod \S+ failed with exit code \d+ matching FailJob rule)/;

/** Return what the cluster says of a run, null where the run's own sentence has it. */
export function detailOf(run: IRunRow, trans: TranslationBundle): string | null {
  const { detail, sentence } = run;
  if (
    detail === null ||
    JOB_ENDED.test(detail) ||
    codesOf(sentence).some(code => EXACT.has(code))
  ) {
    return null;
  }
  return trans.__('Cluster: %1', detail);
}

/** Return the codes of a sentence and of those in it. */
function codesOf(value: SentenceValue | null | undefined): readonly string[] {
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return 'code' in value
    ? [value.code, ...Object.values(value.values).flatMap(codesOf)]
    : value.flatMap(codesOf);
}

/** Return since when a run does what it does, null where that is not known. */
export function sinceOf(run: IRunRow): string | null {
  if (run.state === 'queued') {
    return run.created_at;
  }
  if (run.reason === 'retrying') {
    // The attempt that is over is not the one that is awaited.
    return null;
  }
  const { admitted_at: admitted, started_at: started } = run;
  const attempt = run.attempt_started_at ?? started;
  // Admitted once more, it has not begun again.
  const isOver =
    admitted !== null && attempt !== null && Date.parse(attempt) < Date.parse(admitted);
  return (isOver ? admitted : attempt) ?? admitted ?? run.created_at;
}

export function stateName(state: RunState, trans: TranslationBundle): string {
  switch (state) {
    case 'queued':
      return trans.__('Waiting');
    case 'starting':
      return trans.__('Starting');
    case 'running':
      return trans.__('Running');
    case 'stopping':
      return trans.__('Stopping');
    case 'stopped':
      return trans.__('Stopped');
    case 'succeeded':
      return trans.__('Succeeded');
    case 'failed':
      return trans.__('Failed');
  }
}

/** Return what a resource is called here: `nvidia.com/gpu` is GPU. */
export function resourceName(resource: string, trans: TranslationBundle): string {
  if (resource === 'cpu') {
    return trans.__('CPU');
  }
  if (resource === 'memory') {
    return trans.__('Memory');
  }
  return resource.endsWith('/gpu') ? trans.__('GPU') : resource;
}

/** Return an amount in the unit people think in: bytes as GiB, the rest as it is. */
export function amount(resource: string, value: number): string {
  const isBytes = resource === 'memory' || resource.endsWith('storage');
  return String(Math.round(10 * (isBytes ? value / GIBIBYTE : value)) / 10);
}

/** Return what follows an amount of a resource: ` GiB`, or nothing. */
export function unitOf(resource: string, trans: TranslationBundle): string {
  return resource === 'memory' ? ` ${trans.__('GiB')}` : '';
}

/** Sort resources as people look at them: what is scarce first. */
export function compareResources(a: string, b: string): number {
  const order = ['cpu', 'memory'];
  return order.indexOf(a) - order.indexOf(b) || a.localeCompare(b);
}

/** Return what a resource's bar says: `2 of 4`, with what is borrowed and the unit. */
export function usage(resource: string, shown: IResourceUsage, trans: TranslationBundle): string {
  const unit = unitOf(resource, trans);
  const used = shown.cluster_queue_used ?? shown.used;
  if (shown.nominal === null) {
    return trans.__('%1 used', amount(resource, used)) + unit;
  }
  const borrowed = shown.borrowed ?? 0;
  const own = trans.__(
    '%1 of %2',
    amount(resource, used - borrowed),
    amount(resource, shown.nominal)
  );
  return borrowed > 0
    ? trans.__('%1 + %2 borrowed', own, amount(resource, borrowed)) + unit
    : own + unit;
}

/** Return what moving files adds to a run's use of a resource; null where that is nothing. */
export function stagingText(
  resource: string,
  staging: IResources | null,
  trans: TranslationBundle
): string | null {
  if (resource !== 'cpu' && resource !== 'memory') {
    return null;
  }
  const quantity = staging?.[resource];
  if (quantity == null || /^0*\D*$/.test(String(quantity))) {
    return null;
  }
  const shown = shownAmount(resource, String(quantity));
  return trans.__(
    'Each run includes %1 for moving its files',
    resource === 'cpu' ? trans.__('%1 CPU', shown) : shown
  );
}

/** Return what is free in a queue: `1 GPU, 6.8 CPUs, 20.8 GiB free`; null where it is not known. */
export function freeText(queue: ILocalQueue, trans: TranslationBundle): string | null {
  const left: string[] = [];
  const back: string[] = [];
  for (const [name, shown] of Object.entries(queue.resources).sort(([a], [b]) =>
    compareResources(a, b)
  )) {
    const unused = free(shown);
    if (unused !== null) {
      left.push(amountText(name, unused, trans));
    }
    if ((shown.reclaimable ?? 0) > 0) {
      back.push(amountText(name, shown.reclaimable ?? 0, trans));
    }
  }
  if (left.length === 0) {
    return null;
  }
  const said = trans.__('%1 free', left.join(trans.__(', ')));
  return back.length === 0
    ? said
    : trans.__('%1 (and %2 that it can take back)', said, back.join(trans.__(', ')));
}

/** Return an amount with what it is of: `2 GPUs`, `6.8 CPUs`, `20.8 GiB`. */
function amountText(resource: string, value: number, trans: TranslationBundle): string {
  const shown = amount(resource, value);
  if (resource === 'memory') {
    return shown + unitOf(resource, trans);
  }
  // Only a whole number has plural forms of its own.
  const count = Number.isInteger(Number(shown)) ? Number(shown) : 2;
  if (resource === 'cpu') {
    return trans._n('%2 CPU', '%2 CPUs', count, shown);
  }
  return resource.endsWith('/gpu')
    ? trans._n('%2 GPU', '%2 GPUs', count, shown)
    : `${shown} ${resource}`;
}

/** Return what is free for a new run, borrowing included; null where that is not readable. */
export function free(shown: IResourceUsage): number | null {
  if (shown.free !== null) {
    return shown.free;
  }
  // Without a right to read the cohorts only what the queue owns is known.
  return shown.nominal === null
    ? null
    : Math.max(0, shown.nominal - (shown.cluster_queue_used ?? shown.used));
}

/** Return a number of bytes: `812 B`, `4.2 KiB`, `3 MiB`. */
export function byteSize(bytes: number, trans: TranslationBundle): string {
  const units = [
    trans.__('B'),
    trans.__('KiB'),
    trans.__('MiB'),
    trans.__('GiB'),
    trans.__('TiB'),
    trans.__('PiB')
  ];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : Math.round(10 * value) / 10} ${units[power] ?? ''}`;
}
