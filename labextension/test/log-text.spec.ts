import { plainLog } from '../src/models/log-text';

it.each([
  ['\u001b[0;31mValueError\u001b[0m: x', 'ValueError: x'],
  ['50%\u001b[K\r100%', '50%\r100%'],
  ['\u001b]8;;https://example.com\u0007a link\u001b]8;;\u001b\\', 'a link'],
  ['plain [31m text', 'plain [31m text']
])('shows %j without control sequences', (log, shown) => {
  expect(plainLog(log)).toBe(shown);
});
