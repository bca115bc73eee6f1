/** A part of the panel under a heading that folds it away. */
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React from 'react';

interface ISectionProps {
  readonly id: string;
  readonly title: string;
  readonly count?: number;
  readonly children: React.ReactNode;
}

export function Section({ id, title, count, children }: ISectionProps): React.JSX.Element {
  const [isOpen, setIsOpen] = React.useState(true);
  const icon = isOpen ? caretDownIcon : caretRightIcon;
  return (
    <section className="jp-Kueue-section" data-section={id}>
      <h3 className="jp-Kueue-heading">
        <button type="button" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          <icon.react tag="span" width="16px" height="16px" />
          <span className="jp-Kueue-headingTitle">{title}</span>
          {count !== undefined && <span className="jp-Kueue-count">{count}</span>}
        </button>
      </h3>
      {isOpen && children}
    </section>
  );
}
