/** A tab with the files of a run. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import { fileIcon, ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { ServerConnection } from '@jupyterlab/services';
import React from 'react';

import type { IFileActions } from '../components/file-list';
import { FileList } from '../components/file-list';
import * as api from '../api';
import type { IRun } from '../wire';
import { known } from '../models/connection';
import { Reader } from '../models/reader';
import { reasonOf } from '../models/words';
import type { IRunsModel } from '../tokens';

export interface IRunFilesOptions {
  readonly runId: string;
  readonly model: IRunsModel;
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
    this._run = new Reader<IRun>({
      name: 'jupyter-kueue:files',
      read: () => api.getRun(options.serverSettings, options.runId)
    });
    this._state = options.model.run(options.runId)?.state;
    options.model.changed.connect(this._onRuns, this);
    void this._run.refresh();
  }

  get runId(): string {
    return this._options.runId;
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._options.model.changed.disconnect(this._onRuns, this);
      this._run.dispose();
      super.dispose();
    }
  }

  protected override render(): React.JSX.Element {
    return <UseSignal signal={this._run.changed}>{() => this._renderFiles()}</UseSignal>;
  }

  private _renderFiles(): React.JSX.Element {
    const { registry, actions, trans } = this._options;
    const { reading } = this._run;
    const run = known(reading);
    if (run === null) {
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
        files={run.files}
        inputs={run.inputs}
        iconOf={path => registry.getFileTypesForPath(path)[0]?.icon ?? fileIcon}
        actions={actions}
        trans={trans}
      />
    );
  }

  /** The files of a run change when it ends. */
  private _onRuns(): void {
    const state = this._options.model.run(this.runId)?.state;
    if (state !== undefined && state !== this._state) {
      this._state = state;
      void this._run.refresh();
    }
  }

  private readonly _options: IRunFilesOptions;
  private readonly _run: Reader<IRun>;
  private _state: string | undefined;
}
