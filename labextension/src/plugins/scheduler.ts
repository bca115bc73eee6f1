/**
 * Gives jupyter-scheduler's forms the queue's fields.
 *
 * `index` loads this file only where jupyter-scheduler is installed: its token is an object of its
 * own module, which else nobody provides.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Scheduler } from '@jupyterlab/scheduler';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { IRunsModel } from '../tokens';
import { advancedOptions } from '../widgets/advanced-options';

export const schedulerPlugin: JupyterFrontEndPlugin<Scheduler.IAdvancedOptions> = {
  id: 'jupyter-kueue:scheduler-options',
  description: "The queue's fields and a run's live state in jupyter-scheduler's views.",
  autoStart: true,
  requires: [IRunsModel],
  optional: [ITranslator],
  provides: Scheduler.IAdvancedOptions,
  activate: (app: JupyterFrontEnd, model: IRunsModel, translator: ITranslator | null) =>
    advancedOptions({
      model,
      serverSettings: app.serviceManager.serverSettings,
      commands: app.commands,
      trans: (translator ?? nullTranslator).load('jupyter_kueue')
    })
};
