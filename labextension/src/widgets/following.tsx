/**
 * Updates an open notebook or log while its run is running, with a status bar above it.
 *
 * Only a visible document without the user's changes is updated.
 */
import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';
import type { INotebookContent } from '@jupyterlab/nbformat';
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { BoxPanel } from '@lumino/widgets';
import React from 'react';

import * as api from '../api';
import { Following } from '../components/following';
import { fileOf } from '../models/drive';
import { FollowedRun } from '../models/followed-run';
import { isNotebookModel, LiveNotebook } from '../models/live-notebook';
import { isText, updateText } from '../models/live-text';
import { plainLog } from '../models/log-text';
import { asContents } from '../models/notebook-contents';
import { followingText } from '../models/words';
import type { IRun, IRunFile } from '../wire';
import { FINISHED_STATES } from '../wire';
import { showResult } from './result';

/** The parts of Lab's documents that are used here. */
export interface IFollowedDocument extends IDocumentWidget {
  readonly contentHeader: BoxPanel;
}

export interface IFollowingBarOptions {
  readonly document: IFollowedDocument;
  readonly context: DocumentRegistry.Context;
  readonly file: IRunFile;
  readonly serverSettings: ServerConnection.ISettings;
  readonly trans: TranslationBundle;
}

/** Follow the run of a document that is ready. */
export function follow(options: IFollowingBarOptions): void {
  options.document.contentHeader.addWidget(new FollowingBar(options));
}

class FollowingBar extends ReactWidget {
  constructor(options: IFollowingBarOptions) {
    super();
    const { file, serverSettings, context } = options;
    this._options = options;
    this._notebook = isNotebookModel(context.model) ? new LiveNotebook(context.model) : null;
    this._run = new FollowedRun({
      serverSettings,
      runId: file.runId,
      update: run => this._bringUpToDate(run)
    });
    this._run.changed.connect(this._onChange, this);
    this.addClass('jp-Kueue-followingBar');
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._run.dispose();
      super.dispose();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._followWhileVisible();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._followWhileVisible();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._followWhileVisible();
  }

  protected override render(): React.JSX.Element {
    const { trans } = this._options;
    return (
      <Following
        text={followingText(this._run, this._isChangedByUser, trans)}
        hasResult={this._run.isFinished && this._notebook !== null && !this._isChangedByUser}
        onOpenResult={() => void this._openResult()}
        trans={trans}
      />
    );
  }

  private _followWhileVisible(): void {
    if (this.isVisible) {
      this._run.start();
    } else {
      this._run.stop();
    }
  }

  private _onChange(): void {
    if (this._isNeeded) {
      this.toggleClass('jp-mod-shown', this._run.run !== null || this._run.error !== null);
      this.parent?.fit();
      this.update();
    } else {
      this._close();
    }
  }

  private _close(): void {
    const { parent } = this;
    this.dispose();
    parent?.fit();
  }

  private async _openResult(): Promise<void> {
    const { document } = this._options;
    const { run } = this._run;
    this._close();
    if (run !== null) {
      await showResult(document, run);
    }
  }

  private async _bringUpToDate(run: IRun): Promise<void> {
    const { context, file } = this._options;
    const role = fileOf(run, file)?.role;
    // A document that is opened after the end needs no bar.
    const isResult = context.contentsModel?.last_modified === run.finished_at;
    const isLive = role === 'log' ? isText(context.model) : this._notebook !== null;
    this._isNeeded = isLive && (role === 'notebook' || role === 'log') && !isResult;
    if (!this._isNeeded) {
      return;
    }
    if (role === 'log') {
      await this._updateLog(run);
    } else {
      await this._updateNotebook(run);
    }
  }

  private async _updateNotebook(run: IRun): Promise<void> {
    const { context, document, serverSettings } = this._options;
    const version = this._notesChange()
      ? null
      : await api.readChangedNotebook(serverSettings, run.run_id, this._etag);
    if (this.isDisposed || this._notesChange()) {
      return;
    }
    if (version !== null) {
      this._etag = version.etag;
      const content = asContents(version.notebook) as INotebookContent;
      if (this._notebook?.update(content) !== true) {
        await keepingScroll(document, '.jp-WindowedPanel-outer', () => context.revert());
      }
    }
    const isRunning = run.state === 'running';
    this._notebook?.markRunning(isRunning ? (run.progress?.cell ?? null) : null);
    context.model.dirty = false;
  }

  private async _updateLog(run: IRun): Promise<void> {
    const { context, document, file, serverSettings } = this._options;
    if (this._notesChange()) {
      return;
    }
    const text = FINISHED_STATES.includes(run.state)
      ? await (await api.readFile(serverSettings, file)).text()
      : await api.readLog(serverSettings, run.run_id);
    const { model } = context;
    if (this.isDisposed || this._notesChange() || !isText(model)) {
      return;
    }
    const scroller = document.node.querySelector('.cm-scroller');
    const isAtEnd = scroller !== null && isScrolledToEnd(scroller);
    updateText(model, plainLog(text));
    model.dirty = false;
    if (isAtEnd) {
      requestAnimationFrame(() => scroller.scrollTo({ top: scroller.scrollHeight }));
    }
  }

  /** Return whether the user has changed the document: changes are never overwritten. */
  private _notesChange(): boolean {
    this._isChangedByUser = this._options.context.model.dirty;
    return this._isChangedByUser;
  }

  private readonly _options: IFollowingBarOptions;
  private readonly _run: FollowedRun;
  private readonly _notebook: LiveNotebook | null;
  private _etag: string | null = null;
  private _isNeeded = true;
  private _isChangedByUser = false;
}

async function keepingScroll(
  { node }: IFollowedDocument,
  selector: string,
  act: () => Promise<void>
): Promise<void> {
  const top = node.querySelector(selector)?.scrollTop ?? 0;
  await act();
  requestAnimationFrame(() => node.querySelector(selector)?.scrollTo({ top }));
}

function isScrolledToEnd({ scrollTop, clientHeight, scrollHeight }: Element): boolean {
  return scrollTop > 0 && scrollTop + clientHeight >= scrollHeight - 1;
}
