import { nullTranslator } from '@jupyterlab/translation';

import { refusalOf } from '../src/models/refusal';

const trans = nullTranslator.load('jupyter_kueue');

it('calls fields as the form calls them', () => {
  const refusal = refusalOf(
    'input_uri: a.ipynb is not a notebook; open it: with an editor; gpus: must be at most 1024',
    trans
  );
  expect(refusal).toEqual({
    fields: { gpus: 'must be at most 1024' },
    message:
      'Input file: a.ipynb is not a notebook; open it: with an editor; GPUs: must be at most 1024'
  });
});

it('names the parameter that is wrong', () => {
  expect(refusalOf('parameters.start date: holds a space', trans)).toBeNull();
  expect(refusalOf('parameters.class: is a keyword', trans)?.message).toBe(
    'Parameters class: is a keyword'
  );
});

it('leaves an answer alone that names no field', () => {
  expect(refusalOf('The cluster does not answer: try again.', trans)).toBeNull();
});
