/** What this extension offers to others. */
import { Token } from '@lumino/coreutils';

import type { JobsModel } from './models/jobs';

/** The runs and queues of this server, kept true while somebody observes them. */
export const IJobsModel = new Token<JobsModel>(
  'jupyter-kueue:IJobsModel',
  'My runs in Kueue and the queues, as the panel shows them.'
);

/** Names of the commands. */
export namespace CommandIDs {
  export const showPanel = 'jupyter-kueue:show-panel';
  export const refresh = 'jupyter-kueue:refresh';
  export const openOutput = 'jupyter-kueue:open-output';
  export const downloadOutput = 'jupyter-kueue:download-output';
  export const stopJobs = 'jupyter-kueue:stop-jobs';
  export const deleteJobs = 'jupyter-kueue:delete-jobs';
  export const listOlderJobs = 'jupyter-kueue:list-older-jobs';
  export const dismissStockBackend = 'jupyter-kueue:dismiss-stock-backend';
}
