/** The queue's fields in jupyter-scheduler's create form. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect } from '@jupyterlab/ui-components';
import React from 'react';

import { amount, compareResources, free, resourceName } from '../models/words';
import type { ILocalQueue } from '../wire';

/** What travels in `runtime_environment_parameters`; an empty text means the server's default. */
export interface IQueueChoice {
  readonly queue: string;
  readonly gpus: string;
  readonly cpu: string;
  readonly memory: string;
}

export type ChoiceField = keyof IQueueChoice;

/** Return what is wrong with each field, empty where all is well. */
export function choiceErrors(
  choice: IQueueChoice,
  trans: TranslationBundle
): Record<ChoiceField, string> {
  return {
    queue: '',
    gpus: /^\d*$/.test(choice.gpus) ? '' : trans.__('A whole number, such as 1'),
    cpu: /^(\d+(\.\d+)?|\.\d+|\d+m)?$/.test(choice.cpu) ? '' : trans.__('CPUs, such as 2 or 500m'),
    memory: /^(\d+(\.\d+)?([KMGT]i?)?)?$/.test(choice.memory)
      ? ''
      : trans.__('Bytes with a unit, such as 4Gi')
  };
}

interface IQueueOptionsProps {
  readonly queues: readonly ILocalQueue[];
  /** What stands in the list while no queue is chosen. */
  readonly unchosen: string;
  readonly choice: IQueueChoice;
  readonly onChange: (field: ChoiceField, value: string) => void;
  readonly trans: TranslationBundle;
}

export function QueueOptions(props: IQueueOptionsProps): React.JSX.Element {
  const { queues, unchosen, choice, onChange, trans } = props;
  const errors = choiceErrors(choice, trans);
  const chosen = queues.find(queue => queue.name === choice.queue);
  const field = (name: 'gpus' | 'cpu' | 'memory', label: string, placeholder: string) => (
    <Field {...{ name, label, placeholder, onChange }} value={choice[name]} error={errors[name]} />
  );
  return (
    <div className="jp-Kueue-options">
      <label className="jp-Kueue-field">
        <span>{trans.__('Queue')}</span>
        <HTMLSelect
          name="queue"
          value={choice.queue}
          onChange={event => onChange('queue', event.target.value)}
        >
          <option value="">{unchosen}</option>
          {queues.map(queue => (
            <option key={queue.name} value={queue.name} disabled={!queue.active}>
              {queueLabel(queue, trans)}
            </option>
          ))}
        </HTMLSelect>
        {chosen?.message && <span className="jp-Kueue-error">{chosen.message}</span>}
      </label>
      {field('gpus', trans.__('GPUs'), trans.__('none'))}
      {field('cpu', trans.__('CPU'), trans.__('the default, or 2 or 500m'))}
      {field('memory', trans.__('Memory'), trans.__('the default, or 4Gi'))}
    </div>
  );
}

/** Return a queue's name with what is free in it: `team-a: GPU 2, CPU 6 free`. */
function queueLabel(queue: ILocalQueue, trans: TranslationBundle): string {
  if (!queue.active) {
    return trans.__('%1: on hold', queue.name);
  }
  const amounts = Object.entries(queue.resources)
    .sort(([a], [b]) => compareResources(a, b))
    .flatMap(([name, shown]) => {
      const left = free(shown);
      const unit = name === 'memory' ? ` ${trans.__('GiB')}` : '';
      return left === null ? [] : [`${resourceName(name, trans)} ${amount(name, left)}${unit}`];
    });
  return amounts.length === 0
    ? queue.name
    : trans.__('%1: free %2', queue.name, amounts.join(', '));
}

interface IFieldProps {
  readonly name: ChoiceField;
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly error: string;
  readonly onChange: (field: ChoiceField, value: string) => void;
}

function Field(props: IFieldProps): React.JSX.Element {
  const { name, label, placeholder, value, error, onChange } = props;
  const errorId = React.useId();
  return (
    <label className="jp-Kueue-field">
      <span>{label}</span>
      <input
        className="jp-mod-styled"
        name={name}
        value={value}
        placeholder={placeholder}
        aria-invalid={error !== ''}
        aria-describedby={errorId}
        onChange={event => onChange(name, event.target.value.trim())}
      />
      <span id={errorId} className="jp-Kueue-error">
        {error}
      </span>
    </label>
  );
}
