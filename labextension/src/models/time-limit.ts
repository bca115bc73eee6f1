/** A time limit, as people write it and as the server takes it: in seconds. */
import type { TranslationBundle } from '@jupyterlab/translation';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const PART =
  /(\d+(?:[.,]\d+)?)\s*(days?|d|hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)(?![a-z])\s*/gi;

/** Return a time limit in seconds; null where it cannot be one. An empty text stays so. */
export function asSeconds(text: string): number | '' | null {
  const typed = text.trim();
  if (typed === '') {
    return '';
  }
  if (/^\d+$/.test(typed)) {
    // Nobody types a number of seconds: a number alone is minutes.
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

/** Return a number of seconds as people write it: `1 h 30 min`; `asSeconds` reads it back. */
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

/** Return what is wrong with a time limit, as what would be right; empty where nothing is. */
export function timeError(text: string, trans: TranslationBundle): string {
  return asSeconds(text) === null ? trans.__('Enter a time, such as 30 min or 2 h') : '';
}

/** Return what is understood of a time limit, where that is not plain. */
export function timeHint(text: string): string {
  const seconds = asSeconds(text);
  const shown = seconds === null || seconds === '' ? '' : shownTime(seconds);
  return shown === text.trim() ? '' : shown;
}

function atLeastOne(seconds: number): number | null {
  return seconds >= 1 ? seconds : null;
}
