/**
 * Parses errors shown in jupyter-scheduler's form: `field: text; field: text`, with REST's names.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { FieldErrors } from '../request';

/** The fields that this extension adds to the form. */
const OWN_FIELDS = [
  'queue',
  'gpus',
  'cpu',
  'memory',
  'timeout',
  'kernel',
  'tags',
  'idempotency_token'
];

export interface IRefusal {
  /** The errors of these fields, by name. */
  readonly fields: FieldErrors;
  /** The whole answer, with the form's labels for fields. */
  readonly message: string;
}

/** Return the fields' errors in an answer; null if it names no field. */
export function refusalOf(answer: string, trans: TranslationBundle): IRefusal | null {
  const labels = labelsOf(trans);
  const names = Object.keys(labels).join('|');
  const parts = answer.split(new RegExp(`(?:^|; )((?:${names})(?:\\.[^\\s:;]+)?): `));
  const fields: Record<string, string> = {};
  const sentences = parts[0] === '' ? [] : [parts[0] ?? ''];
  for (let at = 1; at < parts.length; at += 2) {
    const [name = '', text = ''] = parts.slice(at, at + 2);
    const [first = '', rest] = name.split(/\.(.*)/s);
    if (OWN_FIELDS.includes(name)) {
      fields[name] = text;
    }
    sentences.push(
      rest === undefined
        ? trans.__('%1: %2', labels[first], text)
        : trans.__('%1 %2: %3', labels[first], rest, text)
    );
  }
  return parts.length === 1 ? null : { fields, message: sentences.join('; ') };
}

/** The form's labels of the fields that an answer may name. */
function labelsOf(trans: TranslationBundle): Record<string, string> {
  return {
    name: trans.__('Job name'),
    input_uri: trans.__('Input file'),
    package_input_folder: trans.__('Input folder'),
    runtime_environment_name: trans.__('Environment'),
    output_formats: trans.__('Output formats'),
    compute_type: trans.__('Compute type'),
    parameters: trans.__('Parameters'),
    schedule: trans.__('Schedule'),
    timezone: trans.__('Time zone'),
    queue: trans.__('Queue'),
    gpus: trans.__('GPUs'),
    cpu: trans.__('CPU'),
    memory: trans.__('Memory'),
    timeout: trans.__('Time limit'),
    kernel: trans.__('Kernel'),
    tags: trans.__('Tags'),
    idempotency_token: trans.__('Idempotency token')
  };
}
