/**
 * The dialog for the values of a run, or of a schedule's runs; open until the server accepts them.
 */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { RequestFields } from '../components/request-fields';
import type { IRequestDraft } from '../models/request-draft';
import { changesOf, draftErrors, draftOf, formErrors } from '../models/request-draft';
import { fieldsOf } from '../models/sentences';
import { reasonOf } from '../models/words';
import type { FieldErrors } from '../request';
import { RequestError } from '../request';
import type { IEnvironment, ILocalQueue, IProfile, IRequest, RequestChanges } from '../wire';

export interface IRequestDialogOptions<T> {
  readonly title: string;
  readonly accept: string;
  /** A sentence about what else happens. */
  readonly note?: string | undefined;
  readonly request: IRequest;
  readonly queues: readonly ILocalQueue[];
  readonly defaultQueue: string | null;
  readonly profiles: readonly IProfile[];
  readonly environments: readonly IEnvironment[];
  readonly send: (changes: RequestChanges) => Promise<T>;
  readonly trans: TranslationBundle;
}

/** Return the result of `send` with the changes; null if the user cancels. */
export async function showRequestDialog<T>(options: IRequestDialogOptions<T>): Promise<T | null> {
  const { title, accept, request, send, trans } = options;
  let draft = draftOf(request);
  let errors: FieldErrors = {};
  for (;;) {
    const body = new RequestForm(options, draft, errors);
    const { button, value } = await showDialog({
      title,
      body,
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: accept })
      ]
    });
    if (!button.accept || value === null) {
      return null;
    }
    draft = value;
    errors = draftErrors(draft, trans);
    if (Object.keys(errors).length === 0) {
      try {
        return await send(changesOf(draft, request));
      } catch (error) {
        errors = errorsOf(error, trans);
      }
    }
  }
}

function errorsOf(error: unknown, trans: TranslationBundle): FieldErrors {
  const fields = error instanceof RequestError ? formErrors(fieldsOf(error, trans)) : {};
  return Object.keys(fields).length > 0 ? fields : { '': reasonOf(error, trans) };
}

class RequestForm extends ReactWidget implements Dialog.IBodyWidget<IRequestDraft> {
  constructor(
    private readonly _options: Omit<IRequestDialogOptions<unknown>, 'send'>,
    private _draft: IRequestDraft,
    private _errors: FieldErrors
  ) {
    super();
    this.addClass('jp-Kueue-form');
  }

  getValue(): IRequestDraft {
    return this._draft;
  }

  protected override render(): React.JSX.Element {
    const { note, queues, defaultQueue, profiles, environments, trans } = this._options;
    return (
      <RequestFields
        draft={this._draft}
        errors={this._errors}
        note={note}
        queues={queues}
        defaultQueue={defaultQueue}
        profiles={profiles}
        environments={environments}
        trans={trans}
        onChange={draft => {
          this._errors = withoutChanged(this._errors, this._draft, draft);
          this._draft = draft;
          this.update();
        }}
      />
    );
  }
}

/** Return the errors except those of fields that have changed since. */
function withoutChanged(
  errors: FieldErrors,
  before: IRequestDraft,
  draft: IRequestDraft
): FieldErrors {
  const isSame = (field: string) =>
    before[field as keyof IRequestDraft] === draft[field as keyof IRequestDraft];
  return Object.fromEntries(Object.entries(errors).filter(([field]) => isSame(field)));
}
