/** A collapsible part of the panel with a heading. */
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React from 'react';

interface ISectionProps {
  readonly id: string;
  readonly title: string;
  readonly isFolded: boolean;
  readonly onFold: (isFolded: boolean) => void;
  readonly children: React.ReactNode;
}

export function Section(props: ISectionProps): React.JSX.Element {
  const { id, title, isFolded, onFold, children } = props;
  return (
    <section className="jp-Kueue-section" data-section={id}>
      <h3 className="jp-Kueue-heading">
        <button type="button" aria-expanded={!isFolded} onClick={() => onFold(!isFolded)}>
          <Heading title={title} isFolded={isFolded} />
        </button>
      </h3>
      {!isFolded && children}
    </section>
  );
}

interface IHeadingProps {
  readonly title: string;
  readonly isFolded: boolean;
  readonly count?: string;
}

/** The content of a heading. */
export function Heading({ title, isFolded, count }: IHeadingProps): React.JSX.Element {
  const icon = isFolded ? caretRightIcon : caretDownIcon;
  return (
    <>
      <icon.react tag="span" width="16px" height="16px" />
      <span className="jp-Kueue-headingTitle">{title}</span>
      {count !== undefined && <span className="jp-Kueue-count">{count}</span>}
    </>
  );
}
