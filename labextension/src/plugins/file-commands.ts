/** Commands of Lab for the files of runs. */
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { JupyterFrontEnd, ILayoutRestorer } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { FileDialog } from '@jupyterlab/filebrowser';
import {
  copyIcon,
  downloadIcon,
  folderIcon,
  notebookIcon,
  textEditorIcon
} from '@jupyterlab/ui-components';

import * as api from '../api';
import { drivePath, notebookName } from '../models/drive';
import { copyToFolder } from '../models/own-files';
import type { Args } from '../widgets/reporting';
import { reportingCommands, execute, showHint, showSuccess, textArg } from '../widgets/reporting';
import { namesOf } from '../models/words';
import { CommandIDs } from '../tokens';
import { showResult } from '../widgets/result';
import { RunFiles } from '../widgets/run-files';
import type { FileKind, IFile, IRunRow, IRunFile } from '../wire';
import { FINISHED_STATES } from '../wire';
import type { ICommandsOptions } from './commands';
import { runsMeant } from './commands';

export interface IFileCommandsOptions extends ICommandsOptions {
  readonly app: JupyterFrontEnd;
  readonly restorer: ILayoutRestorer | null;
}

/** Add the commands that open, copy and download the outputs of runs. */
export function addFileCommands(options: IFileCommandsOptions): void {
  const { app, commands, documents, settings, trans } = options;
  const own = app.serviceManager.contents;
  const runs = (args: Args) => runsMeant(args, options);
  const begun = (args: Args) => runs(args).filter(run => run.state !== 'queued');
  const names = (args: Args) => namesOf(runs(args), trans);
  const add = reportingCommands(commands, trans);
  const notOpened = (args: Args) => trans.__('%1 was not opened.', names(args));

  add(CommandIDs.openOutput, {
    label: args =>
      begun(args).length === 0
        ? trans.__('Open Notebook')
        : begun(args).every(run => FINISHED_STATES.includes(run.state))
          ? trans.__('Open Result')
          : trans.__('Open Notebook So Far'),
    icon: notebookIcon,
    isEnabled: args => begun(args).length > 0 || (args.explain === true && runs(args).length > 0),
    failed: notOpened,
    execute: async args => {
      if (begun(args).length === 0) {
        showHint(
          trans._n(
            '%2 has not started yet. There is nothing to open.',
            '%2 have not started yet. There is nothing to open.',
            runs(args).length,
            names(args)
          )
        );
      }
      for (const run of begun(args)) {
        const notebook = await fileOfRole(run, 'notebook');
        await openOrUpdate(run, notebook?.path ?? notebookName(run));
      }
    }
  });

  add(CommandIDs.openLog, {
    label: trans.__('Open Log'),
    icon: textEditorIcon,
    isEnabled: args => begun(args).length > 0,
    failed: notOpened,
    execute: async args => {
      for (const run of begun(args)) {
        const log = await fileOfRole(run, 'log');
        if (log === undefined) {
          throw new Error(trans.__('No output yet.'));
        }
        await openOrUpdate(run, log.path);
      }
    }
  });

  add(CommandIDs.openFile, {
    label: trans.__('Open'),
    failed: args => trans.__('%1 was not opened.', textArg(args, 'path')),
    execute: args => {
      documents.openOrReveal(
        drivePath(textArg(args, 'run_id'), textArg(args, 'path'), kindArg(args))
      );
    }
  });

  add(CommandIDs.copyToMyFiles, {
    label: trans.__('Copy to My Files…'),
    icon: copyIcon,
    isEnabled: args =>
      typeof args.path === 'string' || runs(args).some(run => FINISHED_STATES.includes(run.state)),
    failed: args =>
      trans.__('%1 was not copied.', typeof args.path === 'string' ? args.path : names(args)),
    execute: async args => {
      const files = await filesMeant(args);
      const { button, value } = await FileDialog.getExistingDirectory({
        manager: documents,
        title: trans.__('Copy to which folder?')
      });
      if (!button.accept) {
        return;
      }
      const folder = value?.[0]?.path ?? '';
      for (const file of files) {
        const path = await copyToFolder(settings, own, file, folder);
        showSuccess(trans.__('Copied to %1.', path), {
          label: trans.__('Open'),
          callback: () => void documents.openOrReveal(path)
        });
      }
    }
  });

  add(CommandIDs.downloadOutput, {
    label: trans.__('Download'),
    icon: downloadIcon,
    isEnabled: args => typeof args.path === 'string' || begun(args).length > 0,
    failed: args => trans.__('%1 was not downloaded.', names(args)),
    execute: async args => {
      for (const file of await filesMeant(args)) {
        const link = document.createElement('a');
        link.href = api.fileUrl(settings, file);
        link.download = PathExt.basename(file.path);
        link.click();
      }
    }
  });

  addFilesTab(options, add, begun, notOpened);

  async function openOrUpdate(run: IRunRow, file: string): Promise<void> {
    const widget = documents.openOrReveal(drivePath(run.run_id, file));
    if (widget !== undefined) {
      await showResult(widget, run);
    }
  }

  async function fileOfRole(run: IRunRow, role: IFile['role']): Promise<IFile | undefined> {
    const { files } = await api.getRun(settings, run.run_id);
    return files.find(file => file.role === role);
  }

  /** Return the file in the arguments, otherwise the selected runs' notebooks. */
  async function filesMeant(args: Args): Promise<readonly IRunFile[]> {
    if (typeof args.path === 'string') {
      return [{ runId: textArg(args, 'run_id'), kind: kindArg(args), path: args.path }];
    }
    return await Promise.all(
      begun(args).map(async run => {
        const notebook = await fileOfRole(run, 'notebook');
        if (notebook === undefined) {
          throw new Error(trans.__('It has no result: it ended before its first cell.'));
        }
        return { runId: run.run_id, kind: 'files', path: notebook.path };
      })
    );
  }
}

