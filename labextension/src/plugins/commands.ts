/** Every action on runs, as a command of Lab for buttons, menus and other extensions. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, closeIcon, redoIcon, refreshIcon, stopIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

import * as api from '../api';
import type { Args } from '../widgets/reporting';
import {
  reportingCommands,
  SEEN_MS,
  showFailure,
  showSuccess,
  textArg
} from '../widgets/reporting';
import { drivePath } from '../models/drive';
import { replaceWaiting } from '../models/replacement';
import type { StockBackendModel } from '../models/stock-backend';
import { formFor, OPEN_FORM } from '../models/upstream-form';
import { namesOf, quoted, reasonOf, sentences } from '../models/words';
import { RequestError } from '../request';
import type { IRunsModel } from '../tokens';
import { CommandIDs } from '../tokens';
import { showRequestDialog } from '../widgets/request-dialog';
import type { IRunRow, IRequest, RequestChanges } from '../wire';
import { FINISHED_STATES, UNFINISHED_STATES } from '../wire';

export interface ICommandsOptions {
  readonly commands: CommandRegistry;
  readonly model: IRunsModel;
  readonly stockBackend: StockBackendModel;
  readonly documents: IDocumentManager;
  readonly settings: ServerConnection.ISettings;
  readonly trans: TranslationBundle;
  /** Bring the panel to the front. */
  readonly show: () => void;
  /** The runs that a menu or a shortcut applies to if the arguments name none. */
  readonly meantRunIds: () => readonly string[];
}

/** For more runs than this, the progress of their deletion is shown. */
const FEW = 20;

/** Return the runs in a command's arguments, otherwise the panel's. */
export function runsMeant(
  args: Args,
  { model, meantRunIds }: Pick<ICommandsOptions, 'model' | 'meantRunIds'>
): readonly IRunRow[] {
  const runIds = namedIn(args) ?? meantRunIds();
  return runIds.flatMap(runId => model.run(runId) ?? []);
}

