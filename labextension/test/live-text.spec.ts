import { updateText } from '../src/models/live-text';

function textOf(shown: string) {
  const done: string[] = [];
  return {
    done,
    sharedModel: {
      getSource: () => shown,
      setSource: (value: string) => done.push(`set ${value}`),
      updateSource: (start: number, _: number, value: string) => done.push(`${start}: ${value}`)
    }
  };
}

it.each([
  ['one\n', 'one\ntwo\n', true, ['4: two\n']],
  ['one\n', 'one\n', false, []],
  ['a\n', 'a\r\nb', true, ['2: b']],
  ['first attempt', 'second attempt', true, ['set second attempt']]
])('turns %j into %j', (shown, text, isChanged, done) => {
  const model = textOf(shown);
  expect(updateText(model, text)).toBe(isChanged);
  expect(model.done).toEqual(done);
});
