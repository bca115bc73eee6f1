/** The requested values that differ from the defaults, in detail views. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

interface IAskedProps {
  readonly asked: readonly (readonly [string, string])[];
  readonly trans: TranslationBundle;
}

export function Asked({ asked, trans }: IAskedProps): React.JSX.Element {
  if (asked.length === 0) {
    return <p className="jp-Kueue-empty">{trans.__('Default settings')}</p>;
  }
  return (
    <dl className="jp-Kueue-asked">
      {asked.map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}
