/** The fields of a request that can be changed: name, queue, size, environment, limits, parameters. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { AMOUNTS, sizeOf } from '../models/amounts';
import type { IParameterDraft, IRequestDraft } from '../models/request-draft';
import type { FieldErrors } from '../request';
import type { IEnvironment, ILocalQueue, IProfile } from '../wire';
import { SelectField, TextField } from './field';
import { AmountFields, QueueSelect, unchosenQueue } from './queue-options';
import { RunOptionFields } from './run-options';

interface IRequestFieldsProps {
  readonly draft: IRequestDraft;
  readonly errors: FieldErrors;
  /** What else happens, as a sentence. */
  readonly note?: string | undefined;
  readonly queues: readonly ILocalQueue[];
  readonly defaultQueue: string | null;
  readonly profiles: readonly IProfile[];
  readonly environments: readonly IEnvironment[];
  readonly onChange: (draft: IRequestDraft) => void;
  readonly trans: TranslationBundle;
}

export function RequestFields(props: IRequestFieldsProps): React.JSX.Element {
  const { draft, errors, queues, defaultQueue, profiles, onChange, trans } = props;
  const { environments } = props;
  // The amounts of the default size count for all three together.
  const isNothingChosen = AMOUNTS.every(field => draft[field] === '');
  return (
    <div className="jp-Kueue-options">
      {errors[''] !== undefined && (
        <p className="jp-Kueue-error" role="alert">
          {errors['']}
        </p>
      )}
      {props.note !== undefined && <p className="jp-Kueue-hint">{props.note}</p>}
      <TextField
        name="name"
        label={trans.__('Name')}
        value={draft.name}
        error={errors.name ?? ''}
        onChange={name => onChange({ ...draft, name })}
      />
      <QueueSelect
        queues={queues}
        defaultQueue={defaultQueue}
        unchosen={unchosenQueue(defaultQueue, trans)}
        value={draft.queue}
        error={errors.queue ?? ''}
        onChange={queue => onChange({ ...draft, queue })}
        trans={trans}
      />
      {profiles.length > 0 && (
        <SelectField
          name="profile"
          label={trans.__('Compute type')}
          value={draft.profile}
          error={errors.profile ?? ''}
          options={[
            ...profiles.map(profile => ({
              value: profile.name,
              label: `${profile.display_name}: ${sizeOf(profile, trans)}`
            })),
            { value: '', label: trans.__('Other amounts') }
          ]}
          onChange={profile => onChange({ ...draft, profile })}
        />
      )}
      {draft.profile === '' && (
        <AmountFields
          choice={draft}
          errors={errors}
          profile={isNothingChosen ? (profiles.find(one => one.default) ?? null) : null}
          onChange={(field, value) => onChange({ ...draft, [field]: value })}
          trans={trans}
        />
      )}
      {environments.length > 0 && <EnvironmentSelect {...props} />}
      <RunOptionFields
        options={draft}
        errors={errors}
        onChange={(field, value) => onChange({ ...draft, [field]: value })}
        trans={trans}
      />
      <Parameters
        parameters={draft.parameters}
        error={errors.parameters ?? ''}
        onChange={parameters => onChange({ ...draft, parameters })}
        trans={trans}
      />
    </div>
  );
}

function EnvironmentSelect(props: IRequestFieldsProps): React.JSX.Element {
  const { draft, errors, environments, onChange, trans } = props;
  const byDefault = environments.find(environment => environment.default);
  return (
    <SelectField
      name="environment"
      label={trans.__('Environment')}
      value={draft.environment === byDefault?.name ? '' : draft.environment}
      error={errors.environment ?? ''}
      options={[
        { value: '', label: defaultLabel(byDefault, trans) },
        ...environments
          .filter(environment => environment !== byDefault)
          .map(({ name, display_name }) => ({ value: name, label: display_name }))
      ]}
      onChange={environment => onChange({ ...draft, environment })}
    />
  );
}

function defaultLabel(byDefault: IEnvironment | undefined, trans: TranslationBundle): string {
  if (byDefault === undefined) {
    return trans.__('The default environment');
  }
  // The built-in one is called so.
  return byDefault.name === 'default'
    ? byDefault.display_name
    : trans.__('%1 (default)', byDefault.display_name);
}

interface IParametersProps {
  readonly parameters: readonly IParameterDraft[];
  readonly error: string;
  readonly onChange: (parameters: readonly IParameterDraft[]) => void;
  readonly trans: TranslationBundle;
}

function Parameters({ parameters, error, onChange, trans }: IParametersProps): React.JSX.Element {
  const change = (place: number, changed: Partial<IParameterDraft>) =>
    onChange(parameters.map((one, at) => (at === place ? { ...one, ...changed } : one)));
  return (
    <fieldset className="jp-Kueue-parameters">
      <legend>{trans.__('Parameters')}</legend>
      {parameters.map(({ name, value }, place) => (
        <div key={place} className="jp-Kueue-parameter">
          <input
            className="jp-mod-styled"
            aria-label={trans.__('Name of parameter %1', place + 1)}
            value={name}
            onChange={event => change(place, { name: event.target.value })}
          />
          <input
            className="jp-mod-styled"
            aria-label={trans.__('Value of parameter %1', place + 1)}
            value={value}
            onChange={event => change(place, { value: event.target.value })}
          />
          <button
            type="button"
            className="jp-Kueue-action"
            aria-label={trans.__('Remove parameter %1', place + 1)}
            onClick={() => onChange(parameters.filter((_, at) => at !== place))}
          >
            <closeIcon.react tag="span" height="14px" width="14px" />
          </button>
        </div>
      ))}
      <button
        type="button"
        className="jp-mod-styled"
        onClick={() => onChange([...parameters, { name: '', value: '' }])}
      >
        {trans.__('Add a parameter')}
      </button>
      {error !== '' && <p className="jp-Kueue-error">{error}</p>}
    </fieldset>
  );
}
