/** The side panel: shows the model and turns clicks into commands. */
import type { TranslationBundle, ITranslator } from '@jupyterlab/translation';
import {
  CommandToolbarButton,
  LabIcon,
  ReactWidget,
  SidePanel,
  UseSignal
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Panel as LuminoPanel } from '@lumino/widgets';
import React from 'react';

import type { IJobActions } from '../components/job-row';
import { Panel } from '../components/panel';
import type { JobsModel } from '../models/jobs';
import type { ISelection } from '../models/selection';
import { NOTHING_SELECTED, select } from '../models/selection';
import type { StockBackendModel } from '../models/stock-backend';
import { CommandIDs } from '../tokens';

const kueueIcon = new LabIcon({
  name: 'jupyter-kueue:queue',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">
  <g class="jp-icon3" fill="#616161"><path d="M2 3h12v2H2zM2 7h12v2H2zM2 11h7v2H2zM11 10l4 2-4 2z"/></g>
</svg>`
});

export interface IKueuePanelOptions {
  readonly model: JobsModel;
  readonly stockBackend: StockBackendModel;
  readonly commands: CommandRegistry;
  readonly translator: ITranslator;
}

export class KueuePanel extends SidePanel {
  constructor({ model, stockBackend, commands, translator }: IKueuePanelOptions) {
    super({ content: new LuminoPanel(), translator });
    const trans = translator.load('jupyter_kueue');
    this.id = 'jp-kueue-panel';
    this.addClass('jp-Kueue');
    this.title.icon = kueueIcon;
    this.title.caption = trans.__('Kueue: queues and my runs');
    this.toolbar.node.setAttribute('aria-label', trans.__('Kueue'));
    this.toolbar.addItem(
      'refresh',
      new CommandToolbarButton({ commands, id: CommandIDs.refresh, label: '' })
    );
    this._model = model;
    this._lists = new Lists(model, stockBackend, commands, trans);
    this.addWidget(this._lists);
  }

  /** The runs that are selected. */
  get selectedJobIds(): readonly string[] {
    return [...this._lists.selection.jobIds];
  }

  override dispose(): void {
    this._observation?.dispose();
    super.dispose();
  }

  /** What nobody sees is not kept true. */
  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._observeWhileVisible();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._observeWhileVisible();
  }

  /** A panel that was open before a reload is attached as visible, and never shown. */
  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._observeWhileVisible();
  }

  private _observeWhileVisible(): void {
    if (this.isVisible) {
      this._observation ??= this._model.observe();
    } else {
      this._observation?.dispose();
      this._observation = null;
    }
  }

  private readonly _model: JobsModel;
  private readonly _lists: Lists;
  private _observation: IDisposable | null = null;
}

class Lists extends ReactWidget {
  constructor(
    model: JobsModel,
    stockBackend: StockBackendModel,
    commands: CommandRegistry,
    trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-Kueue-content');
    this._model = model;
    this._stockBackend = stockBackend;
    this._commands = commands;
    this._trans = trans;
  }

  get selection(): ISelection {
    return this._selection;
  }

  protected override render(): React.JSX.Element {
    const model = this._model;
    return (
      <UseSignal signal={model.changed}>
        {() => (
          <UseSignal signal={this._selectionChanged}>
            {() => (
              <UseSignal signal={this._stockBackend.changed}>
                {() => (
                  <Panel
                    isLoaded={model.isLoaded}
                    interruption={model.interruption}
                    problems={model.problems}
                    stockBackend={this._stockBackend.notice}
                    queues={model.queues}
                    groups={model.groups}
                    olderCount={model.olderCount}
                    selection={this._selection}
                    actions={this._actions}
                    onRetry={this._onRetry}
                    onListOlder={this._onListOlder}
                    onDismissStockBackend={this._onDismissStockBackend}
                    trans={this._trans}
                  />
                )}
              </UseSignal>
            )}
          </UseSignal>
        )}
      </UseSignal>
    );
  }

  private _select(jobId: string, toggle: boolean, range: boolean): void {
    const { waiting, running, finished } = this._model.groups;
    const shown = [...waiting, ...running, ...finished].map(job => job.job_id);
    this._selection = select(this._selection, jobId, { toggle, range }, shown);
    this._selectionChanged.emit();
  }

  /** A selected run stands for all that are selected. */
  private _meant(jobId: string): string[] {
    const { jobIds } = this._selection;
    return jobIds.has(jobId) ? [...jobIds] : [jobId];
  }

  // One object for the widget's life: rows are drawn anew only when their own run changed.
  private readonly _actions: IJobActions = {
    openOutput: jobId => void this._commands.execute(CommandIDs.openOutput, { job_id: jobId }),
    stop: jobId => void this._commands.execute(CommandIDs.stopJobs, { job_ids: [jobId] }),
    delete: jobId =>
      void this._commands.execute(CommandIDs.deleteJobs, { job_ids: this._meant(jobId) }),
    click: (jobId, event) => this._select(jobId, event.ctrlKey || event.metaKey, event.shiftKey)
  };

  private readonly _onRetry = () => void this._commands.execute(CommandIDs.refresh);
  private readonly _onListOlder = () => void this._commands.execute(CommandIDs.listOlderJobs);
  private readonly _onDismissStockBackend = () =>
    void this._commands.execute(CommandIDs.dismissStockBackend);
  private readonly _model: JobsModel;
  private readonly _stockBackend: StockBackendModel;
  private readonly _commands: CommandRegistry;
  private readonly _trans: TranslationBundle;
  private readonly _selectionChanged = new Signal<this, void>(this);
  private _selection: ISelection = NOTHING_SELECTED;
}
