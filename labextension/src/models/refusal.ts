/** What jupyter-scheduler's form was answered: `field: text; field: text`. */
import type { FieldErrors } from '../request';

/** The fields of ours in that form, by the names that the answer has for them. */
const FIELDS = ['queue', 'gpus', 'cpu', 'memory', 'tags', 'idempotency_token'];

/** Return what the answer says of our fields; nothing where it is of others. */
export function refusedFields(message: string | undefined): FieldErrors {
  const parts = (message ?? '').split(new RegExp(`(?:^|; )(${FIELDS.join('|')}): `));
  const found: Record<string, string> = {};
  for (let at = 1; at < parts.length; at += 2) {
    const [field = '', text = ''] = parts.slice(at, at + 2);
    // What follows belongs to a field of the form's own.
    found[field] = text.replace(/; [a-z_.]+: .*$/s, '');
  }
  return found;
}
