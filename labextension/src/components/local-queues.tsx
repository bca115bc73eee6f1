/** The queues, each with how full it is. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { messageOf } from '../models/sentences';
import {
  amount,
  compareResources,
  resourceName,
  stagingText,
  unitOf,
  usage
} from '../models/words';
import type { ILocalQueue, IResources, IResourceUsage } from '../wire';

interface ILocalQueuesProps {
  readonly queues: readonly ILocalQueue[];
  readonly defaultQueue: string | null;
  /** What moving a run's files takes beside the run; null where that is not known. */
  readonly staging: IResources | null;
  readonly trans: TranslationBundle;
}

export function LocalQueues(props: ILocalQueuesProps): React.JSX.Element {
  const { queues, defaultQueue, staging, trans } = props;
  return (
    <ul className="jp-Kueue-queues">
      {queues.map(queue => (
        <LocalQueue
          key={queue.name}
          queue={queue}
          isDefault={queues.length > 1 && queue.name === defaultQueue}
          staging={staging}
          trans={trans}
        />
      ))}
    </ul>
  );
}

interface ILocalQueueProps {
  readonly queue: ILocalQueue;
  readonly isDefault: boolean;
  readonly staging: IResources | null;
  readonly trans: TranslationBundle;
}

function LocalQueue({ queue, isDefault, staging, trans }: ILocalQueueProps): React.JSX.Element {
  const resources = Object.entries(queue.resources).sort(([a], [b]) => compareResources(a, b));
  return (
    <li className="jp-Kueue-queue" data-queue={queue.name}>
      <div className="jp-Kueue-line">
        <span className="jp-Kueue-name" title={queue.cluster_queue}>
          {queue.name}
        </span>
        <span className="jp-Kueue-note">
          {[
            isDefault && trans.__('default'),
            queue.pending > 0 && trans._n('%1 waiting', '%1 waiting', queue.pending)
          ]
            .filter(text => text !== false)
            .join(' · ')}
        </span>
      </div>
      {!queue.active && <div className="jp-Kueue-why">{messageOf(queue, trans)}</div>}
      <div className="jp-Kueue-resources">
        {resources.map(([name, shown]) => (
          <Resource key={name} name={name} shown={shown} staging={staging} trans={trans} />
        ))}
      </div>
    </li>
  );
}

interface IResourceProps {
  readonly name: string;
  readonly shown: IResourceUsage;
  readonly staging: IResources | null;
  readonly trans: TranslationBundle;
}

function Resource({ name, shown, staging, trans }: IResourceProps): React.JSX.Element {
  const text = usage(name, shown, trans);
  const used = shown.cluster_queue_used ?? shown.used;
  const limit =
    shown.limit === null
      ? null
      : trans.__(
          'Up to %1 if other queues lend theirs',
          amount(name, shown.limit) + unitOf(name, trans)
        );
  const tooltip = [text, limit, stagingText(name, staging, trans)]
    .filter(line => line !== null)
    .join('\n');
  return (
    <div className="jp-Kueue-resource">
      <span className="jp-Kueue-resourceName">{resourceName(name, trans)}</span>
      {shown.nominal === null ? (
        <span />
      ) : (
        <div
          className="jp-Kueue-bar"
          role="meter"
          aria-label={resourceName(name, trans)}
          aria-valuemin={0}
          aria-valuemax={shown.nominal}
          aria-valuenow={Math.min(used, shown.nominal)}
          aria-valuetext={text}
          title={tooltip}
        >
          <div style={{ width: `${percentage(used, shown.nominal)}%` }} />
        </div>
      )}
      <span className="jp-Kueue-note" title={tooltip}>
        {text}
      </span>
    </div>
  );
}

function percentage(used: number, nominal: number): number {
  return nominal > 0 ? Math.min(100, (100 * used) / nominal) : 0;
}
