/** A field of a form: its label, its input, and its error. */
import { HTMLSelect } from '@jupyterlab/ui-components';
import React from 'react';

interface ITextFieldProps {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly error?: string;
  /** How the input is interpreted. */
  readonly hint?: string;
  readonly onChange: (value: string) => void;
}

export function TextField(props: ITextFieldProps): React.JSX.Element {
  const { name, label, value, placeholder, error = '', hint = '', onChange } = props;
  const noteId = React.useId();
  return (
    <label className="jp-Kueue-field">
      <span>{label}</span>
      <input
        className="jp-mod-styled"
        name={name}
        value={value}
        placeholder={placeholder}
        aria-invalid={error !== ''}
        aria-describedby={noteId}
        onChange={event => onChange(event.target.value)}
      />
      <span id={noteId} className={error === '' ? 'jp-Kueue-hint' : 'jp-Kueue-error'}>
        {error === '' ? hint : error}
      </span>
    </label>
  );
}

export interface IOption {
  readonly value: string;
  readonly label: string;
  readonly isDisabled?: boolean;
}

interface ISelectFieldProps {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  readonly options: readonly IOption[];
  readonly error?: string;
  readonly onChange: (value: string) => void;
}

export function SelectField(props: ISelectFieldProps): React.JSX.Element {
  const { name, label, value, options, error = '', onChange } = props;
  const errorId = React.useId();
  return (
    <label className="jp-Kueue-field">
      <span>{label}</span>
      <HTMLSelect
        name={name}
        value={value}
        aria-invalid={error !== ''}
        aria-describedby={errorId}
        onChange={event => onChange(event.target.value)}
      >
        {options.map(option => (
          <option key={option.value} value={option.value} disabled={option.isDisabled}>
            {option.label}
          </option>
        ))}
      </HTMLSelect>
      <span id={errorId} className="jp-Kueue-error">
        {error}
      </span>
    </label>
  );
}
