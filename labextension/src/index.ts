/** The plugins of this extension. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { jobsPlugin } from './plugins/jobs';
import { panelPlugin } from './plugins/panel';

type Plugins = JupyterFrontEndPlugin<unknown>[];

/** Lab has registered the modules of all extensions by now, so a missing one is not installed. */
async function schedulerPlugins(): Promise<Plugins> {
  try {
    const { schedulerPlugin } = await import('./plugins/scheduler');
    return [schedulerPlugin];
  } catch (error) {
    console.info('jupyter-scheduler is not installed; its forms get no queue fields.', error);
    return [];
  }
}

const plugins: Plugins = [jobsPlugin, panelPlugin, ...(await schedulerPlugins())];

export default plugins;
