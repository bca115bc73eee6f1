/** Opens results for reading: marked as results, without a kernel, and with a way to rerun them. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { Toolbar } from '@jupyterlab/ui-components';
import { CommandToolbarButton } from '@jupyterlab/ui-components';
import type { Widget } from '@lumino/widgets';

import { DRIVE_NAME, runFileAt } from '../models/drive';
import { moment, reasonOf, sentences } from '../models/words';
import { CommandIDs } from '../tokens';
import type { IFollowedDocument } from '../widgets/following';
import { follow } from '../widgets/following';
import { kueueIcon } from '../widgets/icon';
import { showFailure } from '../widgets/reporting';
import { saveAs } from '../widgets/save-as';

/** The parts of Lab's notebook panels that are used here. */
interface INotebookPanel extends IFollowedDocument {
  readonly toolbar: Toolbar;
}

export const resultsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-kueue:results',
  description: 'Results of runs open without a kernel, follow their run, and can be copied.',
  autoStart: true,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null) => {
    const { commands, docRegistry, serviceManager } = app;
    const { contents, serverSettings } = serviceManager;
    const trans = (translator ?? nullTranslator).load('jupyter_kueue');
    const reportingSaveAs = async (context: DocumentRegistry.Context) => {
      try {
        return await saveAs(context, contents, trans);
      } catch (error) {
        showFailure(sentences(trans.__('The file was not saved.'), reasonOf(error, trans)));
        return false;
      }
    };
    const tellTabsApart = (factory: string | undefined) =>
      factory !== undefined &&
      docRegistry.addWidgetExtension(factory, {
        createNew: (widget, context) => {
          if (contents.driveName(context.path) === DRIVE_NAME) {
            const file = runFileAt(contents.localPath(context.path));
            void context.ready.then(() => {
              tellApart(widget, context.contentsModel?.last_modified);
              context.fileChanged.connect((_, model) => tellApart(widget, model.last_modified));
              if (['json', 'text'].includes(context.contentsModel?.format ?? '')) {
                context.saveAs = () => reportingSaveAs(context);
              }
              if (file?.kind === 'files') {
                const document = widget as IFollowedDocument;
                follow({ document, context, file, serverSettings, trans });
              }
            });
          }
        }
      });
    for (const { name } of docRegistry.widgetFactories()) {
      tellTabsApart(name);
    }
    docRegistry.changed.connect((_, { type, change, name }) => {
      if (type === 'widgetFactory' && change === 'added') {
        tellTabsApart(name);
      }
    });
    docRegistry.addWidgetExtension('Notebook', {
      createNew: (widget, context) => {
        const { path, sessionContext } = context;
        const at = contents.driveName(path) === DRIVE_NAME && runFileAt(contents.localPath(path));
        if (!at) {
          return;
        }
        // No kernel is started for it, not even when Lab opens it again after a reload. Lab renders
        // a notebook before it fetches it, and looks for a kernel after that.
        sessionContext.kernelPreference = {
          ...sessionContext.kernelPreference,
          shouldStart: false,
          autoStartDefault: false
        };
        widget.addClass('jp-Kueue-result');
        // An older format is converted, which is not a change by the user.
        void context.ready.then(() => {
          context.model.dirty = false;
          widget.title.icon = kueueIcon;
        });
        const { toolbar } = widget as INotebookPanel;
        const args = { run_id: at.runId, path: at.path };
        for (const [name, id] of [
          ['kueue-create-job', CommandIDs.submitAgain],
          ['kueue-copy', CommandIDs.copyToMyFiles]
        ] as const) {
          toolbar.addItem(name, new CommandToolbarButton({ commands, id, args }));
        }
      }
    });
  }
};

/**
 * Show in a tab when its run ended or was submitted, because other runs have files of the same
 * name. Lab interprets another label as a rename of the file, so the style sheet shows it.
 */
function tellApart({ title }: Widget, time: string | undefined): void {
  if (time !== undefined) {
    title.dataset = { ...title.dataset, 'kueue-time': moment(time, new Date()) };
  }
}
