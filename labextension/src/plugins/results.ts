/** Makes results what they are: for reading, told apart from their sources, and to be run again. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { Toolbar } from '@jupyterlab/ui-components';
import { CommandToolbarButton } from '@jupyterlab/ui-components';
import type { Widget } from '@lumino/widgets';

import { DRIVE_NAME, runFileAt } from '../models/drive';
import { moment } from '../models/words';
import { CommandIDs } from '../tokens';
import { kueueIcon } from '../widgets/icon';

/** What Lab's notebooks have, as far as it counts here. */
interface INotebookPanel extends IDocumentWidget {
  readonly toolbar: Toolbar;
}

export const resultsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-kueue:results',
  description: 'Results of runs open without a kernel, and can be run again and copied.',
  autoStart: true,
  activate: ({ commands, docRegistry, serviceManager }: JupyterFrontEnd) => {
    const { contents } = serviceManager;
    const tellTabsApart = (factory: string | undefined) =>
      factory !== undefined &&
      docRegistry.addWidgetExtension(factory, {
        createNew: (widget, context) => {
          if (contents.driveName(context.path) === DRIVE_NAME) {
            void context.ready.then(() => tellApart(widget, context.contentsModel?.last_modified));
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
        // No kernel is started for it, also where Lab itself opens it again after a reload. Lab
        // draws a notebook before it fetches it, and looks for a kernel after that.
        sessionContext.kernelPreference = {
          ...sessionContext.kernelPreference,
          shouldStart: false,
          autoStartDefault: false
        };
        widget.addClass('jp-Kueue-result');
        // Lab closes a document that is saved as another one, and would ask about its changes first.
        context.saveState.connect((_, state) => {
          if (state === 'started') {
            context.model.dirty = false;
          } else if (state === 'failed') {
            context.model.dirty = true;
          }
        });
        // A notebook of an older format is converted, which is no change of the user's.
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
 * Show in a tab when its run ended, or was submitted: other runs have files of that name. Lab takes
 * another label for a wish to rename the file, so the style sheet shows it.
 */
function tellApart({ title }: Widget, time: string | undefined): void {
  if (time !== undefined) {
    title.dataset = { ...title.dataset, 'kueue-time': moment(time, new Date()) };
  }
}
