/** Provides the runs and queues, and the runs' files as a drive. */
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
 * Open the file of a run that is named in the page's address, as after a reload.
 *
 * Lab leaves this to its file browser, which fails for a drive that no browser shows. Lab reads the
 * address later, when it has started.
 */
function openAddressed({ commands, restored, serviceManager }: JupyterFrontEnd): void {
  const path = PageConfig.getOption('treePath');
  if (serviceManager.contents.driveName(path) === DRIVE_NAME) {
    PageConfig.setOption('treePath', '');
    void restored.then(() => commands.execute('docmanager:open', { path }));
  }
}
