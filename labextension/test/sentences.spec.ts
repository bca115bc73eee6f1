import type { TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';

import { errorOf, fieldsOf, messageOf, translated, warningsOf } from '../src/models/sentences';
import { sayingOf } from '../src/models/words';
import { asRequestError, requestError } from '../src/request';
import type { ISentence } from '../src/wire';
import { row } from './rows';

const trans = nullTranslator.load('jupyter_kueue');
const GERMAN_OF_COUNTS: Readonly<Record<string, readonly [string, string]>> = {
  'It has ended after %1 runs. Raise max_runs to continue it.': [
    'Nach einem Lauf beendet.',
    'Nach %1 Läufen beendet.'
  ]
};
const GERMAN: Readonly<Record<string, string>> = {
  'Waiting in %1.': 'Wartet in %1, bis es an der Reihe ist.',
  'Waiting for %1 to become free (asks for %2).': 'Will %2; es fehlt noch %1.',
  '%1 of memory': '%1 Speicher',
  '%1 was not kept: %2': '%1 wurde nicht behalten: %2',
  'must be a single line without control characters': 'muss eine Zeile sein'
};
const german: TranslationBundle = {
  ...trans,
  // eslint-disable-next-line jupyter/no-dynamic-translation -- it stands for a language
  __: (text: string, ...values: string[]) => trans.__(GERMAN[text] ?? text, ...values),
  _n: (one: string, many: string, count: number, ...values: string[]) => {
    const [single, several] = GERMAN_OF_COUNTS[many] ?? [one, many];
    // eslint-disable-next-line jupyter/no-dynamic-translation -- it stands for a language
    return trans._n(single, several, count, ...values);
  }
};

const WAITS: ISentence = { code: 'waits-for-turn', values: { queue: 'team-a' } };

describe('a text of the server', () => {
  it('is said in the language, with its values', () => {
    const waiting = row('a', { message: 'Waiting in team-a.', sentence: WAITS });
    expect(messageOf(waiting, german)).toBe('Wartet in team-a, bis es an der Reihe ist.');
    expect(sayingOf(waiting, german)).toBe('Wartet in team-a, bis es an der Reihe ist.');
  });

  it('has sentences in it that are said in the language, too', () => {
    const wanted = { code: 'memory-amount', values: { amount: '4 GiB' } };
    const sentence = { code: 'asks-and-lacks', values: { wanted, more: '1 GiB' } };
    expect(translated('…', sentence, german)).toBe('Will 4 GiB Speicher; es fehlt noch 1 GiB.');
  });

  it.each([
    [1, 'Nach einem Lauf beendet.'],
    [3, 'Nach 3 Läufen beendet.']
  ])('has the forms of plural of its language: %d', (count, words) => {
    const sentence = { code: 'schedule-ended-after', values: { count } };
    expect(translated('It has ended.', sentence, german)).toBe(words);
  });

  it.each([
    ['its count is none', { code: 'schedule-ended-after', values: { count: 'many' } }],
    ['it has no code', null],
    ['its server tells no codes', undefined],
    ['its code is not known', { code: 'of-another-version', values: {} }],
    ['it has no translation', { code: 'starting', values: {} }],
    [
      'a code in it is not known',
      { code: 'both', values: { first: WAITS, second: { code: 'x', values: {} } } }
    ],
    ['a value is missing', { code: 'waits-for-turn', values: {} }]
  ])('stays as it is where %s', (_why, sentence) => {
    expect(translated('As it is.', sentence, german)).toBe('As it is.');
  });

  it('stays as it is in English, however it was cut', () => {
    expect(translated('Waits for its …', WAITS, trans)).toBe('Waits for its …');
  });

  it('is a warning of a run', () => {
    const sentence = { code: 'file-not-kept', values: { path: 'a%1.csv', why: 'is too large' } };
    const ended = row('a', {
      warnings: ['a%1.csv was not kept: is too large', 'Old.'],
      warning_sentences: [sentence, null]
    });
    expect(warningsOf(ended, german)).toEqual([
      'a%1.csv wurde nicht behalten: is too large',
      'Old.'
    ]);
  });
});

describe('a refused request', () => {
  const text = 'must be a single line without control characters';
  const error = requestError(422, {
    message: `name: ${text}; tags: Odd.`,
    reason: 'invalid',
    fields: { name: text, tags: 'Odd.' },
    field_sentences: { name: { code: 'field-is-no-line', values: {} }, tags: null }
  });

  it('says what is wrong with each field', () => {
    expect(fieldsOf(error, german)).toEqual({ name: 'muss eine Zeile sein', tags: 'Odd.' });
    expect(errorOf(error, german)).toBe('name: muss eine Zeile sein; tags: Odd.');
    expect(errorOf(error, trans)).toBe(error.message);
  });

  it('has its own words where the server told none', () => {
    expect(errorOf(asRequestError(new Error('Failed to fetch')), german)).toBe('Failed to fetch');
  });
});
