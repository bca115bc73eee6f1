/** jupyter-scheduler's create form, as its command `scheduling:restore-layout` takes it. */
import { PathExt } from '@jupyterlab/coreutils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IRequest } from '../wire';
import type { AmountField } from './amounts';
import { AMOUNTS } from './amounts';
import { draftOf } from './request-draft';

export const OPEN_FORM = 'scheduling:restore-layout';

const CREATE_FORM = 1;

/** Return the arguments of `OPEN_FORM` that open the form for a notebook, filled in as `like`. */
export function formFor(path: string, like?: IRequest): ReadonlyPartialJSONObject {
  const folder = path.includes(':') ? '' : PathExt.dirname(path);
  return {
    jobsView: CREATE_FORM,
    createJobModel: {
      key: Math.random(),
      jobName: like?.name ?? PathExt.basename(path, PathExt.extname(path)),
      inputFile: path,
      outputPath: folder === '' ? '' : `${folder}/`,
      environment: '',
      createType: 'Job',
      ...(like === undefined ? {} : filledIn(like)),
      // What its schedule begins with, should the user choose one.
      schedule: '0 0 * * MON-FRI',
      scheduleInterval: 'weekday',
      scheduleClock: '00:00',
      scheduleMinute: '0',
      scheduleMonthDay: '1',
      scheduleWeekDay: '1',
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone
    }
  };
}

function filledIn(request: IRequest): ReadonlyPartialJSONObject {
  const draft = draftOf(request);
  const { queue, profile, parameters, kernel } = draft;
  const asked = (field: AmountField) => String(request.resources?.[field] ?? '');
  const amounts = AMOUNTS.map(field => [field, draft[field] === '' ? '' : asked(field)] as const);
  const others = [
    ['queue', queue],
    ['timeout', String(request.timeout_seconds ?? '')],
    ['kernel', kernel]
  ] as const;
  const chosen = [...others, ...amounts].filter(([, value]) => value !== '');
  return {
    parameters: parameters.map(({ name, value }) => ({ name, value })),
    runtimeEnvironmentParameters: Object.fromEntries(chosen),
    ...(profile === '' ? {} : { computeType: profile })
  };
}