/** Add the commands for runs. */
export function addCommands(options: ICommandsOptions): void {
  const { commands, model, settings, trans, show } = options;
  const runs = (args: Args) => runsMeant(args, options);
  const finished = (args: Args) => runs(args).filter(run => FINISHED_STATES.includes(run.state));
  const editable = (args: Args) =>
    runs(args).filter(run => run.state === 'queued' || FINISHED_STATES.includes(run.state));
  const stoppable = (args: Args) =>
    runs(args).filter(run => UNFINISHED_STATES.includes(run.state) && run.state !== 'stopping');
  const names = (args: Args) => namesOf(runs(args), trans);
  // An unavailable server is noticed at once, not only at the next request.
  const onError = (error: unknown) => {
    if (error instanceof RequestError && error.status === 503) {
      void model.refresh();
    }
  };
  const add = reportingCommands(commands, trans, onError);

  add(CommandIDs.showPanel, {
    label: trans.__('Show Queues and My Runs'),
    failed: () => trans.__('The panel was not shown.'),
    execute: show
  });

  add(CommandIDs.refresh, {
    label: trans.__('Refresh'),
    icon: refreshIcon,
    failed: () => trans.__('Queues and runs were not read.'),
    execute: () => model.refresh()
  });

  add(CommandIDs.submit, {
    label: trans.__('Submit a Notebook…'),
    caption: trans.__('Submit a notebook to a queue'),
    icon: addIcon,
    failed: () => trans.__('No notebook was submitted.'),
    execute: async args => {
      const path =
        typeof args.path === 'string' ? args.path : await askForNotebook(options.documents, trans);
      if (path !== null) {
        await submit(path, options);
      }
    }
  });

  add(CommandIDs.submitAgain, {
    label: trans.__('Create a Job'),
    caption: trans.__('Create a job of the notebook that this is the result of'),
    icon: addIcon,
    failed: () => trans.__('No job was created.'),
    execute: async args => {
      const path = drivePath(textArg(args, 'run_id'), textArg(args, 'path'));
      if (commands.hasCommand(OPEN_FORM)) {
        const { request } = await api.getRun(settings, textArg(args, 'run_id'));
        await commands.execute(OPEN_FORM, formFor(path, request));
      } else {
        await commands.execute(CommandIDs.editAndRerunRun, { run_id: textArg(args, 'run_id') });
      }
    }
  });

  add(CommandIDs.listOlderRuns, {
    label: trans.__('Show Older Runs'),
    failed: () => trans.__('Older runs were not read.'),
    execute: () => model.listOlderRuns()
  });

  add(CommandIDs.dismissStockBackend, {
    label: trans.__('Hide the Notice about jupyter-scheduler’s Own Backend'),
    failed: () => trans.__('That could not be remembered.'),
    execute: () => options.stockBackend.dismiss()
  });

  add(CommandIDs.rerunRuns, {
    label: trans.__('Run Again'),
    icon: redoIcon,
    isEnabled: args => finished(args).length > 0,
    failed: args => trans.__('%1 was not submitted again.', names(args)),
    execute: async args => {
      const again = finished(args);
      await Promise.all(again.map(run => model.rerunRun(run.run_id)));
      showSuccess(trans.__('%1 is queued again.', namesOf(again, trans)));
    }
  });

  add(CommandIDs.editAndRerunRun, {
    label: args =>
      runs(args).some(run => run.state === 'queued')
        ? trans.__('Edit and Submit Again…')
        : trans.__('Edit and Run Again…'),
    isEnabled: args => runs(args).length === 1 && editable(args).length === 1,
    failed: args => trans.__('%1 was not submitted again.', names(args)),
    execute: async args => {
      const [run] = editable(args);
      if (run?.state === 'queued') {
        await editWaiting(run);
      } else if (run !== undefined) {
        const again = await askForRequest(
          trans.__('Run %1 again', quoted(run.name, trans)),
          trans.__('Run again'),
          { ...run.request, name: run.name },
          changes => model.rerunRun(run.run_id, changes)
        );
        if (again !== null) {
          showSuccess(trans.__('%1 is queued.', quoted(again.name, trans)));
        }
      }
    }
  });

  add(CommandIDs.editSchedule, {
    label: trans.__('Edit Queue, Size and Parameters…'),
    failed: () => trans.__('The job definition was not changed.'),
    execute: async args => {
      const schedule = await api.getSchedule(settings, textArg(args, 'schedule_id'));
      await askForRequest(
        trans.__('Edit %1', quoted(schedule.name, trans)),
        trans.__('Save'),
        { ...schedule.request, name: schedule.name },
        async changes =>
          Object.keys(changes).length === 0
            ? schedule
            : await api.changeSchedule(settings, schedule.schedule_id, changes)
      );
    }
  });

  add(CommandIDs.stopRuns, {
    label: trans.__('Stop'),
    icon: stopIcon,
    isEnabled: args => stoppable(args).length > 0,
    failed: args => {
      const doomed = stoppable(args);
      return trans._n(
        '%2 was not stopped.',
        '%2 were not all stopped.',
        doomed.length,
        namesOf(doomed, trans)
      );
    },
    execute: args => model.stopRuns(stoppable(args).map(run => run.run_id))
  });

  add(CommandIDs.deleteRuns, {
    label: trans.__('Delete…'),
    icon: closeIcon,
    isEnabled: args => runs(args).length > 0,
    failed: args => trans.__('%1: not all was deleted.', names(args)),
    execute: async args => {
      const doomed = runs(args);
      if (doomed.length > 0 && (await isDeletionWanted(doomed, trans))) {
        await deleteRuns(doomed, model, trans);
      }
    }
  });

  /** Replace a waiting run with one with other values. */
  async function editWaiting(waiting: IRunRow): Promise<void> {
    const name = quoted(waiting.name, trans);
    const replacement = await askForRequest(
      trans.__('Edit %1 and submit it again', name),
      trans.__('Submit again'),
      { ...waiting.request, name: waiting.name },
      changes => replaceWaiting(model, settings, waiting.run_id, changes),
      trans.__('A new run with your changes is queued, and then the waiting one is stopped.')
    );
    if (replacement === null) {
      return;
    }
    const { run, hasStarted, failure } = replacement;
    const queued = trans.__('%1 is queued.', quoted(run.name, trans));
    if (failure !== null) {
      const kept = trans.__('The earlier run %1 was not stopped: stop it yourself.', name);
      showFailure(sentences(queued, kept, reasonOf(failure, trans)));
    } else if (hasStarted) {
      const kept = trans.__('The earlier run %1 has started meanwhile and was not stopped.', name);
      showFailure(sentences(queued, kept));
    } else {
      showSuccess(queued);
    }
  }

  async function askForRequest<T>(
    title: string,
    accept: string,
    request: IRequest,
    send: (changes: RequestChanges) => Promise<T>,
    note?: string
  ): Promise<T | null> {
    const [profiles, environments] = await Promise.all([
      api.listProfiles(settings),
      api.listEnvironments(settings)
    ]);
    const { queues, defaultQueue } = model;
    const known = { queues: queues ?? [], defaultQueue, profiles, environments };
    return await showRequestDialog({ title, accept, request, note, ...known, send, trans });
  }
}

