/**
 * Adds the queue's fields to jupyter-scheduler's forms.
 *
 * `index` loads this file only if jupyter-scheduler is installed: its token is an object in its own
 * module, which nothing else provides.
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
