/** Provides the runs and queues, and their files as a drive. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { DRIVE_NAME, KueueDrive } from '../models/drive';
import { RunsModel } from '../models/runs';
import { IRunsModel } from '../tokens';

export const runsPlugin: JupyterFrontEndPlugin<IRunsModel> = {
  id: 'jupyter-kueue:runs',
  description: 'Provides my runs in Kueue, the queues, and the files of runs as a drive.',
  autoStart: true,
  optional: [ITranslator],
  provides: IRunsModel,
  activate: (app: JupyterFrontEnd, translator: ITranslator | null) => {
    const { contents, serverSettings } = app.serviceManager;
    const trans = (translator ?? nullTranslator).load('jupyter_kueue');
    contents.addDrive(new KueueDrive({ serverSettings, own: contents, trans }));
    openAddressed(app);
    return new RunsModel(serverSettings);
  }
};

/**
 * Open the file of a run that the page's address names, as it does after a reload.
 *
 * Lab leaves that to its file browser, which fails for a drive that no browser shows; it reads the
 * address later, when Lab has started.
 */
function openAddressed({ commands, restored, serviceManager }: JupyterFrontEnd): void {
  const path = PageConfig.getOption('treePath');
  if (serviceManager.contents.driveName(path) === DRIVE_NAME) {
    PageConfig.setOption('treePath', '');
    void restored.then(() => commands.execute('docmanager:open', { path }));
  }
}
