import { formFor } from '../src/models/upstream-form';

it('opens jupyter-scheduler’s form for a notebook', () => {
  expect(formFor('reports/weekly.ipynb')).toMatchObject({
    jobsView: 1,
    createJobModel: {
      jobName: 'weekly',
      inputFile: 'reports/weekly.ipynb',
      outputPath: 'reports/',
      createType: 'Job'
    }
  });
});

it('fills it in as the run was of a result', () => {
  const like = {
    name: 'north',
    input_path: 'weekly.ipynb',
    local_queue: 'team-b',
    profile: null,
    resources: { cpu: '500m', memory: '1Gi', gpus: 0 },
    timeout_seconds: 5400,
    kernel_name: 'ir',
    parameters: { region: 'north', weeks: 7 }
  };
  const { createJobModel } = formFor('kueue:1/weekly.ipynb', like);
  expect(createJobModel).toMatchObject({
    jobName: 'north',
    inputFile: 'kueue:1/weekly.ipynb',
    outputPath: '',
    parameters: [
      { name: 'region', value: 'north' },
      { name: 'weeks', value: '7' }
    ],
    runtimeEnvironmentParameters: {
      queue: 'team-b',
      timeout: '5400',
      kernel: 'ir',
      cpu: '500m',
      memory: '1Gi'
    }
  });
});
