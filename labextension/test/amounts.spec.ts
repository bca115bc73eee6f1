import { nullTranslator } from '@jupyterlab/translation';

import { amountError, asQuantity, shownAmount, sizeOf } from '../src/models/amounts';

const trans = nullTranslator.load('jupyter_kueue');

describe('amounts as people write them', () => {
  it.each([
    ['memory', '4', '4Gi'],
    ['memory', '4 GB', '4G'],
    ['memory', '4GB', '4G'],
    ['memory', '4 GiB', '4Gi'],
    ['memory', '4Gi', '4Gi'],
    ['memory', '512 mb', '512M'],
    ['memory', '1,5 GB', '1.5G'],
    ['memory', '64 KB', '64k'],
    ['memory', '1 PiB', '1Pi'],
    ['memory', '1073741824 B', '1073741824'],
    ['cpu', '0.5', '500m'],
    ['cpu', '.25', '250m'],
    ['cpu', '0,5', '500m'],
    ['cpu', '500m', '500m'],
    ['cpu', ' 2 ', '2'],
    ['gpus', '4', '4'],
    ['gpus', '', '']
  ] as const)('%s: %j is %j', (field, text, quantity) => {
    expect(asQuantity(field, text)).toBe(quantity);
    expect(amountError(field, text, trans)).toBe('');
  });

  it.each([
    ['memory', 'much', 'Enter an amount, such as 4 GiB'],
    ['memory', '4 G B', 'Enter an amount, such as 4 GiB'],
    ['cpu', 'two', 'Enter a number of CPUs, such as 2 or 0.5'],
    ['gpus', '0.5', 'Enter a whole number, such as 1']
  ] as const)('%s: %j is none', (field, text, error) => {
    expect(amountError(field, text, trans)).toBe(error);
  });
});

it.each(['256Mi', '1.5Gi', '2Ti'])('reads %j back', quantity => {
  expect(asQuantity('memory', shownAmount('memory', quantity))).toBe(quantity);
});

it.each([
  ['4G', '3.73 GiB'],
  ['64k', '62.5 KiB'],
  ['512M', '488.28 MiB'],
  ['1073741824', '1 GiB'],
  ['500', '500 B'],
  ['much', 'much']
])('shows %j in one kind of unit: %j', (quantity, shown) => {
  expect(shownAmount('memory', quantity)).toBe(shown);
});

describe('sizes', () => {
  it.each([
    [{ cpu: '1', memory: '2Gi', gpus: 0 }, '1 CPU, 2 GiB of memory'],
    [{ cpu: '500m', memory: '4G', gpus: 2 }, '0.5 CPUs, 3.73 GiB of memory, 2 GPUs'],
    [{}, '']
  ])('%j', (size, words) => {
    expect(sizeOf(size, trans)).toBe(words);
  });
});
