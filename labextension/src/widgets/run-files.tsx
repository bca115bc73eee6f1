/** A tab with the files of a run. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import { fileIcon, ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { ServerConnection } from '@jupyterlab/services';
import React from 'react';

import type { IFileActions } from '../components/file-list';
import { FileList } from '../components/file-list';
import * as api from '../api';
import type { IJob } from '../wire';
import { known } from '../models/connection';
import { Reader } from '../models/reader';
import { reasonOf } from '../models/words';
import type { IJobsModel } from '../tokens';

export interface IRunFilesOptions {
  readonly jobId: string;
  readonly model: IJobsModel;
  readonly serverSettings: ServerConnection.ISettings;
  readonly registry: DocumentRegistry;
  readonly actions: IFileActions;
  readonly trans: TranslationBundle;
}

export class RunFiles extends ReactWidget {
  constructor(options: IRunFilesOptions) {
    super();
    this._options = options;
    this.addClass('jp-Kueue-runFiles');
    this._job = new Reader<IJob>({
      name: 'jupyter-kueue:files',
      read: () => api.getJob(options.serverSettings, options.jobId)
    });
    this._state = options.model.job(options.jobId)?.state;
    options.model.changed.connect(this._onJobs, this);
    void this._job.refresh();
  }

  get jobId(): string {
    return this._options.jobId;
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._options.model.changed.disconnect(this._onJobs, this);
      this._job.dispose();
      super.dispose();
    }
  }

  protected override render(): React.JSX.Element {
    return <UseSignal signal={this._job.changed}>{() => this._renderFiles()}</UseSignal>;
  }

  private _renderFiles(): React.JSX.Element {
    const { registry, actions, trans } = this._options;
    const { reading } = this._job;
    const job = known(reading);
    if (job === null) {
      return (
        <p className="jp-Kueue-empty">
          {reading.kind === 'failed'
            ? reasonOf(reading.error, trans)
            : trans.__('Reading the files…')}
        </p>
      );
    }
    return (
      <FileList
        files={job.files}
        inputs={job.inputs}
        iconOf={path => registry.getFileTypesForPath(path)[0]?.icon ?? fileIcon}
        actions={actions}
        trans={trans}
      />
    );
  }

  /** A run that ends has other files than one that goes on. */
  private _onJobs(): void {
    const state = this._options.model.job(this.jobId)?.state;
    if (state !== undefined && state !== this._state) {
      this._state = state;
      void this._job.refresh();
    }
  }

  private readonly _options: IRunFilesOptions;
  private readonly _job: Reader<IJob>;
  private _state: string | undefined;
}
