/** Adds the side panel and the commands on runs. */
import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { PanelState } from '../models/panel-state';
import { StockBackendModel } from '../models/stock-backend';
import { CommandIDs, IRunsModel } from '../tokens';
import { KueuePanel } from '../widgets/panel';
import { addCommands } from './commands';
import { addFileCommands } from './file-commands';

/** Below the file browser and the running sessions, above the extension manager. */
const RANK = 300;

export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-kueue:panel',
  description: 'A side panel with the queues and my runs.',
  autoStart: true,
  requires: [IRunsModel, IDocumentManager],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette, ISettingRegistry, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    model: IRunsModel,
    documents: IDocumentManager,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null,
    memory: IStateDB | null
  ) => {
    const { commands, shell } = app;
    const language = translator ?? nullTranslator;
    const trans = language.load('jupyter_kueue');
    const { serverSettings } = app.serviceManager;
    const stockBackend = new StockBackendModel({
      serverSettings,
      runs: model,
      preferences: registry?.load(panelPlugin.id) ?? null
    });
    const state = new PanelState({ runs: model, trans, memory });
    const panel = new KueuePanel({ model, state, stockBackend, commands, translator: language });
    panel.disposed.connect(() => {
      state.dispose();
      stockBackend.dispose();
    });

    const options = {
      app,
      commands,
      model,
      stockBackend,
      documents,
      settings: serverSettings,
      restorer,
      trans,
      show: () => shell.activateById(panel.id),
      meantRunIds: () => {
        const selected = [...state.selection.runIds];
        return selected.length > 0 ? selected : runIdsInFocus();
      }
    };
    addCommands(options);
    addFileCommands(options);

    shell.add(panel, 'left', { rank: RANK, type: 'Kueue' });
    restorer?.add(panel, panel.id);
    for (const command of [CommandIDs.showPanel, CommandIDs.submit, CommandIDs.refresh]) {
      palette?.addItem({ command, category: trans.__('Kueue') });
    }
  }
};

/** Without a selection, a key applies to the row that has the focus. */
function runIdsInFocus(): readonly string[] {
  const row = document.activeElement?.closest<HTMLElement>('[data-run-id]');
  return row?.dataset.runId === undefined ? [] : [row.dataset.runId];
}