/** Open the form for a notebook, or a shorter one if jupyter-scheduler is not installed. */
async function submit(path: string, options: ICommandsOptions): Promise<void> {
  const { commands, model, settings, trans } = options;
  if (commands.hasCommand(OPEN_FORM)) {
    await commands.execute(OPEN_FORM, formFor(path));
    return;
  }
  const run = await showRequestDialog({
    title: trans.__('Submit %1', path),
    accept: trans.__('Submit'),
    request: { input_path: path },
    queues: model.queues ?? [],
    defaultQueue: model.defaultQueue,
    profiles: await api.listProfiles(settings),
    environments: await api.listEnvironments(settings),
    send: changes => api.submitRun(settings, { ...changes, input_path: path }),
    trans
  });
  if (run !== null) {
    showSuccess(trans.__('%1 is queued.', quoted(run.name, trans)));
  }
}

async function askForNotebook(
  documents: IDocumentManager,
  trans: TranslationBundle
): Promise<string | null> {
  const { button, value } = await FileDialog.getOpenFiles({
    manager: documents,
    title: trans.__('Choose a notebook'),
    // Folders lead to notebooks.
    filter: ({ type }) => (type === 'notebook' || type === 'directory' ? {} : null)
  });
  const notebook = value?.find(({ type }) => type === 'notebook');
  return button.accept ? (notebook?.path ?? null) : null;
}

async function deleteRuns(
  runs: readonly IRunRow[],
  model: IRunsModel,
  trans: TranslationBundle
): Promise<void> {
  const total = runs.length;
  const progress =
    total > FEW
      ? Notification.emit(trans.__('Deleting %1 runs…', total), 'in-progress', {
          autoClose: false,
          progress: 0
        })
      : null;
  let deleted = 0;
  const failures = await model
    .deleteRuns(
      runs.map(run => run.run_id),
      done => {
        if (progress !== null && done < total) {
          const message = trans.__('Deleting runs: %1 of %2', done, total);
          Notification.update({ id: progress, message, progress: done / total });
        }
      }
    )
    .then(found => {
      deleted = total - found.length;
      return found;
    })
    .finally(() => {
      if (progress !== null) {
        // Dismissing a notification right after an update would keep it open forever.
        const message = trans.__('%1 of %2 runs were deleted.', deleted, total);
        Notification.update({ id: progress, message, type: 'default', autoClose: SEEN_MS });
      }
    });
  const [first] = failures;
  if (first !== undefined) {
    const [only] = runs;
    const what =
      total === 1 && only !== undefined
        ? trans.__('%1 was not deleted.', quoted(only.name, trans))
        : trans._n('%1 run was not deleted.', '%1 runs were not deleted.', failures.length);
    showFailure(sentences(what, reasonOf(first, trans)));
  }
}

function namedIn(args: Args): readonly string[] | null {
  if (typeof args.run_id === 'string') {
    return [args.run_id];
  }
  return Array.isArray(args.run_ids) ? args.run_ids.map(String) : null;
}

async function isDeletionWanted(
  runs: readonly IRunRow[],
  trans: TranslationBundle
): Promise<boolean> {
  const isUnfinished = runs.some(run => UNFINISHED_STATES.includes(run.state));
  const answer = await showDialog({
    title: trans._n('Delete this run?', 'Delete %1 runs?', runs.length),
    body: sentences(
      trans._n(
        'This permanently deletes %2 and its results.',
        'This permanently deletes %2 and their results.',
        runs.length,
        namesOf(runs, trans)
      ),
      isUnfinished
        ? trans._n(
            'It is stopped first.',
            'Runs that are still waiting or running are stopped first.',
            runs.length
          )
        : null,
      trans.__('Your own notebooks are kept.')
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Delete') })
    ],
    defaultButton: 0
  });
  return answer.button.accept;
}
