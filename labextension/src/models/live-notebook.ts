/**
 * Brings an open notebook up to date with what its run has made of it: cell by cell, so that what has
 * not changed is not drawn again and nothing scrolls.
 */
import type { ICell, INotebookContent, IOutput } from '@jupyterlab/nbformat';
import { isCode } from '@jupyterlab/nbformat';
import { JSONExt } from '@lumino/coreutils';

/** Lab's model of a notebook, as far as it counts here. */
export interface INotebookCells {
  readonly cells: { readonly length: number; get(place: number): ICellModel };
}

interface ICellModel {
  readonly id: string;
  readonly type: string;
  readonly sharedModel: { getSource(): string };
}

interface ICodeCellModel extends ICellModel {
  executionCount: number | null;
  executionState: 'idle' | 'running';
  readonly outputs: IOutputs;
}

interface IOutputs {
  readonly length: number;
  toJSON(): IOutput[];
  fromJSON(values: IOutput[]): void;
  add(value: IOutput): number;
  set(place: number, value: IOutput): void;
}

/** nbclient leaves out cells with this tag. */
const SKIPPED = 'skip-execution';

export class LiveNotebook {
  constructor(private readonly _model: INotebookCells) {}

  /** Show new outputs and counts; returns false where the cells themselves are other ones. */
  update({ cells }: Pick<INotebookContent, 'cells'>): boolean {
    const models = this._models();
    if (models.length !== cells.length || !models.every((model, at) => isSame(model, cells[at]))) {
      return false;
    }
    models.forEach((model, at) => {
      const cell = cells[at];
      if (cell !== undefined && isCode(cell) && isCodeModel(model)) {
        const count = cell.execution_count;
        if (model.executionCount !== count) {
          model.executionCount = count;
        }
        this._showOutputs(model, cell.outputs);
      }
    });
    return true;
  }

  /** Mark the cell that runs, counted as a run counts them from 1; null where none does. */
  markRunning(number: number | null): void {
    const run = this._models()
      .filter(isCodeModel)
      .filter(model => model.sharedModel.getSource().trim() !== '' && !isSkipped(model));
    run.forEach((model, at) => {
      const state = at + 1 === number ? 'running' : 'idle';
      if (model.executionState !== state) {
        model.executionState = state;
      }
    });
  }

  /** Replace the outputs that differ: Lab draws those alone again. */
  private _showOutputs({ id, outputs }: ICodeCellModel, values: readonly IOutput[]): void {
    // What Lab keeps of an output is not always what it was given.
    const shown = this._shown.get(id) ?? outputs.toJSON();
    this._shown.set(id, values);
    if (values.length < outputs.length || shown.length !== outputs.length) {
      outputs.fromJSON([...values]);
      return;
    }
    values.forEach((value, at) => {
      if (at >= shown.length) {
        outputs.add(value);
      } else if (!JSONExt.deepEqual(value, shown[at] ?? null)) {
        outputs.set(at, value);
      }
    });
  }

  private _models(): readonly ICellModel[] {
    const { cells } = this._model;
    return Array.from({ length: cells.length }, (_, at) => cells.get(at));
  }

  private readonly _shown = new Map<string, readonly IOutput[]>();
}

/** Tell whether something is a notebook's model. */
export function isNotebookModel(model: object): model is INotebookCells {
  return 'cells' in model;
}

function isCodeModel(model: ICellModel): model is ICodeCellModel {
  return model.type === 'code';
}

function isSame(model: ICellModel, cell: ICell | undefined): boolean {
  return (
    cell?.id === model.id &&
    cell.cell_type === model.type &&
    cell.source === model.sharedModel.getSource()
  );
}

function isSkipped(model: ICellModel): boolean {
  const tags = (model as { getMetadata?: (key: string) => unknown }).getMetadata?.('tags');
  return Array.isArray(tags) && tags.includes(SKIPPED);
}
