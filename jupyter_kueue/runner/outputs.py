"""Put a finished notebook's outputs away: notebook, exports, files it wrote, log; result.json last.

Called by ``stage_out`` once ``execute`` has ended. It may be called again after a failure and then
goes on where it was. result.json is what commits the outputs, so it is written once, by whichever
attempt comes first.
"""

from __future__ import annotations

import asyncio
import mimetypes
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue import contract, errors
from jupyter_kueue.runner import control, exporting, workspace
from jupyter_kueue.storage.bucket import encode_json
from jupyter_kueue.storage.untrusted_folder import UntrustedFolder

if TYPE_CHECKING:
    from jupyter_kueue.runner.attempt import Attempt
    from jupyter_kueue.storage.untrusted_folder import FoundFile

UPLOADS_AT_ONCE = 8
RESULT_VERSION = 1


class Source(NamedTuple):
    """Where one output is read from: a file's path below a folder, never followed out of it."""

    folder: Path
    path: str
    role: str


class Outputs:
    """The outputs of one attempt that ended as ``ended`` says."""

    def __init__(
        self, attempt: Attempt, folder: Path, files: Path, run: control.Json, ended: control.Json
    ) -> None:
        self._attempt = attempt
        self._control = folder
        self._workspace = files
        self._run = run
        self._ended = ended
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._stored: dict[str, dict[str, Any]] = {}  # by the path below output/
        self._formats: dict[str, str] = {}  # of exported documents, by the path below output/
        self._left_out: dict[str, str] = {}
        self._exports: exporting.Exports | None = None

    async def commit(self) -> str | None:
        """Upload everything, then result.json.

        Returns:
            None, or the pod uid of the attempt whose result.json was there first.

        Raises:
            SupersededError: a newer attempt has taken over.
        """
        await self._attempt.ensure_current()
        name = self._run["notebook"]
        plan = {name: Source(self._control, contract.NOTEBOOK_FILE, contract.ROLE_NOTEBOOK)}
        uids, _ = await asyncio.gather(self._attempt.uids(), self._store(plan, {}))
        await self._export(name)
        assert self._exports is not None
        taken = {name}
        beside = PurePosixPath(name).parent
        exports: dict[str, Source] = {}
        for path, made in self._exports.files.items():
            taken_name = self._take((beside / path).as_posix(), taken)
            exports[taken_name] = Source(made.parent, made.name, contract.ROLE_EXPORT)
            if path in self._exports.formats:
                self._formats[taken_name] = self._exports.formats[path]
        written: dict[str, Source] = {}
        staged = control.read(self._control / contract.STAGED_FILE) or {}
        for file in await asyncio.to_thread(self._changed, staged):
            stored = workspace.stored_name(file.path, taken)
            if stored is None:
                self._left_out[file.path] = (
                    "Its name is too long to be stored. Give it a shorter one."
                )
            else:
                written[stored] = Source(self._workspace, file.real_path, contract.ROLE_SIDE_EFFECT)
        log = {
            self._take(contract.LOG_FILE, taken): Source(
                self._control, contract.LOG_FILE, contract.ROLE_LOG
            )
        }
        await self._store(exports | written | log, self._left_out)
        order = [*plan, *exports, *written, *log]
        return await self._write_result([p for p in order if p in self._stored], uids)

    def _changed(self, staged: dict[str, workspace.Signature]) -> list[FoundFile]:
        with UntrustedFolder(self._workspace) as folder:
            return workspace.changed(folder, staged)

    def _take(self, path: str, taken: set[str]) -> str:
        name = workspace.stored_name(path, taken)
        assert name is not None  # the notebook's own path was short enough
        return name

    async def _export(self, name: str) -> None:
        if self._exports is not None:
            return
        formats = self._run["output_formats"]
        if all(wanted == exporting.NOTEBOOK_FORMAT for wanted in formats):
            self._exports = exporting.Exports()
            return
        folder = Path(tempfile.mkdtemp(prefix="export-"))
        # Under its own name and beside nothing, so that exports are named after it.
        notebook = folder / "notebook" / PurePosixPath(name).name
        notebook.parent.mkdir()
        await asyncio.to_thread(self._copy_notebook, notebook)
        self._exports = await exporting.export(notebook, formats, folder / "made")
        for output_format, problem in self._exports.errors.items():
            print(f"stage-out: {output_format}: {problem}", flush=True)

    def _copy_notebook(self, target: Path) -> None:
        with (
            UntrustedFolder(self._control) as folder,
            folder.open_file(contract.NOTEBOOK_FILE) as source,
            target.open("wb") as copy,
        ):
            shutil.copyfileobj(source, copy)

    async def _store(self, files: dict[str, Source], left_out: dict[str, str]) -> None:
        """Upload ``files`` (path below output/ -> where it is) that are not up already."""

        async def one(path: str, source: Source) -> None:
            key = f"{self._attempt.prefix}{contract.OUTPUT_PREFIX}{path}"
            kind = mimetypes.guess_type(path)[0]
            async with self._slots:
                try:
                    with (
                        UntrustedFolder(source.folder) as folder,
                        folder.open_file(source.path) as file,
                    ):
                        stored = await self._attempt.bucket.put_file(key, file, content_type=kind)
                except OSError as error:  # the file's; the bucket's are errors of ours
                    left_out[path] = f"It could not be read: {error.strerror or error}."
                    return
            self._stored[path] = {
                "path": path,
                "size_bytes": stored.size,
                "sha256": stored.sha256,
                "role": source.role,
                **({"format": self._formats[path]} if path in self._formats else {}),
            }

        await asyncio.gather(
            *(one(path, source) for path, source in files.items() if path not in self._stored)
        )

    async def _write_result(self, paths: list[str], uids: list[str]) -> str | None:
        assert self._exports is not None
        await self._attempt.ensure_current()
        result = {
            **self._ended,
            "version": RESULT_VERSION,
            "job_id": self._run["job_id"],
            "files": [self._stored[path] for path in paths],
            "format_errors": self._exports.errors,
            "file_errors": self._left_out,
            "attempt_uids": uids,
        }
        key = self._attempt.prefix + contract.RESULT_KEY
        try:
            await self._attempt.bucket.create(
                key, encode_json(result), content_type="application/json"
            )
        except errors.ConflictError:
            # Another attempt's, or ours where the answer to a first try was lost.
            uid: str = (await self._attempt.bucket.get_json(key))["pod_uid"]
            return None if uid == self._attempt.uid else uid
        return None
