/** Every action on runs, as commands of Lab: buttons, menus and other extensions call these. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  closeIcon,
  downloadIcon,
  notebookIcon,
  refreshIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import * as api from '../api';
import { drivePath } from '../models/drive';
import type { JobsModel } from '../models/jobs';
import type { StockBackendModel } from '../models/stock-backend';
import { CommandIDs } from '../tokens';
import type { IFile, IJobRow } from '../wire';
import { FINISHED_STATES, UNFINISHED_STATES } from '../wire';

export interface ICommandsOptions {
  readonly commands: CommandRegistry;
  readonly model: JobsModel;
  readonly stockBackend: StockBackendModel;
  readonly documents: IDocumentManager;
  readonly settings: ServerConnection.ISettings;
  readonly trans: TranslationBundle;
  /** Bring the panel to the front. */
  readonly show: () => void;
  /** Which runs a menu or a shortcut means, where the arguments name none. */
  readonly meantJobIds: () => readonly string[];
}

type Args = ReadonlyPartialJSONObject;

const ARGUMENTS = {
  type: 'object',
  properties: {
    job_id: { type: 'string' },
    job_ids: { type: 'array', items: { type: 'string' } }
  }
} as const;

/** Add all commands. Their arguments: `job_id` or `job_ids`, else what the panel means. */
export function addCommands(options: ICommandsOptions): void {
  const { commands, model, documents, settings, trans, show } = options;
  const jobIds = (args: Args): readonly string[] => namedIn(args) ?? options.meantJobIds();
  const jobs = (args: Args): readonly IJobRow[] =>
    jobIds(args).flatMap(jobId => model.job(jobId) ?? []);
  const finished = (args: Args) => jobs(args).filter(job => FINISHED_STATES.includes(job.state));
  const stoppable = (args: Args) =>
    jobs(args).filter(job => UNFINISHED_STATES.includes(job.state) && job.state !== 'stopping');

  const add = (id: string, command: CommandRegistry.ICommandOptions) => {
    commands.addCommand(id, {
      describedBy: { args: ARGUMENTS },
      ...command,
      execute: async args => {
        try {
          await command.execute(args);
        } catch (error) {
          showError(error instanceof Error ? error.message : String(error));
        }
      }
    });
  };

  add(CommandIDs.showPanel, { label: trans.__('Show queues and my runs'), execute: show });

  add(CommandIDs.refresh, {
    label: trans.__('Read queues and runs anew'),
    icon: refreshIcon,
    execute: () => model.refresh()
  });

  add(CommandIDs.listOlderJobs, {
    label: trans.__('Show older runs'),
    execute: () => model.listOlderJobs()
  });

  add(CommandIDs.dismissStockBackend, {
    label: trans.__('Do not tell of jupyter-scheduler’s own backend'),
    execute: () => options.stockBackend.dismiss()
  });

  add(CommandIDs.openOutput, {
    label: trans.__('Open the executed notebook'),
    icon: notebookIcon,
    isEnabled: args => finished(args).length > 0,
    execute: async args => {
      for (const job of finished(args)) {
        const file = await executedNotebook(settings, job, trans);
        documents.openOrReveal(drivePath(job.job_id, file.path), 'default');
      }
    }
  });

  add(CommandIDs.downloadOutput, {
    label: trans.__('Download the executed notebook'),
    icon: downloadIcon,
    isEnabled: args => finished(args).length > 0,
    execute: async args => {
      for (const job of finished(args)) {
        const file = await executedNotebook(settings, job, trans);
        const link = document.createElement('a');
        link.href = api.fileUrl(settings, job.job_id, file.path);
        link.download = file.path;
        link.click();
      }
    }
  });

  add(CommandIDs.stopJobs, {
    label: trans.__('Stop'),
    icon: stopIcon,
    isEnabled: args => stoppable(args).length > 0,
    execute: args => model.stopJobs(stoppable(args).map(job => job.job_id))
  });

  add(CommandIDs.deleteJobs, {
    label: trans.__('Delete…'),
    icon: closeIcon,
    isEnabled: args => jobs(args).length > 0,
    execute: async args => {
      const doomed = jobs(args);
      if (doomed.length > 0 && (await isDeletionWanted(doomed, trans))) {
        const failures = await model.deleteJobs(doomed.map(job => job.job_id));
        failures.forEach(showError);
      }
    }
  });
}

/** Say that something was not done, until the user has seen it. */
function showError(message: string): void {
  Notification.error(message, { autoClose: false });
}

function namedIn(args: Args): readonly string[] | null {
  if (typeof args.job_id === 'string') {
    return [args.job_id];
  }
  return Array.isArray(args.job_ids) ? args.job_ids.map(String) : null;
}

async function executedNotebook(
  settings: ServerConnection.ISettings,
  job: IJobRow,
  trans: TranslationBundle
): Promise<IFile> {
  const { files } = await api.getJob(settings, job.job_id);
  const notebook = files.find(file => file.role === 'notebook');
  if (notebook === undefined) {
    throw new Error(
      trans.__('%1 has no executed notebook: it ended before its first cell.', job.name)
    );
  }
  return notebook;
}

async function isDeletionWanted(
  jobs: readonly IJobRow[],
  trans: TranslationBundle
): Promise<boolean> {
  const names = jobs.slice(0, 3).map(job => `“${job.name}”`);
  const what =
    jobs.length > names.length
      ? trans.__('%1 and %2 more', names.join(', '), jobs.length - names.length)
      : names.join(', ');
  const answer = await showDialog({
    title: trans._n('Delete this run?', 'Delete %1 runs?', jobs.length),
    body: trans.__(
      'This deletes %1 with all files for good. What has not ended is stopped. Notebooks in your folders stay.',
      what
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Delete') })
    ],
    defaultButton: 0
  });
  return answer.button.accept;
}
