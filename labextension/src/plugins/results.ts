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
    const nameTabs = (factory: string | undefined) =>
      factory !== undefined &&
      docRegistry.addWidgetExtension(factory, {
        createNew: (widget, context) => {
          if (contents.driveName(context.path) === DRIVE_NAME) {
            void context.ready.then(() => nameTab(widget, context.contentsModel?.last_modified));
          }
        }
      });
    for (const { name } of docRegistry.widgetFactories()) {
      nameTabs(name);
    }
    docRegistry.changed.connect((_, { type, change, name }) => {
      if (type === 'widgetFactory' && change === 'added') {
        nameTabs(name);
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
        const args = { job_id: at.jobId, path: at.path };
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

/** Add to a tab's name when its run ended, or was submitted: other runs have files of that name. */
function nameTab({ title }: Widget, time: string | undefined): void {
  if (time !== undefined) {
    title.label = `${title.label} · ${moment(time, new Date())}`;
  }
}
