/** Shows a run's result in an open document. */
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { INotebookContent } from '@jupyterlab/nbformat';

import { failingCell } from '../models/notebook-contents';
import type { IRunRow } from '../wire';

/** Show the current content in a document, and the cell in which the notebook failed. */
export async function showResult(widget: IDocumentWidget, run: IRunRow): Promise<void> {
  const { context } = widget;
  await context.ready;
  // A document that was opened during the run is out of date.
  const isOld =
    run.finished_at !== null && context.contentsModel?.last_modified !== run.finished_at;
  if (isOld && !context.model.dirty) {
    await context.revert();
  }
  const cell =
    run.state === 'failed' && context.contentsModel?.type === 'notebook'
      ? failingCell(context.model.toJSON() as unknown as INotebookContent)
      : null;
  if (cell !== null) {
    widget.setFragment(`#cell-id=${cell}`);
  }
}
