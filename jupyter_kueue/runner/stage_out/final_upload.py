"""The upload of a finished notebook's outputs: notebook, exports, files, log; result.json last.

After a failure, it can be repeated and continues where it stopped. result.json commits the outputs,
so it is written once, by the first attempt to do so.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import as_json, say
from jupyter_kueue.domain import errors
from jupyter_kueue.runner.shared import control
from jupyter_kueue.runner.stage_out import export_requests
from jupyter_kueue.runner.staging import workspace
from jupyter_kueue.storage import object_names
from jupyter_kueue.storage.bucket import encode_json
from jupyter_kueue.storage.file_marks import FileMarks
from jupyter_kueue.storage.untrusted_folder import RefusedFileError, UntrustedFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.runner.stage_out.kept_log import KeptLog
    from jupyter_kueue.runner.staging.attempt import Attempt
    from jupyter_kueue.storage.untrusted_folder import FoundFile

UPLOADS_AT_ONCE = 8
# No program opens larger notebooks.
MAX_NOTEBOOK_BYTES = 2 * 2**30
# What the log may hold besides printed output: the runner's own lines.
LOG_BEYOND_BYTES = 32 * 2**20
RESULT_VERSION = 1


class Source(NamedTuple):
    """Where to read one output: a path below a folder, without following links out of it.

    Without a folder, it is the log that ``kept_log`` keeps open.
    """

    folder: Path | None
    path: str
    role: str


@dataclass(frozen=True)
class Folders:
    """The folders of a run's outputs, and the files that existed before it began."""

    control: Path
    files: Path
    log: KeptLog
    staged: dict[str, workspace.Signature]


