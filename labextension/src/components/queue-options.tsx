/** The queue and the amounts of a run, in forms. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { AmountField } from '../models/amounts';
import { amountError, asQuantity, shownAmount } from '../models/amounts';
import { messageOf } from '../models/sentences';
import { freeText } from '../models/words';
import type { FieldErrors } from '../request';
import type { ILocalQueue, IProfile } from '../wire';
import { SelectField, TextField } from './field';

export interface IQueueChoice {
  /** An empty text means the server's default. */
  readonly queue: string;
  readonly gpus: string;
  readonly cpu: string;
  readonly memory: string;
}

export type ChoiceField = keyof IQueueChoice;

interface IQueueSelectProps {
  readonly queues: readonly ILocalQueue[];
  /** The queue that a run goes to which names none; null where that is not known. */
  readonly defaultQueue: string | null;
  /** What stands in the list where the default queue is not known. */
  readonly unchosen: string;
  readonly value: string;
  readonly error: string;
  readonly onChange: (value: string) => void;
  readonly trans: TranslationBundle;
}

export function QueueSelect(props: IQueueSelectProps): React.JSX.Element {
  const { queues, defaultQueue, unchosen, value, error, onChange, trans } = props;
  const byDefault = queues.find(queue => queue.name === defaultQueue);
  const chosen = value === '' ? byDefault : queues.find(queue => queue.name === value);
  return (
    <SelectField
      name="queue"
      label={trans.__('Queue')}
      value={value === defaultQueue ? '' : value}
      error={error === '' && chosen !== undefined ? (messageOf(chosen, trans) ?? '') : error}
      onChange={onChange}
      options={[
        {
          value: '',
          label: byDefault === undefined ? unchosen : queueLabel(byDefault, true, trans)
        },
        ...queues
          .filter(queue => queue !== byDefault)
          .map(queue => ({
            value: queue.name,
            label: queueLabel(queue, false, trans),
            isDisabled: !queue.active
          }))
      ]}
    />
  );
}

/** Return what stands for the default queue where its numbers are not known. */
export function unchosenQueue(defaultQueue: string | null, trans: TranslationBundle): string {
  return defaultQueue === null
    ? trans.__('The default queue')
    : trans.__('%1 (default)', defaultQueue);
}

interface IAmountFieldsProps {
  readonly choice: Omit<IQueueChoice, 'queue'>;
  /** What the server said of each field. */
  readonly errors: FieldErrors;
  /** The size that counts where a field is empty; null where that is not known. */
  readonly profile: IProfile | null;
  readonly onChange: (field: AmountField, value: string) => void;
  readonly trans: TranslationBundle;
}

export function AmountFields(props: IAmountFieldsProps): React.JSX.Element {
  const { choice, errors, profile, onChange, trans } = props;
  const field = (name: AmountField, label: string, placeholder: string) => (
    <TextField
      name={name}
      label={label}
      placeholder={placeholder}
      value={choice[name]}
      error={amountError(name, choice[name], trans) || (errors[name] ?? '')}
      hint={hintOf(name, choice[name])}
      onChange={value => onChange(name, value)}
    />
  );
  const of = (value: string) =>
    profile === null ? value : trans.__('%1, as in %2', value, profile.display_name);
  const unset = trans.__('default');
  return (
    <div className="jp-Kueue-amounts">
      {field('gpus', trans.__('GPUs'), of(profile === null ? unset : String(profile.gpus)))}
      {field(
        'cpu',
        trans.__('CPU'),
        of(profile?.cpu == null ? unset : shownAmount('cpu', profile.cpu))
      )}
      {field(
        'memory',
        trans.__('Memory'),
        of(profile?.memory == null ? unset : shownAmount('memory', profile.memory))
      )}
    </div>
  );
}

/** Return what is understood of an amount, where that is not plain. */
function hintOf(field: AmountField, text: string): string {
  const quantity = asQuantity(field, text);
  if (field !== 'memory' || quantity === null || quantity === '') {
    return '';
  }
  const shown = shownAmount('memory', quantity);
  return [shown, quantity].includes(text.trim()) ? '' : shown;
}

/** Return a queue's name with what is free in it: `team-a (default) — 2 GPUs, 6 CPUs free`. */
function queueLabel(queue: ILocalQueue, isDefault: boolean, trans: TranslationBundle): string {
  const name = isDefault ? trans.__('%1 (default)', queue.name) : queue.name;
  const said = queue.active ? freeText(queue, trans) : trans.__('on hold');
  return said === null ? name : trans.__('%1 — %2', name, said);
}
