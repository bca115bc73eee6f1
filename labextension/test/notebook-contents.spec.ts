import { asContents, failingCell, isNotebookPath } from '../src/models/notebook-contents';

it('hands notebooks out as Jupyter does, with nothing of them trusted', () => {
  const cell = {
    cell_type: 'code',
    metadata: { trusted: true, tags: ['a'] },
    source: ['one\n', 'two'],
    outputs: [
      { output_type: 'stream', name: 'stdout', text: ['1\n', '2\n'] },
      {
        output_type: 'display_data',
        data: { 'text/plain': ['x', 'y'], 'application/json': ['a', 'b'] }
      },
      { output_type: 'error', traceback: ['first', 'second'] }
    ]
  };
  expect(asContents({ cells: [cell] })).toEqual({
    cells: [
      {
        ...cell,
        metadata: { trusted: false, tags: ['a'] },
        source: 'one\ntwo',
        outputs: [
          { output_type: 'stream', name: 'stdout', text: '1\n2\n' },
          {
            output_type: 'display_data',
            data: { 'text/plain': 'xy', 'application/json': ['a', 'b'] }
          },
          { output_type: 'error', traceback: ['first', 'second'] }
        ]
      }
    ]
  });
});

it('finds the cell in which a notebook failed, not one whose error was expected', () => {
  const cell = (id: string, ...types: string[]) => ({
    id,
    cell_type: 'code' as const,
    source: '',
    metadata: {},
    execution_count: null,
    outputs: types.map(output_type => ({ output_type }))
  });
  expect(failingCell({ cells: [cell('a', 'error'), cell('b', 'error'), cell('c')] })).toBe('b');
  expect(failingCell({ cells: [cell('a', 'stream')] })).toBeNull();
});

it('knows a notebook by its name, however it is written', () => {
  expect(isNotebookPath('sub/LOUD.IPYNB')).toBe(true);
  expect(isNotebookPath('notes.txt')).toBe(false);
});
