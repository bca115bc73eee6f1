/** A time limit as people write it, and in seconds as the server expects it. */
import type { TranslationBundle } from '@jupyterlab/translation';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const PART =
  /(\d+(?:[.,]\d+)?)\s*(days?|d|hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)(?![a-z])\s*/gi;

/** Return a time limit in seconds; null if it is invalid. An empty text stays empty. */
export function asSeconds(text: string): number | '' | null {
  const typed = text.trim();
  if (typed === '') {
    return '';
  }
  if (/^\d+$/.test(typed)) {
    // Nobody types a number of seconds: a plain number means minutes.
    return atLeastOne(Number(typed) * 60);
  }
  if (typed.replace(PART, '') !== '') {
    return null;
  }
  let seconds = 0;
  for (const [, amount = '', unit = ''] of typed.matchAll(PART)) {
    seconds += Number(amount.replace(',', '.')) * (SECONDS[unit.charAt(0).toLowerCase()] ?? 0);
  }
  return atLeastOne(Math.round(seconds));
}

/** Return a number of seconds in readable form: `1 h 30 min`; `asSeconds` parses it. */
export function shownTime(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'min'],
    [seconds % 60, 's']
  ] as const;
  return parts
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** Return a hint about the valid form of a time limit; empty if it is valid. */
export function timeError(text: string, trans: TranslationBundle): string {
  return asSeconds(text) === null ? trans.__('Enter a time, such as 30 min or 2 h') : '';
}

/** Return how a time limit is interpreted, if that is not obvious. */
export function timeHint(text: string): string {
  const seconds = asSeconds(text);
  const shown = seconds === null || seconds === '' ? '' : shownTime(seconds);
  return shown === text.trim() ? '' : shown;
}

function atLeastOne(seconds: number): number | null {
  return seconds >= 1 ? seconds : null;
}
