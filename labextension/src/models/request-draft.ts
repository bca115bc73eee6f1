/** What a form holds while a request is being changed: texts as they are typed, and back. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { FieldErrors } from '../request';
import type { IRequest, RequestChanges } from '../wire';
import { AMOUNTS, amountError, asQuantity, shownAmount } from './amounts';
import { asSeconds, shownTime, timeError } from './time-limit';

export interface IRequestDraft {
  readonly name: string;
  readonly queue: string;
  /** A size by its name; empty where the amounts say it. */
  readonly profile: string;
  readonly cpu: string;
  readonly memory: string;
  readonly gpus: string;
  /** The image, the time limit and the kernel; empty where the server's defaults count. */
  readonly environment: string;
  readonly timeout: string;
  readonly kernel: string;
  readonly parameters: readonly IParameterDraft[];
}

export interface IParameterDraft {
  readonly name: string;
  readonly value: string;
}

/** The fields of the form by their names in REST. */
const FIELDS: Readonly<Record<string, string>> = {
  local_queue: 'queue',
  timeout_seconds: 'timeout',
  kernel_name: 'kernel',
  'resources.cpu': 'cpu',
  'resources.memory': 'memory',
  'resources.gpus': 'gpus'
};

/** The fields of the form that errors are shown at, but for the parameters. */
const SHOWN = ['name', 'queue', 'profile', ...AMOUNTS, 'environment', 'timeout', 'kernel'];

/** Return what a form begins with. */
export function draftOf(request: IRequest): IRequestDraft {
  const { resources } = request;
  return {
    name: request.name ?? '',
    queue: request.local_queue ?? '',
    profile: request.profile ?? '',
    cpu: shownAmount('cpu', String(resources?.cpu ?? '')),
    memory: shownAmount('memory', String(resources?.memory ?? '')),
    gpus: resources?.gpus ? String(resources.gpus) : '',
    environment: request.environment ?? '',
    timeout: request.timeout_seconds == null ? '' : shownTime(request.timeout_seconds),
    kernel: request.kernel_name ?? '',
    parameters: Object.entries(request.parameters ?? {}).map(([name, value]) => ({
      name,
      value: parameterText(value)
    }))
  };
}

/** Return what a form changes; a field that is null goes back to the server's default. */
export function changesOf(draft: IRequestDraft, request: IRequest): RequestChanges {
  const before = draftOf(request);
  const isAmountChanged = AMOUNTS.some(field => draft[field] !== before[field]);
  const isSizeChanged = draft.profile !== before.profile || isAmountChanged;
  const isParameterChanged = JSON.stringify(draft.parameters) !== JSON.stringify(before.parameters);
  return {
    ...(draft.name === before.name ? {} : { name: draft.name.trim() || null }),
    ...(draft.queue === before.queue ? {} : { local_queue: draft.queue || null }),
    ...(isSizeChanged ? sizeChanges(draft, before, request) : {}),
    ...(draft.environment === before.environment ? {} : { environment: draft.environment || null }),
    ...(draft.timeout === before.timeout ? {} : { timeout_seconds: secondsOf(draft) }),
    ...(draft.kernel === before.kernel ? {} : { kernel_name: draft.kernel.trim() || null }),
    ...(isParameterChanged ? { parameters: parametersOf(draft) } : {})
  };
}

/** Return what is wrong with a draft by its fields, before anything is sent. */
export function draftErrors(draft: IRequestDraft, trans: TranslationBundle): FieldErrors {
  const amounts = draft.profile === '' ? AMOUNTS : [];
  const wrong: (readonly [string, string])[] = amounts.map(field => [
    field,
    amountError(field, draft[field], trans)
  ]);
  wrong.push(['timeout', timeError(draft.timeout, trans)]);
  const names = draft.parameters.map(({ name }) => name.trim());
  const twice = names.find((name, at) => name !== '' && names.indexOf(name) !== at);
  if (twice !== undefined) {
    wrong.push(['parameters', trans.__('%1 is given twice. Remove one of them.', twice)]);
  }
  return Object.fromEntries(wrong.filter(([, error]) => error !== ''));
}

/** Return the server's errors by the fields of the form; `''` has what belongs to none. */
export function formErrors(fields: FieldErrors): FieldErrors {
  const found: Record<string, string> = {};
  for (const [field, error] of Object.entries(fields)) {
    const own = FIELDS[field] ?? field;
    const isShown = SHOWN.includes(own);
    const key = own.startsWith('parameters') ? 'parameters' : isShown ? own : '';
    const [, parameter] = /^parameters\.(.+)$/.exec(own) ?? [];
    const text = parameter === undefined ? error : `${parameter}: ${error}`;
    found[key] = key in found ? `${found[key] ?? ''}\n${text}` : text;
  }
  return found;
}

/** Return a parameter's value as it is typed: a text as it is, unless it looks like something else. */
export function parameterText(value: unknown): string {
  return typeof value === 'string' && parameterValue(value) === value
    ? value
    : JSON.stringify(value);
}

/** Return what a typed value stands for: what is no JSON is a text. */
export function parameterValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function sizeChanges(
  draft: IRequestDraft,
  before: IRequestDraft,
  { resources }: IRequest
): RequestChanges {
  if (draft.profile !== '') {
    return { profile: draft.profile, resources: null };
  }
  const amounts = AMOUNTS.flatMap(field => {
    // What is not changed stays as it was asked for, of which the form may show less.
    const asked = resources?.[field];
    const isSame = draft[field] === before[field] && asked != null && draft[field] !== '';
    const quantity = isSame ? String(asked) : (asQuantity(field, draft[field]) ?? '');
    const value = field === 'gpus' ? Number(quantity) : quantity;
    return quantity === '' ? [] : [[field, value] as const];
  });
  return {
    profile: null,
    resources: amounts.length === 0 ? null : Object.fromEntries(amounts)
  };
}

function secondsOf({ timeout }: IRequestDraft): number | null {
  const seconds = asSeconds(timeout);
  return seconds === '' ? null : seconds;
}

function parametersOf({ parameters }: IRequestDraft): Record<string, unknown> {
  return Object.fromEntries(
    parameters
      .filter(({ name }) => name.trim() !== '')
      .map(({ name, value }) => [name.trim(), parameterValue(value)])
  );
}
