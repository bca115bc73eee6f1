/** The queue and the amounts of a run, in forms. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { AmountField } from '../models/amounts';
import { amountError, asQuantity, shownAmount } from '../models/amounts';
import { messageOf } from '../models/sentences';
import { amount, compareResources, free, resourceName } from '../models/words';
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
  /** What stands in the list while no queue is chosen. */
  readonly unchosen: string;
  readonly value: string;
  readonly error: string;
  readonly onChange: (value: string) => void;
  readonly trans: TranslationBundle;
}

export function QueueSelect(props: IQueueSelectProps): React.JSX.Element {
  const { queues, unchosen, value, error, onChange, trans } = props;
  const chosen = queues.find(queue => queue.name === value);
  return (
    <SelectField
      name="queue"
      label={trans.__('Queue')}
      value={value}
      error={error === '' && chosen !== undefined ? (messageOf(chosen, trans) ?? '') : error}
      onChange={onChange}
      options={[
        { value: '', label: unchosen },
        ...queues.map(queue => ({
          value: queue.name,
          label: queueLabel(queue, trans),
          isDisabled: !queue.active
        }))
      ]}
    />
  );
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
      {field('gpus', trans.__('GPUs'), of(String(profile?.gpus ?? 0)))}
      {field(
        'cpu',
        trans.__('CPU'),
        of(profile?.cpu == null ? unset : shownAmount('cpu', String(profile.cpu)))
      )}
      {field(
        'memory',
        trans.__('Memory'),
        of(profile?.memory == null ? unset : shownAmount('memory', String(profile.memory)))
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

/** Return a queue's name with what is free in it: `team-a: free GPU 2, CPU 6`. */
function queueLabel(queue: ILocalQueue, trans: TranslationBundle): string {
  if (!queue.active) {
    return trans.__('%1: on hold', queue.name);
  }
  const amounts = Object.entries(queue.resources)
    .sort(([a], [b]) => compareResources(a, b))
    .flatMap(([name, shown]) => {
      const left = free(shown);
      const unit = name === 'memory' ? ` ${trans.__('GiB')}` : '';
      if (left === null) {
        return [];
      }
      const said = `${resourceName(name, trans)} ${amount(name, left)}${unit}`;
      const back = shown.reclaimable ?? 0;
      return [back > 0 ? trans.__('%1 (takes back %2)', said, amount(name, back)) : said];
    });
  return amounts.length === 0
    ? queue.name
    : trans.__('%1: free %2', queue.name, amounts.join(', '));
}
