/** How things stand with the server: one state at a time. */
import type { RequestError } from '../request';

/** The stream of changes. */
export type Connection =
  /** Nobody looks. */
  | { readonly kind: 'closed' }
  /** Somebody looks, and the server has not answered yet. */
  | { readonly kind: 'opening' }
  /** What is known is true. */
  | { readonly kind: 'live' }
  /** What is known may be out of date; it is tried again. */
  | { readonly kind: 'lost'; readonly error: RequestError; readonly since: Date };

/** Something that is read from the server. */
export type Reading<T> =
  /** It has not been read yet. */
  | { readonly kind: 'unread' }
  | { readonly kind: 'read'; readonly value: T }
  /** The last try failed; `value` is from before, null where there was none. */
  | {
      readonly kind: 'failed';
      readonly error: RequestError;
      readonly since: Date;
      readonly value: T | null;
    };

/** Why what is shown may be out of date, and since when. */
export interface IInterruption {
  readonly error: RequestError;
  readonly since: Date;
}

/** Return since when runs may be in other states than are shown, null while they are as shown. */
export function staleSince(model: {
  readonly connection: Connection;
  readonly interruption: IInterruption | null;
}): Date | null {
  const { connection, interruption } = model;
  // Else something was not read that says nothing of runs.
  const isUnknown =
    connection.kind === 'lost' || interruption?.error.reason === 'cluster-unavailable';
  return isUnknown && interruption !== null ? interruption.since : null;
}

/** Return what is known of something that was read, null where nothing is. */
export function known<T>(reading: Reading<T>): T | null {
  return reading.kind === 'unread' ? null : reading.value;
}
