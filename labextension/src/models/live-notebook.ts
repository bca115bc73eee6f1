/**
 * Updates an open notebook from its run cell by cell, so that unchanged cells are not rendered
 * again and nothing scrolls.
 */
import type { ICell, INotebookContent, IOutput } from '@jupyterlab/nbformat';
import { isCode } from '@jupyterlab/nbformat';
import { JSONExt } from '@lumino/coreutils';

/** The parts of Lab's notebook model that are used here. */
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

/** nbclient skips cells with this tag. */
const SKIPPED = 'skip-execution';

export class LiveNotebook {
  constructor(private readonly _model: INotebookCells) {}

  /** Show new outputs and counts; return false if the cells themselves differ. */
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

  /** Mark the running cell by its number, from 1; null for none. */
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

  /** Replace the outputs that differ, so that Lab renders only those again. */
  private _showOutputs({ id, outputs }: ICodeCellModel, values: readonly IOutput[]): void {
    // Lab may change an output when it stores it.
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

/** Return whether something is a notebook's model. */
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
