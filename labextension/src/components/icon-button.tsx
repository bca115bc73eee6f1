/** A button that shows an icon alone; its label is read out and shown on hovering. */
import type { LabIcon } from '@jupyterlab/ui-components';
import React from 'react';

interface IIconButtonProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly isEnabled?: boolean;
  readonly tabIndex?: number;
  readonly onClick: (event: React.MouseEvent) => void;
}

/** A click on it is none on what it lies in. */
export function IconButton(props: IIconButtonProps): React.JSX.Element {
  const { icon, label, isEnabled = true, tabIndex, onClick } = props;
  return (
    <button
      type="button"
      className="jp-Kueue-action"
      title={label}
      aria-label={label}
      disabled={!isEnabled}
      tabIndex={tabIndex}
      onClick={event => {
        event.stopPropagation();
        onClick(event);
      }}
      onDoubleClick={event => event.stopPropagation()}
    >
      <icon.react tag="span" height="14px" width="14px" />
    </button>
  );
}
