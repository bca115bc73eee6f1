/** A button with only an icon; its label is its tooltip and is read aloud. */
import type { LabIcon } from '@jupyterlab/ui-components';
import React from 'react';

interface IIconButtonProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly isEnabled?: boolean;
  readonly tabIndex?: number;
  readonly onClick: (event: React.MouseEvent) => void;
}

/** A click on the button does not reach the elements around it. */
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
