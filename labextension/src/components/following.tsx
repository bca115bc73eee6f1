/** The status bar above an open document of an unfinished run. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

interface IFollowingProps {
  readonly text: string;
  /** Whether a result can be opened instead. */
  readonly hasResult: boolean;
  readonly onOpenResult: () => void;
  readonly trans: TranslationBundle;
}

export function Following(props: IFollowingProps): React.JSX.Element {
  const { text, hasResult, onOpenResult, trans } = props;
  return (
    <div className="jp-Kueue-following" data-has-result={hasResult}>
      <span role="status" title={text}>
        {text}
      </span>
      {hasResult && (
        <button type="button" className="jp-Kueue-link" onClick={onOpenResult}>
          {trans.__('Open Result')}
        </button>
      )}
    </div>
  );
}
