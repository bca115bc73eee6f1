/** Notebooks in the form of Jupyter's contents manager, without any trust. */
import { PathExt } from '@jupyterlab/coreutils';
import type { INotebookContent } from '@jupyterlab/nbformat';
import { isCode } from '@jupyterlab/nbformat';

export function isNotebookPath(path: string): boolean {
  return PathExt.extname(path).toLowerCase() === '.ipynb';
}

/**
 * Return a notebook in the form of Jupyter's contents manager: lists of lines become texts, and no
 * cell is marked as trusted, in any format: in format 3 the cells are in worksheets.
 */
export function asContents(notebook: unknown): unknown {
  if (!isObject(notebook)) {
    return notebook;
  }
  const cleaned: Record<string, unknown> = { ...notebook };
  if (Array.isArray(notebook.cells)) {
    cleaned.cells = notebook.cells.map(cellAsContents);
  }
  if (Array.isArray(notebook.worksheets)) {
    cleaned.worksheets = notebook.worksheets.map(asContents);
  }
  return cleaned;
}

function cellAsContents(cell: unknown): unknown {
  if (!isObject(cell)) {
    return cell;
  }
  const cleaned: Record<string, unknown> = { ...cell };
  if ('source' in cell) {
    cleaned.source = joined(cell.source);
  }
  if (isObject(cell.metadata)) {
    cleaned.metadata = { ...cell.metadata, trusted: false };
  }
  if (isObject(cell.attachments)) {
    cleaned.attachments = Object.fromEntries(
      Object.entries(cell.attachments).map(([name, bundle]) => [name, bundleAsContents(bundle)])
    );
  }
  if (Array.isArray(cell.outputs)) {
    cleaned.outputs = cell.outputs.map(outputAsContents);
  }
  return cleaned;
}

function outputAsContents(output: unknown): unknown {
  if (!isObject(output)) {
    return output;
  }
  const cleaned: Record<string, unknown> = { ...output };
  if ('text' in output) {
    cleaned.text = joined(output.text);
  }
  if ('data' in output) {
    cleaned.data = bundleAsContents(output.data);
  }
  return cleaned;
}

/** Join the lines of each media type except JSON's, whose lists are values. */
function bundleAsContents(bundle: unknown): unknown {
  if (!isObject(bundle)) {
    return bundle;
  }
  const isJson = (type: string) => type === 'application/json' || type.endsWith('+json');
  return Object.fromEntries(
    Object.entries(bundle).map(([type, value]) => [type, isJson(type) ? value : joined(value)])
  );
}

/** Return a list of lines as a text, and anything else unchanged. */
function joined(value: unknown): unknown {
  const isText = Array.isArray(value) && value.every(line => typeof line === 'string');
  return isText ? value.join('') : value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Return the id of the cell in which a notebook failed: the last one with an error. */
export function failingCell({ cells }: Pick<INotebookContent, 'cells'>): string | null {
  const failed = cells.filter(
    cell => isCode(cell) && cell.outputs.some(output => output.output_type === 'error')
  );
  const id = failed[failed.length - 1]?.id;
  return typeof id === 'string' ? id : null;
}
