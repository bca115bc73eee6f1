/** What can be done with the files of runs, as commands of Lab. */
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { JupyterFrontEnd, ILayoutRestorer } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { INotebookContent } from '@jupyterlab/nbformat';
import {
  copyIcon,
  downloadIcon,
  folderIcon,
  notebookIcon,
  textEditorIcon
} from '@jupyterlab/ui-components';

import * as api from '../api';
import { drivePath, notebookName } from '../models/drive';
import { failingCell } from '../models/notebook-contents';
import { copyToFolder } from '../models/own-files';
import type { Args } from '../widgets/reporting';
import { reportingCommands, run, showSuccess, textArg } from '../widgets/reporting';
import { namesOf } from '../models/words';
import { CommandIDs } from '../tokens';
import { RunFiles } from '../widgets/run-files';
import type { FileKind, IFile, IJobRow, IRunFile } from '../wire';
import { FINISHED_STATES } from '../wire';
import type { ICommandsOptions } from './commands';
import { jobsMeant } from './commands';

export interface IFileCommandsOptions extends ICommandsOptions {
  readonly app: JupyterFrontEnd;
  readonly restorer: ILayoutRestorer | null;
}

/** Add the commands that open, copy and download what runs have made. */
export function addFileCommands(options: IFileCommandsOptions): void {
  const { app, commands, documents, settings, trans } = options;
  const own = app.serviceManager.contents;
  const jobs = (args: Args) => jobsMeant(args, options);
  const begun = (args: Args) => jobs(args).filter(job => job.state !== 'queued');
  const names = (args: Args) => namesOf(jobs(args), trans);
  const add = reportingCommands(commands, trans);
  const notOpened = (args: Args) => trans.__('%1 was not opened.', names(args));

  add(CommandIDs.openOutput, {
    label: args =>
      begun(args).every(job => FINISHED_STATES.includes(job.state))
        ? trans.__('Open Result')
        : trans.__('Open Notebook So Far'),
    icon: notebookIcon,
    isEnabled: args => begun(args).length > 0,
    failed: notOpened,
    execute: async args => {
      for (const job of begun(args)) {
        const notebook = await fileOfRole(job, 'notebook');
        await openOrUpdate(job, notebook?.path ?? notebookName(job));
      }
    }
  });

  add(CommandIDs.openLog, {
    label: trans.__('Open Log'),
    icon: textEditorIcon,
    isEnabled: args => begun(args).length > 0,
    failed: notOpened,
    execute: async args => {
      for (const job of begun(args)) {
        const log = await fileOfRole(job, 'log');
        if (log === undefined) {
          throw new Error(trans.__('No output yet.'));
        }
        await openOrUpdate(job, log.path);
      }
    }
  });

  add(CommandIDs.openFile, {
    label: trans.__('Open'),
    failed: args => trans.__('%1 was not opened.', textArg(args, 'path')),
    execute: args => {
      documents.openOrReveal(
        drivePath(textArg(args, 'job_id'), textArg(args, 'path'), kindArg(args))
      );
    }
  });

  add(CommandIDs.copyToMyFiles, {
    label: trans.__('Copy to My Files…'),
    icon: copyIcon,
    isEnabled: args =>
      typeof args.path === 'string' || jobs(args).some(job => FINISHED_STATES.includes(job.state)),
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

  async function openOrUpdate(job: IJobRow, file: string): Promise<void> {
    const path = drivePath(job.job_id, file);
    const isOpen = documents.findWidget(path, null) !== undefined;
    await showAsItIs(documents.openOrReveal(path), isOpen, job);
  }

  async function fileOfRole(job: IJobRow, role: IFile['role']): Promise<IFile | undefined> {
    const { files } = await api.getJob(settings, job.job_id);
    return files.find(file => file.role === role);
  }

  /** Return the file that the arguments name, else the notebooks of the runs that are meant. */
  async function filesMeant(args: Args): Promise<readonly IRunFile[]> {
    if (typeof args.path === 'string') {
      return [{ jobId: textArg(args, 'job_id'), kind: kindArg(args), path: args.path }];
    }
    return await Promise.all(
      begun(args).map(async job => {
        const notebook = await fileOfRole(job, 'notebook');
        if (notebook === undefined) {
          throw new Error(trans.__('It has no result: it ended before its first cell.'));
        }
        return { jobId: job.job_id, kind: 'files', path: notebook.path };
      })
    );
  }
}

function kindArg(args: Args): FileKind {
  return args.kind === 'inputs' ? 'inputs' : 'files';
}

/** Have a document show what there is now, and the cell in which the notebook failed. */
async function showAsItIs(
  widget: IDocumentWidget | undefined,
  isOpen: boolean,
  job: IJobRow
): Promise<void> {
  if (widget === undefined) {
    return;
  }
  const { context } = widget;
  await context.ready;
  // What was opened while the run went on is not what there is now.
  const isOld =
    job.finished_at === null || context.contentsModel?.last_modified !== job.finished_at;
  if (isOpen && isOld && !context.model.dirty) {
    await context.revert();
  }
  const cell =
    job.state === 'failed' && context.contentsModel?.type === 'notebook'
      ? failingCell(context.model.toJSON() as unknown as INotebookContent)
      : null;
  if (cell !== null) {
    widget.setFragment(`#cell-id=${cell}`);
  }
}

function addFilesTab(
  { app, commands, model, settings, restorer, trans }: IFileCommandsOptions,
  add: ReturnType<typeof reportingCommands>,
  begun: (args: Args) => readonly IJobRow[],
  failed: (args: Args) => string
): void {
  const tracker = new WidgetTracker<MainAreaWidget<RunFiles>>({ namespace: 'jupyter-kueue-files' });
  const open = (jobId: string, name: string) => {
    const known = tracker.find(widget => widget.content.jobId === jobId);
    if (known !== undefined) {
      app.shell.activateById(known.id);
      return;
    }
    const content = new RunFiles({
      jobId,
      model,
      serverSettings: settings,
      registry: app.docRegistry,
      actions: {
        open: (path, kind) => run(commands, CommandIDs.openFile, { job_id: jobId, path, kind }),
        copy: (path, kind) =>
          run(commands, CommandIDs.copyToMyFiles, { job_id: jobId, path, kind }),
        download: (path, kind) =>
          run(commands, CommandIDs.downloadOutput, { job_id: jobId, path, kind })
      },
      trans
    });
    const widget = new MainAreaWidget({ content });
    widget.id = `jp-kueue-files-${jobId}`;
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
      if (typeof args.job_id === 'string' && typeof args.name === 'string') {
        // After a reload the run may not have been read yet.
        open(args.job_id, args.name);
      } else {
        begun(args).forEach(job => open(job.job_id, job.name));
      }
    }
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openFiles,
    args: ({ content, title }) => ({
      job_id: content.jobId,
      name: model.job(content.jobId)?.name ?? title.label
    }),
    name: ({ content }) => content.jobId
  });
}
