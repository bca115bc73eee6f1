/** The side panel: shows the model and turns clicks into commands. */
import type { TranslationBundle, ITranslator } from '@jupyterlab/translation';
import { CommandToolbarButton, ReactWidget, SidePanel } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Panel as LuminoPanel } from '@lumino/widgets';
import React from 'react';

import type { IPanelActions } from '../components/panel';
import { Panel } from '../components/panel';
import type { INotice } from '../models/notices';
import { noticesOf } from '../models/notices';
import { staleSince } from '../models/connection';
import type { PanelState } from '../models/panel-state';
import type { StockBackendModel } from '../models/stock-backend';
import type { IRunsModel } from '../tokens';
import { CommandIDs } from '../tokens';
import { kueueIcon } from './icon';
import { execute } from './reporting';

export interface IKueuePanelOptions {
  readonly model: IRunsModel;
  readonly state: PanelState;
  readonly stockBackend: StockBackendModel;
  readonly commands: CommandRegistry;
  readonly translator: ITranslator;
}

export class KueuePanel extends SidePanel {
  constructor(options: IKueuePanelOptions) {
    const { model, commands, translator } = options;
    super({ content: new LuminoPanel(), translator });
    const trans = translator.load('jupyter_kueue');
    this.id = 'jp-kueue-panel';
    this.addClass('jp-Kueue');
    this.title.icon = kueueIcon;
    this.title.caption = trans.__('Kueue: queues and my runs');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Queues and my runs'));
    this.toolbar.node.setAttribute('aria-label', trans.__('Kueue'));
    for (const [name, id] of [
      ['submit', CommandIDs.submit],
      ['refresh', CommandIDs.refresh]
    ] as const) {
      this.toolbar.addItem(name, new CommandToolbarButton({ commands, id, label: '' }));
    }
    this._model = model;
    this.addWidget(new Lists(options, trans));
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

  private readonly _model: IRunsModel;
  private _observation: IDisposable | null = null;
}

/** Draws what the models hold, whenever one of them changes. */
class Lists extends ReactWidget {
  constructor(
    private readonly _options: IKueuePanelOptions,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-Kueue-content');
    const { model, state, stockBackend } = this._options;
    for (const { changed } of [model, model.progress, state, stockBackend]) {
      changed.connect(this._onChange, this);
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      Signal.disconnectReceiver(this);
      super.dispose();
    }
  }

  protected override render(): React.JSX.Element {
    const { model, state } = this._options;
    return (
      <Panel
        isLoaded={model.isLoaded}
        isInterrupted={model.interruption !== null}
        notices={this._notices}
        queues={model.queues}
        defaultQueue={model.defaultQueue}
        staging={model.staging}
        all={model.groups}
        shown={state.groups}
        filter={state.filter}
        filterProblem={state.filterProblem}
        isFolded={section => state.isFolded(section)}
        olderCount={model.olderCount}
        selection={state.selection}
        progressOf={runId => model.progress.of(runId)}
        staleSince={staleSince(model)}
        scheduleName={scheduleId => model.scheduleName(scheduleId)}
        actions={this._actions}
        trans={this._trans}
      />
    );
  }

  private get _notices(): readonly INotice[] {
    const { model, state, stockBackend } = this._options;
    return noticesOf(
      {
        interruption: model.interruption,
        problems: model.problems,
        isLoaded: model.isLoaded,
        dismissed: state.dismissed,
        stockBackend: stockBackend.notice
      },
      this._trans
    );
  }

  private _onChange(): void {
    this.update();
  }

  private _act({ action }: INotice): void {
    const { commands, model, state } = this._options;
    switch (action) {
      case 'retry':
        execute(commands, CommandIDs.refresh);
        break;
      case 'dismiss':
        state.dismiss(
          model.problems.filter(({ severity }) => severity === 'warning').map(({ what }) => what)
        );
        break;
      case 'forget-stock-backend':
        execute(commands, CommandIDs.dismissStockBackend);
        break;
      case null:
        break;
    }
  }

  // One object for the widget's life: rows are drawn anew only when their own run changed.
  private readonly _actions: IPanelActions = {
    act: notice => this._act(notice),
    submit: () => execute(this._options.commands, CommandIDs.submit),
    listOlder: () => execute(this._options.commands, CommandIDs.listOlderRuns),
    openOutput: runId =>
      execute(this._options.commands, CommandIDs.openOutput, { run_id: runId, explain: true }),
    rerun: runId => execute(this._options.commands, CommandIDs.rerunRuns, { run_id: runId }),
    stop: runId => execute(this._options.commands, CommandIDs.stopRuns, { run_id: runId }),
    click: (runId, event) =>
      this._options.state.select(runId, {
        toggle: event.ctrlKey || event.metaKey,
        range: event.shiftKey
      }),
    meanInMenu: runId => this._options.state.include(runId),
    select: (runId, keys) => this._options.state.select(runId, keys),
    selectAll: () => this._options.state.selectAll(),
    clearSelection: () => this._options.state.clearSelection(),
    fold: (section, isFolded) => this._options.state.fold(section, isFolded),
    filter: query => {
      this._options.state.filter = query;
    }
  };
}
