/** Numbers, times and states in words. Pure: everything comes in, text comes out. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobRow, IResourceUsage, JobState } from '../wire';

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
export function runtime(job: IJobRow, trans: TranslationBundle): string | null {
  if (job.started_at === null || job.finished_at === null) {
    return null;
  }
  return duration(Date.parse(job.finished_at) - Date.parse(job.started_at), trans);
}

/** Return a point in time: the hour today, else the day. */
export function moment(time: string, now: Date): string {
  const date = new Date(time);
  return date.toDateString() === now.toDateString()
    ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
}

/** Return where a waiting run stands in its queue; null where that is not known. */
export function position(job: IJobRow, trans: TranslationBundle): string | null {
  const before = job.position?.local_queue ?? null;
  if (before === null || job.reason === 'blocked') {
    return null;
  }
  return before === 0 ? trans.__('next') : trans._n('%1 before it', '%1 before it', before);
}

export function stateName(state: JobState, trans: TranslationBundle): string {
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

/** Sort resources as people look at them: what is scarce first. */
export function compareResources(a: string, b: string): number {
  const order = ['cpu', 'memory'];
  return order.indexOf(a) - order.indexOf(b) || a.localeCompare(b);
}

/** Return what a resource's bar says: `2 of 4`, with what is borrowed and the unit. */
export function usage(resource: string, shown: IResourceUsage, trans: TranslationBundle): string {
  const unit = resource === 'memory' ? ` ${trans.__('GiB')}` : '';
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
