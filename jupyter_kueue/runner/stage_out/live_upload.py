"""Uploads of progress, partial notebook, log and checkpoints while a run is running.

Only changes are uploaded, and nothing once a newer attempt has taken over. A notebook's code can
write all of these files: see ``storage.untrusted_folder`` and ``reports``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.stage_out import reports
from jupyter_kueue.runner.staging import workspace
from jupyter_kueue.storage import object_names
from jupyter_kueue.storage.bucket import encode_json
from jupyter_kueue.storage.untrusted_folder import RefusedFileError, UntrustedFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    from jupyter_kueue.runner.shared import control
    from jupyter_kueue.runner.stage_out.kept_log import KeptLog
    from jupyter_kueue.runner.staging.attempt import Attempt

# A file that changed more recently may still be being written.
SETTLED_SECONDS = 2.0
# A larger notebook is uploaded only at the end; of a longer log, only its end until then.
MAX_NOTEBOOK_BYTES = 256 * 2**20
MAX_LOG_BYTES = 128 * 2**20


class Live:
    """The live files of one attempt and which of them are already uploaded.

    ``say`` is called with a sentence about what is not uploaded.
    """

    def __init__(
        self,
        attempt: Attempt,
        folder: Path,
        checkpoints: Path,
        staged: dict[str, workspace.Signature],
        log: KeptLog,
        say: Callable[[str], None],
    ) -> None:
        self._attempt = attempt
        self._folder = folder
        self._checkpoints = checkpoints
        self._kept = dict(staged)
        self._log = log
        self._say = say
        self._limits = workspace.Limits.from_environment()
        self._sent: dict[str, Any] = {}

    async def upload(self) -> None:
        """Upload progress, notebook and log if they have changed.

        Raises:
            SupersededError: a newer attempt has taken over.
        """
        progress = reports.read_progress(self._folder)
        with contextlib.ExitStack() as stack:
            notebook = stack.enter_context(self._opened_notebook())
            log = stack.enter_context(self._log.opened())
            changed = [
                (key, content, signature)
                for key, content, signature in (
                    (pod_contract.LIVE_PROGRESS_KEY, progress, progress),
                    (pod_contract.LIVE_NOTEBOOK_KEY, notebook, _signature(notebook)),
                    (pod_contract.LIVE_LOG_KEY, log, _signature(log)),
                )
                if content is not None and self._sent.get(key) != signature
            ]
            if not changed:
                return
            await self._attempt.ensure_current()
            for key, content, signature in changed:
                await self._put(key, content)
                self._sent[key] = signature

    async def _put(self, key: str, content: control.Json | IO[bytes]) -> None:
        bucket, where = self._attempt.bucket, self._attempt.prefix + key
        metadata = {"pod_uid": self._attempt.uid}
        if isinstance(content, dict):
            await bucket.put_bytes(
                where, encode_json(content), content_type="application/json", metadata=metadata
            )
        elif key == pod_contract.LIVE_LOG_KEY:
            await bucket.put_file(
                where,
                content,
                content_type="text/plain; charset=utf-8",
                metadata=metadata,
                last_bytes=MAX_LOG_BYTES,
            )
        else:
            await bucket.put_file(
                where, content, content_type="application/x-ipynb+json", metadata=metadata
            )

    @contextlib.contextmanager
    def _opened_notebook(self) -> Any:
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(UntrustedFolder(self._folder))
                file = folder.open_file(pod_contract.NOTEBOOK_FILE, max_bytes=MAX_NOTEBOOK_BYTES)
            except FileNotFoundError:
                yield None
                return
            except OSError as error:
                name = pod_contract.NOTEBOOK_FILE
                self._say(f"The notebook so far is not shown: {name} {error.strerror}.")
                yield None
                return
            yield stack.enter_context(file)

    async def upload_checkpoints(self, *, all_of_them: bool = False) -> None:
        """Make the bucket's checkpoints equal to the folder's, deletions included.

        Args:
            all_of_them: include files that have just changed, because there is no later chance.
        """
        left_out = workspace.LeftOut()
        with UntrustedFolder(self._checkpoints) as folder:
            now = await asyncio.to_thread(workspace.take, folder, {}, self._limits, left_out)
            newest = time.time_ns() - int(SETTLED_SECONDS * 1e9)
            new = [
                file
                for path, file in now.items()
                if self._kept.get(path) != workspace.signature(file)
                and (all_of_them or file.mtime_ns <= newest)
                and not object_names.UNFIT.search(path)
            ]
            gone = await asyncio.to_thread(_gone, folder, [p for p in self._kept if p not in now])
            if left_out:
                self._say(f"Some checkpoints are not kept: {_shown(left_out)}")
            if not new and not gone:
                return
            await self._attempt.ensure_current()
            prefix = self._attempt.prefix + pod_contract.CHECKPOINTS_PREFIX
            await self._delete(_in_the_way(gone, [file.path for file in new]))
            for file in sorted(new, key=lambda file: file.mtime_ns):
                # Rotated away or replaced by the notebook: the next pass handles that.
                with contextlib.suppress(FileNotFoundError, RefusedFileError):
                    with folder.open_file(
                        file.real_path, max_bytes=self._limits.file_bytes
                    ) as opened:
                        await self._attempt.bucket.put_file(prefix + file.path, opened)
                    self._kept[file.path] = workspace.signature(file)
        # After the uploads, so that the bucket always has some.
        await self._delete([path for path in gone if path in self._kept])

    async def _delete(self, checkpoints: list[str]) -> None:
        prefix = self._attempt.prefix + pod_contract.CHECKPOINTS_PREFIX
        await self._attempt.bucket.delete([prefix + path for path in checkpoints])
        for path in checkpoints:
            del self._kept[path]


def _gone(folder: UntrustedFolder, paths: list[str]) -> list[str]:
    """Return the ``paths`` that have no file; a limited walk may have missed some files."""
    gone = []
    for path in paths:
        try:
            folder.open_file(path).close()
        except FileNotFoundError:
            gone.append(path)
        except RefusedFileError:  # it is now a folder or a special file
            gone.append(path)
        except OSError:  # it cannot be read, possibly only for now
            continue
    return gone


def _in_the_way(gone: list[str], new: list[str]) -> list[str]:
    """Return the ``gone`` paths that are folders of ``new`` ones or below a file in ``new``."""
    files = set(new)
    folders = {str(above) for path in new for above in PurePosixPath(path).parents}
    return [
        path
        for path in gone
        if path in folders or any(str(above) in files for above in PurePosixPath(path).parents)
    ]


def _signature(file: IO[bytes] | None) -> tuple[int, int, int] | None:
    if file is None:
        return None
    status = os.fstat(file.fileno())
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _shown(left_out: workspace.LeftOut) -> str:
    """Return the first few of what is left out, in one line."""
    items = list(left_out.all().items())
    shown = " ".join(f"{path!r}: {why}" for path, why in items[:SHOWN_AT_ONCE])
    return shown + (" …" if len(items) > SHOWN_AT_ONCE else "")


SHOWN_AT_ONCE = 3
