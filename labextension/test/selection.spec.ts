import { NOTHING_SELECTED, retain, select, selectAll, successor } from '../src/models/selection';

const SHOWN = ['a', 'b', 'c', 'd'];
const CLICK = { toggle: false, range: false };
const CTRL = { toggle: true, range: false };
const SHIFT = { toggle: false, range: true };

function after(...clicks: (readonly [string, typeof CLICK])[]): string[] {
  const selection = clicks.reduce(
    (before, [runId, keys]) => select(before, runId, keys, SHOWN),
    NOTHING_SELECTED
  );
  return [...selection.runIds].sort();
}

describe('clicks', () => {
  it('select one', () => {
    expect(after(['a', CLICK], ['c', CLICK])).toEqual(['c']);
  });

  it('with Ctrl add and take away', () => {
    expect(after(['a', CLICK], ['c', CTRL], ['d', CTRL], ['a', CTRL])).toEqual(['c', 'd']);
  });

  it('with Shift select from the last one on, either way', () => {
    expect(after(['c', CLICK], ['d', SHIFT], ['a', SHIFT])).toEqual(['a', 'b', 'c']);
  });
});

describe('the selection', () => {
  it('can be all that is shown', () => {
    expect([...selectAll(NOTHING_SELECTED, SHOWN).runIds]).toEqual(SHOWN);
  });

  it('loses what is gone', () => {
    const all = selectAll(NOTHING_SELECTED, SHOWN);
    expect([...retain(all, ['b', 'd']).runIds]).toEqual(['b', 'd']);
    expect(retain(all, SHOWN)).toBe(all);
  });
});

describe('the keyboard', () => {
  it.each([
    ['b', ['a', 'b', 'c'], 'b'],
    ['b', ['a', 'c', 'd'], 'c'],
    ['d', ['a', 'b'], 'b'],
    ['b', ['x'], 'x'],
    ['b', [], null],
    [null, ['a'], 'a']
  ])('at %j, with %j left, is at %j', (current, now, next) => {
    expect(successor(current, SHOWN, now)).toBe(next);
  });
});
