/** The time limit and the kernel of a run, in forms. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { timeError, timeHint } from '../models/time-limit';
import type { FieldErrors } from '../request';
import { TextField } from './field';

export interface IRunOptions {
  readonly timeout: string;
  readonly kernel: string;
}

interface IRunOptionsProps {
  readonly options: IRunOptions;
  /** The server's error for each field. */
  readonly errors: FieldErrors;
  readonly onChange: (field: keyof IRunOptions, value: string) => void;
  readonly trans: TranslationBundle;
}

export function RunOptionFields(props: IRunOptionsProps): React.JSX.Element {
  const { options, errors, onChange, trans } = props;
  const { timeout, kernel } = options;
  return (
    <div className="jp-Kueue-amounts jp-mod-pair">
      <TextField
        name="timeout"
        label={trans.__('Time limit')}
        placeholder={trans.__('the longest allowed')}
        value={timeout}
        error={timeError(timeout, trans) || (errors.timeout ?? '')}
        hint={timeHint(timeout)}
        onChange={value => onChange('timeout', value)}
      />
      <TextField
        name="kernel"
        label={trans.__('Kernel')}
        placeholder={trans.__('from the notebook')}
        value={kernel}
        error={errors.kernel ?? ''}
        onChange={value => onChange('kernel', value)}
      />
    </div>
  );
}