class Outputs:
    """The outputs of one attempt that ended as described in ``ended``."""

    def __init__(
        self, attempt: Attempt, folders: Folders, run: control.Json, ended: control.Json
    ) -> None:
        self._attempt = attempt
        self._folders = folders
        self._run = run
        self._ended = ended
        self._limits = workspace.Limits.from_environment()
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._stored: dict[str, dict[str, Any]] = {}  # by path below output/
        self._formats: dict[str, str] = {}  # of exported documents, by path below output/
        self._exports: export_requests.Exports | None = None
        self._plan: dict[str, Source] | None = None
        self._left_out = workspace.LeftOut()
        self._refused: set[str] = set()  # paths below output/ that are never uploaded
        self._bytes_left = self._limits.total_bytes

    async def commit(self) -> str | None:
        """Upload everything, then result.json. Repeatable; continues where it stopped.

        Returns:
            None, or the pod uid of the attempt that wrote result.json first.

        Raises:
            SupersededError: a newer attempt has taken over.
        """
        await self._attempt.ensure_current()
        name = self._run["notebook"]
        executed = Source(
            self._folders.control, pod_contract.NOTEBOOK_FILE, pod_contract.ROLE_NOTEBOOK
        )
        uids, _ = await asyncio.gather(self._attempt.uids(), self._store({name: executed}))
        if self._plan is None:
            exports = await self._export(name)
            self._plan = await asyncio.to_thread(self._planned, name, executed, exports)
        await self._store(self._plan)
        return await self._write_result([p for p in self._plan if p in self._stored], uids)

    async def _export(self, name: str) -> export_requests.Exports:
        exports = await export_requests.export(
            self._folders.control, PurePosixPath(name).name, self._run["output_formats"]
        )
        for output_format, problem in exports.errors.items():
            print(f"stage-out: {output_format}: {problem}", flush=True)
        self._exports = exports
        return exports

    def _planned(
        self, name: str, executed: Source, exports: export_requests.Exports
    ) -> dict[str, Source]:
        """Return the source of each output by its path below output/, in the result's order."""
        names = workspace.StoredNames()
        plan: dict[str, Source] = {}

        def add(path: str, source: Source) -> str | None:
            stored = names.take(path)
            if stored is None:
                self._left_out.add(path, workspace.TOO_LONG)
            else:
                plan[stored] = source
            return stored

        add(name, executed)
        beside = PurePosixPath(name).parent
        for path, made in exports.files.items():
            stored = add(
                (beside / path).as_posix(),
                Source(exports.folder, made, pod_contract.ROLE_EXPORT),
            )
            if stored is not None and path in exports.formats:
                self._formats[stored] = exports.formats[path]
        for path, file in self._changed().items():
            add(path, Source(self._folders.files, file.real_path, pod_contract.ROLE_SIDE_EFFECT))
        add(pod_contract.LOG_FILE, Source(None, pod_contract.LOG_FILE, pod_contract.ROLE_LOG))
        return plan

    def _changed(self) -> dict[str, FoundFile]:
        """Return the files that the notebook wrote, by path and in its order."""
        try:
            with UntrustedFolder(self._folders.files) as folder:
                found = workspace.take(folder, self._folders.staged, self._limits, self._left_out)
        except OSError as error:
            why = error.strerror or str(error)
            said = say(
                "run-folder-not-read", "The run's folder could not be read: it {why}.", why=why
            )
            self._left_out.add(".", said)
            return {}
        return dict(sorted(found.items()))

    async def _store(self, files: dict[str, Source]) -> None:
        """Upload those of ``files`` (path below output/ -> source) that are not uploaded yet."""
        waiting = [
            (path, source)
            for path, source in files.items()
            if path not in self._stored and path not in self._refused
        ]
        await asyncio.gather(*(self._store_one(path, source) for path, source in waiting))

    async def _store_one(self, path: str, source: Source) -> None:
        key = f"{self._attempt.prefix}{pod_contract.OUTPUT_PREFIX}{path}"
        async with self._slots:
            try:
                with self._opened(source) as file:
                    self._reserve(path, source, file)
                    marks = FileMarks.of_status(os.fstat(file.fileno()))
                    stored = await self._attempt.bucket.put_file(
                        key,
                        file,
                        content_type=object_names.media_type(path),
                        last_bytes=self._most_bytes(source),
                    )
            except OSError as error:  # of the file; the bucket's errors are JupyterKueueErrors
                self._refused.add(path)
                self._left_out.add(path, workspace.unreadable(error.strerror or str(error)))
                return
        self._stored[path] = {
            "path": path,
            "size_bytes": stored.size,
            "sha256": stored.sha256,
            "role": source.role,
            **(marks._asdict() if source.role == pod_contract.ROLE_SIDE_EFFECT else {}),
            **({"format": self._formats[path]} if path in self._formats else {}),
        }

    def _most_bytes(self, source: Source) -> int:
        if source.role != pod_contract.ROLE_LOG:
            return self._limits.file_bytes
        # The limit of what execute writes; a notebook may have written more into the file.
        printed = control.whole_number(
            pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES,
            pod_contract.DEFAULT_MAX_NOTEBOOK_OUTPUT_BYTES,
        )
        return printed + LOG_BEYOND_BYTES

    def _reserve(self, path: str, source: Source, file: IO[bytes]) -> None:
        """Count a file that the notebook wrote; it may have grown since it was listed."""
        if source.role != pod_contract.ROLE_SIDE_EFFECT:
            return
        size = os.fstat(file.fileno()).st_size
        if size > self._bytes_left:
            raise RefusedFileError(say("file-has-grown", "grew larger than a run may keep"), path)
        self._bytes_left -= size

    @contextlib.contextmanager
    def _opened(self, source: Source) -> Iterator[IO[bytes]]:
        if source.folder is not None:
            is_notebook = source.role == pod_contract.ROLE_NOTEBOOK
            max_bytes = MAX_NOTEBOOK_BYTES if is_notebook else self._limits.file_bytes
            with (
                UntrustedFolder(source.folder) as folder,
                folder.open_file(source.path, max_bytes=max_bytes) as file,
            ):
                yield file
            return
        with self._folders.log.opened() as log:
            if log is None:
                raise FileNotFoundError(errno.ENOENT, "was replaced by the notebook", source.path)
            yield log

    async def _write_result(self, paths: list[str], uids: list[str]) -> str | None:
        assert self._exports is not None
        await self._attempt.ensure_current()
        result = {
            **self._ended,
            "version": RESULT_VERSION,
            "run_id": self._run["run_id"],
            "files": [self._stored[path] for path in paths],
            **_errors("format", self._exports.errors),
            **_errors("file", self._left_out.all()),
            "attempt_uids": uids,
        }
        key = self._attempt.prefix + pod_contract.RESULT_KEY
        try:
            await self._attempt.bucket.create(
                key, encode_json(result), content_type="application/json"
            )
        except errors.ConflictError:
            # Another attempt's, or ours if the answer to an earlier try was lost.
            uid: str = (await self._attempt.bucket.get_json(key))["pod_uid"]
            return None if uid == self._attempt.uid else uid
        return None


def _errors(of: str, found: dict[str, Sentence]) -> dict[str, Any]:
    """Return what is missing by its name as the result has it: texts, and their codes beside."""
    return {
        f"{of}_errors": {name: str(why) for name, why in found.items()},
        f"{of}_error_sentences": {name: as_json(why) for name, why in found.items()},
    }
