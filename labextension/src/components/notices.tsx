/** What stands above the lists when something is missing, wrong or out of date: one line each. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { INotice } from '../models/notices';

interface INoticesProps {
  readonly notices: readonly INotice[];
  readonly onAction: (notice: INotice) => void;
  readonly trans: TranslationBundle;
}

export function Notices({ notices, onAction, trans }: INoticesProps): React.JSX.Element {
  return (
    <div role="status" aria-live="polite">
      {notices.map(notice => (
        <Notice key={notice.key} {...{ notice, onAction, trans }} />
      ))}
    </div>
  );
}

interface INoticeProps {
  readonly notice: INotice;
  readonly onAction: (notice: INotice) => void;
  readonly trans: TranslationBundle;
}

function Notice({ notice, onAction, trans }: INoticeProps): React.JSX.Element {
  const [isOpen, setIsOpen] = React.useState(false);
  const detailsId = React.useId();
  const action = actionLabel(notice, trans);
  return (
    <div className={`jp-Kueue-notice jp-mod-${notice.severity}`} data-notice={notice.key}>
      <div>
        <WithCode text={notice.line} />
      </div>
      {notice.details.length > 0 && (
        <button
          type="button"
          className="jp-Kueue-link"
          aria-expanded={isOpen}
          aria-controls={detailsId}
          onClick={() => setIsOpen(!isOpen)}
        >
          {isOpen ? trans.__('Hide details') : trans.__('Details')}
        </button>
      )}
      {action !== null && (
        <button type="button" className="jp-Kueue-link" onClick={() => onAction(notice)}>
          {action}
        </button>
      )}
      <div id={detailsId} className="jp-Kueue-details">
        {isOpen &&
          notice.details.map(detail => (
            <p key={detail}>
              <WithCode text={detail} />
            </p>
          ))}
      </div>
    </div>
  );
}

/** A text in which what is to be typed stands between backticks. */
function WithCode({ text }: { readonly text: string }): React.JSX.Element {
  const parts = text.split('`');
  return (
    <>
      {parts.map((part, place) =>
        // The last one has no backtick after it.
        place % 2 === 1 && place < parts.length - 1 ? (
          <code key={place}>{part}</code>
        ) : (
          <React.Fragment key={place}>{place % 2 === 1 ? `\`${part}` : part}</React.Fragment>
        )
      )}
    </>
  );
}

function actionLabel({ action }: INotice, trans: TranslationBundle): string | null {
  switch (action) {
    case 'retry':
      return trans.__('Try again now');
    case 'dismiss':
      return trans.__('Dismiss');
    case 'forget-stock-backend':
      return trans.__('Do not show this again');
    case null:
      return null;
  }
}
