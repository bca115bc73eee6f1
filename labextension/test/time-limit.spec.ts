import { nullTranslator } from '@jupyterlab/translation';

import { asSeconds, shownTime, timeError, timeHint } from '../src/models/time-limit';

const trans = nullTranslator.load('jupyter_kueue');

it.each<[string, number | '' | null]>([
  ['', ''],
  ['90', 5400],
  ['45 s', 45],
  ['30min', 1800],
  ['2 hours', 7200],
  ['1 h 30 min', 5400],
  ['1h30m', 5400],
  ['1,5 h', 5400],
  ['1 d', 86_400],
  ['0', null],
  ['0 s', null],
  ['soon', null],
  ['2 h later', null],
  ['-1 h', null]
])('reads %j', (text, seconds) => {
  expect(asSeconds(text)).toBe(seconds);
  expect(timeError(text, trans) === '').toBe(seconds !== null);
});

it.each([45, 60, 5400, 3661, 90_000])('writes %d s so that it reads it back', seconds => {
  expect(asSeconds(shownTime(seconds))).toBe(seconds);
});

it('says what it understood', () => {
  expect(timeHint('90')).toBe('1 h 30 min');
  expect(timeHint('2 h')).toBe('');
  expect(timeHint('soon')).toBe('');
});
