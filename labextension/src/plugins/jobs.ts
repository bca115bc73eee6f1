/** Provides the runs and queues, and their files as a drive. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { KueueDrive } from '../models/drive';
import { JobsModel } from '../models/jobs';
import { IJobsModel } from '../tokens';

export const jobsPlugin: JupyterFrontEndPlugin<JobsModel> = {
  id: 'jupyter-kueue:jobs',
  description: 'Provides my runs in Kueue, the queues, and the files of runs as a drive.',
  autoStart: true,
  provides: IJobsModel,
  activate: (app: JupyterFrontEnd) => {
    const { contents, serverSettings } = app.serviceManager;
    contents.addDrive(new KueueDrive(serverSettings));
    return new JobsModel(serverSettings);
  }
};
