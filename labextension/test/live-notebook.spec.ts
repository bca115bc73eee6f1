import type { ICell, IOutput } from '@jupyterlab/nbformat';

import { LiveNotebook } from '../src/models/live-notebook';

/** Lab's model of a code cell, which notes what is drawn again. */
class CodeCell {
  readonly type = 'code';
  executionCount: number | null = null;
  executionState: 'idle' | 'running' = 'idle';
  readonly drawn: string[] = [];
  private _outputs: IOutput[] = [];

  constructor(
    readonly id: string,
    private readonly _source = 'pass',
    private readonly _tags: readonly string[] = []
  ) {}

  readonly sharedModel = { getSource: () => this._source };

  getMetadata(): readonly string[] {
    return this._tags;
  }

  get outputs() {
    const values = this._outputs;
    return {
      length: values.length,
      toJSON: () => [...values],
      fromJSON: (all: IOutput[]) => {
        this._outputs = [...all];
        this.drawn.push('all');
      },
      add: (value: IOutput) => {
        this.drawn.push(`add ${values.length}`);
        return values.push(value);
      },
      set: (place: number, value: IOutput) => {
        values[place] = value;
        this.drawn.push(`set ${place}`);
      }
    };
  }
}

function stream(text: string): IOutput {
  return { output_type: 'stream', name: 'stdout', text };
}

function code(id: string, outputs: IOutput[], count: number | null = null): ICell {
  return { id, cell_type: 'code', source: 'pass', metadata: {}, execution_count: count, outputs };
}

function notebookOf(...models: readonly CodeCell[]): LiveNotebook {
  return new LiveNotebook({
    cells: { length: models.length, get: place => models[place] ?? new CodeCell('none') }
  });
}

it('draws only what is new', () => {
  const [first, second] = [new CodeCell('a'), new CodeCell('b')];
  const notebook = notebookOf(first, second);
  notebook.update({ cells: [code('a', [stream('1')], 1), code('b', [stream('2')])] });
  first.drawn.length = second.drawn.length = 0;

  const grown = [stream('2 and more'), stream('3')];
  expect(notebook.update({ cells: [code('a', [stream('1')], 1), code('b', grown, 2)] })).toBe(true);
  expect(first.drawn).toEqual([]);
  expect(second.drawn).toEqual(['set 0', 'add 1']);
  expect(second.outputs.toJSON()).toEqual(grown);
  expect([first.executionCount, second.executionCount]).toEqual([1, 2]);
});

it('draws a cell again whose outputs were cleared', () => {
  const cell = new CodeCell('a');
  const notebook = notebookOf(cell);
  notebook.update({ cells: [code('a', [stream('1'), stream('2')])] });
  notebook.update({ cells: [code('a', [stream('3')])] });
  expect(cell.outputs.toJSON()).toEqual([stream('3')]);
});

it.each<[string, ICell[]]>([
  ['another cell', [code('other', [])]],
  ['one more cell', [code('a', []), code('b', [])]],
  ['another source', [{ ...code('a', []), source: 'x = 1' }]]
])('leaves a notebook with %s to be read again', (_, cells) => {
  expect(notebookOf(new CodeCell('a')).update({ cells })).toBe(false);
});

it('marks the cell that runs, by the number that the run gives it', () => {
  const cells = [
    new CodeCell('empty', ' '),
    new CodeCell('a'),
    new CodeCell('skipped', 'x', ['skip-execution']),
    new CodeCell('b')
  ];
  const notebook = notebookOf(...cells);
  const states = () => cells.map(cell => cell.executionState);
  notebook.markRunning(2);
  expect(states()).toEqual(['idle', 'idle', 'idle', 'running']);
  notebook.markRunning(null);
  expect(states()).toEqual(['idle', 'idle', 'idle', 'idle']);
});
