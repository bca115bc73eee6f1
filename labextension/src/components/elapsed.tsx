/** Time that goes by on the screen. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { duration } from '../models/words';

const TICK_MS = 1000;

const listeners = new Set<() => void>();
let timer: number | null = null;

/** One clock for all that is shown; it stands still while nothing is. */
function listenToClock(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => listeners.forEach(tick => tick()), TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && timer !== null) {
      window.clearInterval(timer);
      timer = null;
    }
  };
}

interface IElapsedProps {
  readonly since: string;
  /** When it is not known any more how it goes on; null while it is. */
  readonly until?: Date | null;
  readonly trans: TranslationBundle;
}

/** How long ago something was. It is drawn anew only when its words change. */
export function Elapsed({ since, until = null, trans }: IElapsedProps): React.JSX.Element {
  const text = React.useSyncExternalStore(listenToClock, () =>
    duration((until?.getTime() ?? Date.now()) - Date.parse(since), trans)
  );
  return <span title={new Date(since).toLocaleString()}>{text}</span>;
}
