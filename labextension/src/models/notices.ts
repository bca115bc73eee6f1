/** What the panel says above its lists: one line each, with details for whoever wants them. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IProblem, IStockBackend } from '../wire';
import type { IInterruption } from './connection';
import { errorOf, translated } from './sentences';
import { moment, reasonOf, sentences } from './words';

export interface INotice {
  readonly key: string;
  readonly severity: 'error' | 'warning' | 'hint';
  readonly line: string;
  readonly details: readonly string[];
  /** What can be done about it here. */
  readonly action: 'retry' | 'dismiss' | 'forget-stock-backend' | null;
}

export interface INoticeSources {
  readonly interruption: IInterruption | null;
  readonly problems: readonly IProblem[];
  /** Whether there is something to be seen that may be out of date. */
  readonly isLoaded: boolean;
  /** What the user has read and does not want to be told again. */
  readonly dismissed: ReadonlySet<string>;
  readonly stockBackend: IStockBackend | null;
}

const OUTAGES: readonly string[] = ['cluster-unavailable', 'bucket-unavailable', 'unavailable'];

/** Return what is to be said, the worst first. One cause is told once. */
export function noticesOf(
  { interruption, problems, isLoaded, dismissed, stockBackend }: INoticeSources,
  trans: TranslationBundle
): readonly INotice[] {
  const notices: INotice[] = [];
  const errors = problems.filter(problem => problem.severity === 'error');
  const outage = interruption === null ? null : outageOf(interruption, errors, isLoaded, trans);
  const told = new Set([outage?.line, ...(outage?.details ?? [])]);
  const others = errors.filter(problem => !told.has(whatOf(problem, trans)));
  // Of all that does not answer, one line is enough: a cluster that is down often has its bucket
  // down with it, and for both there is nothing to do but to wait or to try again.
  const alsoOut = outage === null ? [] : others.filter(isOutage);
  if (outage !== null) {
    const details = alsoOut.flatMap(problem => inWords(problem, trans));
    notices.push({ ...outage, details: [...new Set([...outage.details, ...details])] });
  }
  for (const problem of others.filter(other => !alsoOut.includes(other))) {
    notices.push(problemNotice(problem, trans));
  }
  const hint = hintOf(
    problems.filter(({ severity, what }) => severity === 'warning' && !dismissed.has(what)),
    trans
  );
  if (hint !== null) {
    notices.push(hint);
  }
  if (stockBackend !== null) {
    notices.push(stockBackendNotice(stockBackend, trans));
  }
  return notices;
}

function outageOf(
  { error, since }: IInterruption,
  errors: readonly IProblem[],
  isLoaded: boolean,
  trans: TranslationBundle
): INotice {
  const same = errors.filter(
    problem => problem.reason === error.reason || problem.what === error.message
  );
  const at = moment(since.toISOString(), new Date());
  const who =
    error.reason === 'offline'
      ? trans.__('The Jupyter server has been unreachable since %1.', at)
      : error.reason === 'cluster-unavailable'
        ? trans.__('The cluster has been unreachable since %1.', at)
        : error.reason === 'bucket-unavailable'
          ? trans.__('The storage bucket has been unavailable since %1.', at)
          : null;
  if (who === null) {
    const line = reasonOf(error, trans);
    return {
      key: 'interruption',
      severity: 'error',
      line,
      details: same.flatMap(problem => inWords(problem, trans)).filter(text => text !== line),
      action: 'retry'
    };
  }
  const details = same.flatMap(problem => inWords(problem, trans));
  return {
    key: 'interruption',
    severity: 'error',
    line: sentences(
      who,
      isLoaded ? trans.__('The list shows the state at that time.') : null,
      trans.__('Retrying.')
    ),
    details: details.length > 0 ? details : [errorOf(error, trans)].filter(text => text !== ''),
    action: 'retry'
  };
}

function isOutage({ reason }: IProblem): boolean {
  return reason != null && OUTAGES.includes(reason);
}

/** Return what is wrong, and what to do. */
function inWords(problem: IProblem, trans: TranslationBundle): [string, string] {
  return [whatOf(problem, trans), translated(problem.fix, problem.fix_sentence, trans)];
}

function whatOf({ what, what_sentence }: IProblem, trans: TranslationBundle): string {
  return translated(what, what_sentence, trans);
}

function problemNotice(problem: IProblem, trans: TranslationBundle): INotice {
  const { reason } = problem;
  const [what, fix] = inWords(problem, trans);
  const isOut = isOutage(problem);
  const line =
    reason === 'bucket-unavailable'
      ? trans.__(
          'The storage bucket does not answer: runs can’t be submitted, results can’t be opened.'
        )
      : reason === 'cluster-unavailable'
        ? trans.__('The cluster does not answer: runs can’t be submitted, stopped or deleted.')
        : what;
  return {
    key: problem.what,
    severity: 'error',
    line: isOut ? sentences(line, trans.__('Retrying.')) : line,
    details: isOut ? [what, fix] : [fix],
    action: isOut ? 'retry' : null
  };
}

/** What is merely worth knowing is one line, however much it is. */
function hintOf(problems: readonly IProblem[], trans: TranslationBundle): INotice | null {
  const [first] = problems;
  if (first === undefined) {
    return null;
  }
  const [line, fix] = inWords(first, trans);
  return problems.length === 1
    ? { key: 'hint', severity: 'hint', line, details: [fix], action: 'dismiss' }
    : {
        key: 'hint',
        severity: 'hint',
        line: trans._n(
          '%1 thing is not set up completely; runs work without it.',
          '%1 things are not set up completely; runs work without them.',
          problems.length
        ),
        details: problems.map(problem => sentences(...inWords(problem, trans))),
        action: 'dismiss'
      };
}

function stockBackendNotice(stockBackend: IStockBackend, trans: TranslationBundle): INotice {
  const { problem, problem_sentence } = stockBackend;
  return {
    key: 'stock-backend',
    severity: 'hint',
    line:
      problem === null
        ? whatIsLeft(stockBackend, trans)
        : translated(problem, problem_sentence, trans),
    details:
      problem === null
        ? [trans.__('To bring them over, run “jupyter kueue import” in a terminal.')]
        : [],
    action: 'forget-stock-backend'
  };
}

function whatIsLeft({ jobs, schedules }: IStockBackend, trans: TranslationBundle): string {
  const counted = [
    jobs > 0 && trans._n('%1 job', '%1 jobs', jobs),
    schedules > 0 && trans._n('%1 job definition', '%1 job definitions', schedules)
  ].filter(text => text !== false);
  const what = counted.length > 1 ? trans.__('%1 and %2', ...counted) : counted[0];
  return trans.__('jupyter-scheduler’s own backend has %1 that you do not see here.', what);
}
