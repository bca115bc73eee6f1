/** The files of a run, each to be opened, copied or downloaded. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { copyIcon, downloadIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { fileSize } from '../models/words';
import type { IFile } from '../wire';

export interface IFileActions {
  readonly open: (path: string) => void;
  readonly copy: (path: string) => void;
  readonly download: (path: string) => void;
}

interface IFileListProps {
  readonly files: readonly IFile[];
  readonly iconOf: (path: string) => LabIcon;
  readonly actions: IFileActions;
  readonly trans: TranslationBundle;
}

export function FileList(props: IFileListProps): React.JSX.Element {
  const { files, trans } = props;
  const groups: (readonly [string, readonly IFile[]])[] = [
    [trans.__('Results'), files.filter(file => file.role !== 'input')],
    [trans.__('Inputs'), files.filter(file => file.role === 'input')]
  ];
  return (
    <>
      {groups.map(
        ([title, shown]) =>
          shown.length > 0 && (
            <section key={title}>
              <h3 className="jp-Kueue-heading">{title}</h3>
              <ul className="jp-Kueue-files" aria-label={title}>
                {shown.map(file => (
                  <File key={file.path} {...props} file={file} />
                ))}
              </ul>
            </section>
          )
      )}
      {files.length === 0 && <p className="jp-Kueue-empty">{trans.__('No files yet.')}</p>}
    </>
  );
}

function File(props: IFileListProps & { readonly file: IFile }): React.JSX.Element {
  const { file, iconOf, actions, trans } = props;
  const icon = iconOf(file.path);
  return (
    <li className="jp-Kueue-file" data-path={file.path}>
      <icon.react tag="span" height="16px" width="16px" />
      <button
        type="button"
        className="jp-Kueue-link"
        title={file.path}
        onClick={() => actions.open(file.path)}
      >
        {file.path}
      </button>
      <span className="jp-Kueue-note">{fileSize(file.size_bytes, trans)}</span>
      <FileAction
        icon={copyIcon}
        label={trans.__('Copy %1 to my files…', file.path)}
        onClick={() => actions.copy(file.path)}
      />
      <FileAction
        icon={downloadIcon}
        label={trans.__('Download %1', file.path)}
        onClick={() => actions.download(file.path)}
      />
    </li>
  );
}

interface IFileActionProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly onClick: () => void;
}

function FileAction({ icon, label, onClick }: IFileActionProps): React.JSX.Element {
  return (
    <button
      type="button"
      className="jp-Kueue-action"
      title={label}
      aria-label={label}
      onClick={onClick}
    >
      <icon.react tag="span" height="16px" width="16px" />
    </button>
  );
}
