/** Saves a document of a run among the user's own files. */
import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { exists, freePath } from '../models/own-files';

/**
 * Ask for a path and save there; return false if the user cancels.
 *
 * Lab's own dialog would propose the document's path, which contains the run's id. Lab opens the
 * saved file in place of the document.
 */
export async function saveAs(
  context: DocumentRegistry.Context,
  contents: Contents.IManager,
  trans: TranslationBundle
): Promise<boolean> {
  const { model } = context;
  const { button, value } = await InputDialog.getText({
    title: trans.__('Save in My Files As…'),
    label: trans.__('Path in your files'),
    text: await freePath(contents, PathExt.basename(contents.localPath(context.path))),
    okLabel: trans.__('Save')
  });
  const path = value?.trim() ?? '';
  if (!button.accept || path === '' || !(await isFreeOrUnwanted(path, contents, trans))) {
    return false;
  }
  const wasDirty = model.dirty;
  // Lab closes the document after saving it, and would ask about its changes first.
  model.dirty = false;
  try {
    const isNotebook = context.contentsModel?.type === 'notebook';
    await contents.save(
      path,
      isNotebook
        ? { type: 'notebook', format: 'json', content: model.toJSON() }
        : { type: 'file', format: 'text', content: model.toString() }
    );
  } catch (error) {
    model.dirty = wasDirty;
    throw error;
  }
  return true;
}

async function isFreeOrUnwanted(
  path: string,
  contents: Contents.IManager,
  trans: TranslationBundle
): Promise<boolean> {
  if (!(await exists(contents, path))) {
    return true;
  }
  const { button } = await showDialog({
    title: trans.__('Overwrite File?'),
    body: trans.__('%1 already exists in your files.', path),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Overwrite') })
    ],
    defaultButton: 0
  });
  return button.accept;
}
