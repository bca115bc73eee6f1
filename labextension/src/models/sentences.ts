/** What the server says, in the user's language. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';

import type { RequestError } from '../request';
import type { IRunRow, ISentence, SentencePart, SentenceValue } from '../wire';
import { SENTENCES } from './catalogue';

const ENGLISH = { trans: nullTranslator.load('jupyter_kueue') };

/**
 * Return a text of the server's in the user's language, and as it is where there is no translation:
 * it has no code, or one of another version, or the language lacks it.
 */
export function translated(
  text: string,
  sentence: ISentence | null | undefined,
  trans: TranslationBundle
): string {
  if (sentence == null) {
    return text;
  }
  const words = inWords(sentence, trans);
  return words === null || words === inWords(sentence, ENGLISH.trans) ? text : words;
}

/** Return what a run says of itself, null where it says nothing. */
export function messageOf(
  { message, sentence }: Pick<IRunRow, 'message' | 'sentence'>,
  trans: TranslationBundle
): string | null {
  return message === null ? null : translated(message, sentence, trans);
}

/** Return what is missing of a run. */
export function warningsOf(
  { warnings, warning_sentences }: Pick<IRunRow, 'warnings' | 'warning_sentences'>,
  trans: TranslationBundle
): readonly string[] {
  return warnings.map((warning, at) => translated(warning, warning_sentences[at], trans));
}

/** Return what did not go along with a run, null where nothing stayed behind. */
export function leftBehindOf(
  { left_behind }: Pick<IRunRow, 'left_behind'>,
  trans: TranslationBundle
): string | null {
  return left_behind && translated(left_behind.message, left_behind.sentence, trans);
}

/** Return what is wrong with each field of a request. */
export function fieldsOf(
  { fields, fieldSentences }: Pick<RequestError, 'fields' | 'fieldSentences'>,
  trans: TranslationBundle
): Readonly<Record<string, string>> {
  const found = Object.entries(fields).map(([field, text]) => [
    field,
    translated(text, fieldSentences[field], trans)
  ]);
  return Object.fromEntries(found) as Record<string, string>;
}

/** Return what the server says of a request that it refused. */
export function errorOf(error: RequestError, trans: TranslationBundle): string {
  if (Object.keys(error.fieldSentences).length === 0) {
    return translated(error.message, error.sentence, trans);
  }
  // As the server puts them together.
  const fields = Object.entries(fieldsOf(error, trans));
  return fields.map(([field, text]) => `${field}: ${text}`).join('; ');
}

/** Return a sentence in words, null where its code, or that of one in it, is not known. */
function inWords({ code, values }: ISentence, trans: TranslationBundle): string | null {
  const words = SENTENCES.get(code);
  if (words === undefined) {
    return null;
  }
  const unknown: (SentenceValue | undefined)[] = [];
  const valueOf = (value: SentenceValue | undefined): string => {
    if (typeof value === 'string' || typeof value === 'number') {
      return String(value);
    }
    if (isList(value)) {
      return value.map(valueOf).join(trans.__(', '));
    }
    const inner = value === undefined ? null : inWords(value, trans);
    if (inner === null) {
      unknown.push(value);
    }
    return inner ?? '';
  };
  const countOf = (): number => {
    const count = Number(values.count);
    if (!Number.isFinite(count)) {
      unknown.push(values.count);
    }
    return count;
  };
  const whole = words(trans, name => valueOf(values[name]), countOf);
  return unknown.length === 0 ? whole : null;
}

function isList(value: SentenceValue | undefined): value is readonly SentencePart[] {
  return Array.isArray(value);
}
