"""A run's progress, notebook so far, log and checkpoints, brought to the bucket while it runs.

Called by ``stage_out``. Only what changed goes up, and nothing once a newer attempt has taken over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

from jupyter_kueue import contract
from jupyter_kueue.runner import control, workspace
from jupyter_kueue.storage.untrusted_folder import RefusedFileError, UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.runner.attempt import Attempt

# A checkpoint that changed more recently may still be being written.
SETTLED_SECONDS = 2.0

LIVE_FILES = (
    (contract.PROGRESS_FILE, contract.LIVE_PROGRESS_KEY, "application/json"),
    (contract.NOTEBOOK_FILE, contract.LIVE_NOTEBOOK_KEY, "application/x-ipynb+json"),
    (contract.LOG_FILE, contract.LIVE_LOG_KEY, "text/plain; charset=utf-8"),
)


class Live:
    """The live files of one attempt and what of them is up already."""

    def __init__(self, attempt: Attempt, folder: Path, checkpoints: Path) -> None:
        self._attempt = attempt
        self._folder = folder
        self._checkpoints = checkpoints
        self._sent: dict[str, tuple[int, int]] = {}
        self._kept: dict[str, workspace.Signature] = (
            control.read(folder / contract.STAGED_CHECKPOINTS_FILE) or {}
        )

    async def upload(self) -> None:
        """Upload progress, notebook and log, those of them that changed.

        Raises:
            SupersededError: a newer attempt has taken over.
        """
        with UntrustedFolder(self._folder) as folder, contextlib.ExitStack() as stack:
            changed = []
            for name, key, content_type in LIVE_FILES:
                with contextlib.suppress(FileNotFoundError):
                    file = stack.enter_context(folder.open_file(name))
                    status = os.fstat(file.fileno())
                    signature = (status.st_mtime_ns, status.st_size)
                    if self._sent.get(name) != signature:
                        changed.append((name, file, key, content_type, signature))
            if not changed:
                return
            await self._attempt.ensure_current()
            for name, file, key, content_type, signature in changed:
                await self._attempt.bucket.put_file(
                    self._attempt.prefix + key,
                    file,
                    content_type=content_type,
                    metadata={"pod_uid": self._attempt.uid},
                )
                self._sent[name] = signature

    async def upload_checkpoints(self, *, all_of_them: bool = False) -> None:
        """Make the bucket's checkpoints what the folder holds; deleted ones are deleted there too.

        Args:
            all_of_them: also those that changed a moment ago, because no later chance will come.
        """
        with UntrustedFolder(self._checkpoints) as folder:
            now = await asyncio.to_thread(workspace.files, folder)
            newest = time.time_ns() - int(SETTLED_SECONDS * 1e9)
            new = [
                file
                for path, file in now.items()
                if self._kept.get(path) != workspace.signature(file)
                and (all_of_them or file.mtime_ns <= newest)
                and not workspace.UNFIT.search(path)
            ]
            gone = [path for path in self._kept if path not in now]
            if not new and not gone:
                return
            await self._attempt.ensure_current()
            prefix = self._attempt.prefix + contract.CHECKPOINTS_PREFIX
            for file in sorted(new, key=lambda file: file.mtime_ns):
                # Rotated away or replaced by the notebook: the next look sees that.
                with contextlib.suppress(FileNotFoundError, RefusedFileError):
                    with folder.open_file(file.real_path) as opened:
                        await self._attempt.bucket.put_file(prefix + file.path, opened)
                    self._kept[file.path] = workspace.signature(file)
        # After the uploads, so that the bucket is never without any.
        await self._attempt.bucket.delete([prefix + path for path in gone])
        for path in gone:
            del self._kept[path]
