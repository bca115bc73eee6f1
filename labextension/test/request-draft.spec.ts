import { nullTranslator } from '@jupyterlab/translation';

import {
  changesOf,
  draftErrors,
  draftOf,
  formErrors,
  parameterText,
  parameterValue
} from '../src/models/request-draft';

const trans = nullTranslator.load('jupyter_kueue');
const REQUEST = {
  name: 'report',
  input_path: 'report.ipynb',
  local_queue: 'team-a',
  resources: { cpu: '1', memory: '2Gi', gpus: 0 },
  parameters: { region: 'north', weeks: 8, code: '007', list: [1, 2] }
};

describe('a draft', () => {
  const draft = draftOf(REQUEST);

  it('that was not changed changes nothing', () => {
    expect(changesOf(draft, REQUEST)).toEqual({});
  });

  it('changes what is typed, as the server takes it', () => {
    expect(draft).toMatchObject({ cpu: '1', memory: '2 GiB', gpus: '' });
    const typed = { ...draft, queue: 'team-b', memory: '4 GB', gpus: '2' };
    expect(changesOf(typed, REQUEST)).toEqual({
      local_queue: 'team-b',
      profile: null,
      resources: { cpu: '1', memory: '4G', gpus: 2 }
    });
  });

  it('leaves amounts as they were asked for, though it shows them rounded', () => {
    const asked = { ...REQUEST, resources: { cpu: '500m', memory: '4G' } };
    const shown = draftOf(asked);
    expect(shown).toMatchObject({ cpu: '0.5', memory: '3.73 GiB' });
    expect(changesOf({ ...shown, cpu: '1' }, asked).resources).toEqual({ cpu: '1', memory: '4G' });
  });

  it('has a size by its name or by its amounts', () => {
    expect(changesOf({ ...draft, profile: 'small' }, REQUEST)).toEqual({
      profile: 'small',
      resources: null
    });
  });

  it('has an environment, a time limit and a kernel', () => {
    const request = { ...REQUEST, timeout_seconds: 5400, kernel_name: 'ir', environment: 'r' };
    const before = draftOf(request);
    expect(before).toMatchObject({ timeout: '1 h 30 min', kernel: 'ir', environment: 'r' });
    const typed = { ...before, timeout: '2 h', kernel: ' ', environment: '' };
    expect(changesOf(typed, request)).toEqual({
      timeout_seconds: 7200,
      kernel_name: null,
      environment: null
    });
    expect(changesOf({ ...before, timeout: '' }, request)).toEqual({ timeout_seconds: null });
    expect(draftErrors({ ...before, timeout: 'soon' }, trans)).toEqual({
      timeout: 'Enter a time, such as 30 min or 2 h'
    });
    const refused = { timeout_seconds: 'too long', kernel_name: 'no', environment: 'gone' };
    expect(formErrors(refused)).toEqual({ timeout: 'too long', kernel: 'no', environment: 'gone' });
  });

  it('changes parameters all together', () => {
    const parameters = [
      { name: 'region', value: 'south' },
      { name: 'weeks', value: '9' },
      { name: ' ', value: 'left empty' }
    ];
    expect(changesOf({ ...draft, parameters }, REQUEST)).toEqual({
      parameters: { region: 'south', weeks: 9 }
    });
  });

  it('says what cannot be an amount', () => {
    expect(draftErrors({ ...draft, memory: 'lots' }, trans)).toEqual({
      memory: 'Enter an amount, such as 4 GiB'
    });
    expect(draftErrors({ ...draft, memory: 'lots', profile: 'small' }, trans)).toEqual({});
    const parameters = ['a', 'b', ' a'].map(name => ({ name, value: '1' }));
    expect(draftErrors({ ...draft, parameters }, trans)).toEqual({
      parameters: 'a is given twice. Remove one of them.'
    });
  });
});

it.each([
  ['north', 'north'],
  ['007', '007'],
  ['8', '"8"'],
  [8, '8'],
  [[1, 2], '[1,2]'],
  [null, 'null']
])('the value %j is typed as %s, and read back', (value, text) => {
  expect(parameterText(value)).toBe(text);
  expect(parameterValue(text)).toEqual(value);
});

it('puts the server’s errors at the fields of the form', () => {
  expect(
    formErrors({
      local_queue: 'there is no queue x',
      'resources.gpus': 'is too much',
      'parameters.lr': 'must be a valid variable name',
      max_retries: 'must be a whole number'
    })
  ).toEqual({
    queue: 'there is no queue x',
    gpus: 'is too much',
    parameters: 'lr: must be a valid variable name',
    '': 'must be a whole number'
  });
});
