/** The files of a run, each to be opened, copied or downloaded. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { copyIcon, downloadIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { byteSize } from '../models/words';
import type { FileKind, IFile } from '../wire';
import { IconButton } from './icon-button';

export interface IFileActions {
  readonly open: (path: string, kind: FileKind) => void;
  readonly copy: (path: string, kind: FileKind) => void;
  readonly download: (path: string, kind: FileKind) => void;
}

interface IFileListProps {
  readonly files: readonly IFile[];
  readonly inputs: readonly IFile[];
  readonly iconOf: (path: string) => LabIcon;
  readonly actions: IFileActions;
  readonly trans: TranslationBundle;
}

export function FileList(props: IFileListProps): React.JSX.Element {
  const { files, inputs, trans } = props;
  const groups: (readonly [FileKind, string, readonly IFile[]])[] = [
    ['files', trans.__('Results'), files],
    ['inputs', trans.__('Inputs'), inputs]
  ];
  return (
    <>
      {groups.map(
        ([kind, title, shown]) =>
          shown.length > 0 && (
            <section key={kind}>
              <h3 className="jp-Kueue-heading">{title}</h3>
              <ul className="jp-Kueue-files" aria-label={title}>
                {shown.map(file => (
                  <File key={file.path} {...props} kind={kind} file={file} />
                ))}
              </ul>
            </section>
          )
      )}
      {files.length === 0 && <p className="jp-Kueue-empty">{trans.__('No files yet.')}</p>}
    </>
  );
}

interface IFileProps extends IFileListProps {
  readonly kind: FileKind;
  readonly file: IFile;
}

function File(props: IFileProps): React.JSX.Element {
  const { kind, file, iconOf, actions, trans } = props;
  const icon = iconOf(file.path);
  return (
    <li className="jp-Kueue-file" data-kind={kind} data-path={file.path}>
      <icon.react tag="span" height="16px" width="16px" />
      <button
        type="button"
        className="jp-Kueue-link"
        title={file.path}
        onClick={() => actions.open(file.path, kind)}
      >
        {file.path}
      </button>
      <span className="jp-Kueue-note">{byteSize(file.size_bytes, trans)}</span>
      <IconButton
        icon={copyIcon}
        label={trans.__('Copy %1 to my files…', file.path)}
        onClick={() => actions.copy(file.path, kind)}
      />
      <IconButton
        icon={downloadIcon}
        label={trans.__('Download %1', file.path)}
        onClick={() => actions.download(file.path, kind)}
      />
    </li>
  );
}