function kindArg(args: Args): FileKind {
  return args.kind === 'inputs' ? 'inputs' : 'files';
}

function addFilesTab(
  { app, commands, model, settings, restorer, trans }: IFileCommandsOptions,
  add: ReturnType<typeof reportingCommands>,
  begun: (args: Args) => readonly IRunRow[],
  failed: (args: Args) => string
): void {
  const tracker = new WidgetTracker<MainAreaWidget<RunFiles>>({ namespace: 'jupyter-kueue-files' });
  const open = (runId: string, name: string) => {
    const known = tracker.find(widget => widget.content.runId === runId);
    if (known !== undefined) {
      app.shell.activateById(known.id);
      return;
    }
    const content = new RunFiles({
      runId,
      model,
      serverSettings: settings,
      registry: app.docRegistry,
      actions: {
        open: (path, kind) => execute(commands, CommandIDs.openFile, { run_id: runId, path, kind }),
        copy: (path, kind) =>
          execute(commands, CommandIDs.copyToMyFiles, { run_id: runId, path, kind }),
        download: (path, kind) =>
          execute(commands, CommandIDs.downloadOutput, { run_id: runId, path, kind })
      },
      trans
    });
    const widget = new MainAreaWidget({ content });
    widget.id = `jp-kueue-files-${runId}`;
    widget.title.label = trans.__('Files of %1', name);
    widget.title.icon = folderIcon;
    widget.title.closable = true;
    void tracker.add(widget);
    app.shell.add(widget, 'main');
  };
  add(CommandIDs.openFiles, {
    label: trans.__('Show Files'),
    icon: folderIcon,
    isEnabled: args => begun(args).length > 0 || typeof args.name === 'string',
    failed,
    execute: args => {
      if (typeof args.run_id === 'string' && typeof args.name === 'string') {
        // After a reload, the run may not have been read yet.
        open(args.run_id, args.name);
      } else {
        begun(args).forEach(run => open(run.run_id, run.name));
      }
    }
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openFiles,
    args: ({ content, title }) => ({
      run_id: content.runId,
      name: model.run(content.runId)?.name ?? title.label
    }),
    name: ({ content }) => content.runId
  });
}
