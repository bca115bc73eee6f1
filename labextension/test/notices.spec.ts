import { nullTranslator } from '@jupyterlab/translation';

import type { INoticeSources } from '../src/models/notices';
import { noticesOf } from '../src/models/notices';
import { RequestError } from '../src/request';

const trans = nullTranslator.load('jupyter_kueue');
const SINCE = new Date();
const AT = SINCE.toLocaleTimeString(undefined, { hour: 'numeric', minute: '2-digit' });
const ALL_WELL: INoticeSources = {
  interruption: null,
  problems: [],
  isLoaded: true,
  dismissed: new Set(),
  stockBackend: null
};

function lines(sources: Partial<INoticeSources>): readonly string[] {
  return noticesOf({ ...ALL_WELL, ...sources }, trans).map(notice => notice.line);
}

const CLUSTER_DOWN = {
  what: 'The Kubernetes API at https://127.0.0.1:1 does not answer (Connect call failed).',
  what_sentence: null,
  fix: 'Check that the cluster is up.',
  fix_sentence: null,
  severity: 'error',
  reason: 'cluster-unavailable'
} as const;
const RIGHT = {
  what: 'Not allowed: list clusterqueues',
  what_sentence: null,
  fix: 'Ask.',
  fix_sentence: null,
  severity: 'warning',
  reason: null
} as const;

describe('notices', () => {
  it('say nothing while all is well', () => {
    expect(lines({})).toEqual([]);
  });

  it('tell of a cluster that is down in one line, with the rest as details', () => {
    const error = new RequestError(503, 'cluster-unavailable', 'Try again in a moment.');
    const notices = noticesOf(
      { ...ALL_WELL, interruption: { error, since: SINCE }, problems: [CLUSTER_DOWN] },
      trans
    );
    expect(notices.map(({ line, action }) => [line, action])).toEqual([
      [
        `The cluster has been unreachable since ${AT}. The list shows the state at that time. Retrying.`,
        'retry'
      ]
    ]);
    expect(notices[0]?.details).toEqual([CLUSTER_DOWN.what, CLUSTER_DOWN.fix]);
  });

  it('tell in one line of a cluster that is away with its bucket', () => {
    const error = new RequestError(503, 'cluster-unavailable', 'Try again in a moment.');
    const bucket = { ...CLUSTER_DOWN, what: 'S3: timeout', reason: 'bucket-unavailable' };
    const [notice, ...others] = noticesOf(
      { ...ALL_WELL, interruption: { error, since: SINCE }, problems: [CLUSTER_DOWN, bucket] },
      trans
    );
    expect(others).toEqual([]);
    expect(notice?.details).toEqual([CLUSTER_DOWN.what, CLUSTER_DOWN.fix, bucket.what]);
  });

  it('tell of a server that does not answer', () => {
    const error = new RequestError(0, 'offline', 'Failed to fetch');
    expect(lines({ interruption: { error, since: SINCE }, isLoaded: false })).toEqual([
      `The Jupyter server has been unreachable since ${AT}. Retrying.`
    ]);
  });

  it('tell of a bucket that is away, though lists are answered', () => {
    const problem = { ...CLUSTER_DOWN, what: 'S3: timeout', reason: 'bucket-unavailable' };
    expect(lines({ problems: [problem] })).toEqual([
      'The storage bucket does not answer: runs can’t be submitted, results can’t be opened. Retrying.'
    ]);
  });

  it('tell of missing optional rights in one line, until it is dismissed', () => {
    const other = { ...RIGHT, what: 'Not allowed: list cohorts' };
    expect(lines({ problems: [RIGHT] })).toEqual([RIGHT.what]);
    expect(lines({ problems: [RIGHT, other] })).toEqual([
      '2 things are not set up completely; runs work without them.'
    ]);
    expect(lines({ problems: [RIGHT, other], dismissed: new Set([RIGHT.what]) })).toEqual([
      other.what
    ]);
    expect(lines({ problems: [RIGHT], dismissed: new Set([RIGHT.what]) })).toEqual([]);
  });

  it('tell what the stock backend has', () => {
    const stockBackend = {
      database: 'x',
      jobs: 2,
      schedules: 1,
      problem: null,
      problem_sentence: null
    };
    expect(lines({ stockBackend })).toEqual([
      'jupyter-scheduler’s own backend has 2 jobs and 1 job definition that you do not see here.'
    ]);
  });
});
