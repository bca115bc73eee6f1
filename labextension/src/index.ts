/** The plugins of this extension, and its API for others. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { runsPlugin } from './plugins/runs';
import { panelPlugin } from './plugins/panel';
import { resultsPlugin } from './plugins/results';

export type { Connection, IInterruption } from './models/connection';
export type { IRunGroups } from './models/run-store';
export { CommandIDs, IRunsModel } from './tokens';
export type { IRunsProgress } from './tokens';
export type * from './wire';
type Plugins = JupyterFrontEndPlugin<unknown>[];

/** Lab has registered the modules of all extensions by now; a missing one is not installed. */
async function schedulerPlugins(): Promise<Plugins> {
  try {
    const { schedulerPlugin } = await import('./plugins/scheduler');
    return [schedulerPlugin];
  } catch (error) {
    console.info('jupyter-scheduler is not installed; its forms get no queue fields.', error);
    return [];
  }
}

const plugins: Plugins = [runsPlugin, panelPlugin, resultsPlugin, ...(await schedulerPlugins())];

export default plugins;
