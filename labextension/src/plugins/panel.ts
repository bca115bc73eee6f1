/** Adds the side panel and the commands on runs. */
import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { addCommands } from './commands';
import type { JobsModel } from '../models/jobs';
import { StockBackendModel } from '../models/stock-backend';
import { CommandIDs, IJobsModel } from '../tokens';
import { KueuePanel } from '../widgets/panel';

/** Below the file browser and the running sessions, above the extension manager. */
const RANK = 300;

export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-kueue:panel',
  description: 'A side panel with the queues and my runs.',
  autoStart: true,
  requires: [IJobsModel, IDocumentManager],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    model: JobsModel,
    documents: IDocumentManager,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null
  ) => {
    const { commands, shell } = app;
    const language = translator ?? nullTranslator;
    const trans = language.load('jupyter_kueue');
    const { serverSettings } = app.serviceManager;
    const stockBackend = new StockBackendModel({
      serverSettings,
      jobs: model,
      preferences: registry?.load(panelPlugin.id) ?? null
    });
    const panel = new KueuePanel({ model, stockBackend, commands, translator: language });

    addCommands({
      commands,
      model,
      stockBackend,
      documents,
      settings: serverSettings,
      trans,
      show: () => shell.activateById(panel.id),
      meantJobIds: () => {
        const hit = app.contextMenuHitTest(node => node.dataset.jobId !== undefined);
        const jobId = hit?.dataset.jobId;
        const selected = panel.selectedJobIds;
        return jobId === undefined || selected.includes(jobId) ? selected : [jobId];
      }
    });

    shell.add(panel, 'left', { rank: RANK, type: 'Kueue' });
    restorer?.add(panel, panel.id);

    const inMenu = [
      CommandIDs.openOutput,
      CommandIDs.downloadOutput,
      CommandIDs.stopJobs,
      CommandIDs.deleteJobs
    ];
    inMenu.forEach((command, rank) =>
      app.contextMenu.addItem({ command, rank, selector: '.jp-Kueue-job' })
    );
    for (const command of [CommandIDs.showPanel, CommandIDs.refresh]) {
      palette?.addItem({ command, category: trans.__('Kueue') });
    }
  }
};
