/** Commands whose errors are shown to the user and also reach the caller. */
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { reasonOf, sentences } from '../models/words';

export type Args = ReadonlyPartialJSONObject;

/** Return a text argument; an empty text if it is missing. */
export function textArg(args: Args, name: string): string {
  const value = args[name];
  return typeof value === 'string' ? value : '';
}

export interface IReportedCommand extends CommandRegistry.ICommandOptions {
  /** A sentence that says what did not happen if the command fails. */
  readonly failed: (args: Args) => string;
}

/** Return a function that adds commands; a failure is shown until the user dismisses it. */
export function reportingCommands(
  commands: CommandRegistry,
  trans: TranslationBundle,
  onError: (error: unknown) => void = () => undefined
): (id: string, command: IReportedCommand) => void {
  return (id, { failed, ...command }) => {
    commands.addCommand(id, {
      describedBy: { args: ARGUMENTS },
      ...command,
      execute: async args => {
        const what = failed(args);
        try {
          return (await command.execute(args)) as unknown;
        } catch (error) {
          showFailure(sentences(what, reasonOf(error, trans)));
          onError(error);
          throw error;
        }
      }
    });
  };
}

/** Show that something was not done, until the user dismisses it. */
export function showFailure(message: string): void {
  Notification.error(message, { autoClose: false });
}

/** How long a success is shown. */
export const SEEN_MS = 5000;

/** Show that something was done; `open` opens the result. */
export function showSuccess(
  message: string,
  open?: { readonly label: string; readonly callback: () => void }
): void {
  Notification.success(message, {
    autoClose: SEEN_MS,
    ...(open === undefined ? {} : { actions: [open] })
  });
}

/** Show something that the user may want to know. */
export function showHint(message: string): void {
  Notification.info(message, { autoClose: SEEN_MS });
}

/** Run a command from the panel; the command itself reports its errors. */
export function execute(commands: CommandRegistry, id: string, args: Args = {}): void {
  commands.execute(id, args).catch((error: unknown) => console.debug(`${id} failed`, error));
}

const ARGUMENTS = {
  type: 'object',
  properties: {
    run_id: { type: 'string', description: 'The id of a run' },
    run_ids: {
      type: 'array',
      items: { type: 'string' },
      description: 'The ids of runs; without any, those that are selected in the panel'
    },
    path: { type: 'string', description: 'The path of a file' },
    explain: { type: 'boolean', description: 'Whether to say why there is nothing to open' },
    schedule_id: { type: 'string', description: 'The id of a schedule' }
  }
} as const;
