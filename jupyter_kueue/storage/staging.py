"""A run's input on its way from the server's folders into the bucket.

``service.jobs`` calls ``find_input`` (in a thread: it reads the disk) and then ``upload``. It never
lets a path lead out of the server's root, never changes a file there, and holds no file in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from jupyter_kueue import errors
from jupyter_kueue.storage import notebook_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_kueue.storage.bucket import Bucket

# Parsing JSON holds the interpreter: above this size another process does it.
PARSED_HERE_BYTES = 4 * 2**20

# Made by tools, never a run's input; a folder that holds pyvenv.cfg, a Python environment, neither.
SKIPPED_FOLDERS = frozenset({".ipynb_checkpoints", "__pycache__", ".git"})
ENVIRONMENT_MARK = "pyvenv.cfg"

FIELD_NOTEBOOK = "input_path"
FIELD_FOLDER = "include_folder"


@dataclass(frozen=True)
class InputLimits:
    """How much a run may take along: the settings of the same names."""

    max_notebook_bytes: int
    max_folder_files: int
    max_folder_bytes: int


@dataclass(frozen=True)
class InputFile:
    """One file to stage: ``path`` below ``input/``, and the real file it is read from."""

    path: str
    absolute: Path
    size_bytes: int


@dataclass(frozen=True)
class Input:
    """What a run takes along.

    Attributes:
        notebook: the notebook's path below ``input/``.
        files: all files, the notebook first.
        kernel_name: the kernel that the notebook names, None if it names none.
        language: that kernel's language in lower case, ``python`` if the notebook does not say.
    """

    notebook: str
    files: tuple[InputFile, ...]
    kernel_name: str | None
    language: str


def find_input(root: Path, input_path: str, include_folder: bool, limits: InputLimits) -> Input:
    """Find the notebook ``input_path`` below ``root`` and, if asked, the files of its folder.

    Blocking: call it in a thread. Links are followed as long as they stay below ``root``. Of the
    folder, checkpoints, caches, ``.git`` and Python environments are left out.

    Raises:
        InvalidRequestError: on ``input_path`` or ``include_folder``, saying what is wrong.
        TooLargeError: over one of ``limits``, which the message names.
    """
    real_root = root.resolve()
    notebook = _find_notebook(real_root, input_path, limits)
    facts = _notebook_facts(notebook)
    files = [notebook]
    if include_folder:
        folder = real_root.joinpath(*_parts(input_path)[:-1])
        files += _folder_files(real_root, folder, notebook, limits)
    return Input(notebook.path, tuple(files), facts["kernel_name"], facts["language"])


async def upload(
    bucket: Bucket, prefix: str, found: Input, concurrency: int = 16
) -> tuple[dict[str, Any], ...]:
    """Put the files of ``found`` below ``prefix``, which ends in a slash.

    Returns:
        ``{"path", "size_bytes", "sha256"}`` of each file, in the order of ``found.files``.

    Raises:
        InvalidRequestError: a file is gone or cannot be read any more.
        JupyterKueueError: what the bucket answered. What is up by then stays: the caller removes
            the whole prefix.
    """
    stored: list[dict[str, Any] | None] = [None] * len(found.files)
    waiting = iter(enumerate(found.files))

    async def work() -> None:
        for index, file in waiting:
            stored[index] = await _upload_file(bucket, prefix, file)

    workers = [asyncio.ensure_future(work()) for _ in range(min(concurrency, len(found.files)))]
    try:
        await asyncio.gather(*workers)
    finally:
        # After the first failure nothing may go on writing behind the caller's back.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return tuple(entry for entry in stored if entry is not None)


async def _upload_file(bucket: Bucket, prefix: str, file: InputFile) -> dict[str, Any]:
    try:
        stored = await bucket.put_file(prefix + file.path, file.absolute)
    except OSError as error:
        raise errors.InvalidRequestError(
            {FIELD_NOTEBOOK: f"{file.path} cannot be read any more ({error.strerror}); try again"}
        ) from error
    return {"path": file.path, "size_bytes": stored.size, "sha256": stored.sha256}


def _parts(input_path: str) -> tuple[str, ...]:
    """Return the parts of a path of the user's, refusing whatever could mean a place elsewhere."""
    if "\\" in input_path or "\0" in input_path:
        _refuse(FIELD_NOTEBOOK, input_path, "must be written with / between its folders")
    path = PurePosixPath(input_path)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            "must be a path below the server's root folder, such as reports/weekly.ipynb",
        )
    return path.parts


def _find_notebook(root: Path, input_path: str, limits: InputLimits) -> InputFile:
    parts = _parts(input_path)
    try:
        real = root.joinpath(*parts).resolve(strict=True)
    except FileNotFoundError:
        _refuse(FIELD_NOTEBOOK, input_path, "does not exist below the server's root folder")
    except RuntimeError:
        _refuse(FIELD_NOTEBOOK, input_path, "is a link that leads in a circle; remove the link")
    except (OSError, ValueError) as error:
        # Their texts name the path on this machine, which is not for everybody.
        why = getattr(error, "strerror", None) or "not a path"
        _refuse(FIELD_NOTEBOOK, input_path, f"cannot be read ({why})")
    # Told before anything else about the file: what lies outside is nobody's business.
    if not real.is_relative_to(root):
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            "leads out of the server's root folder; copy the notebook into it",
        )
    status = _status(real, FIELD_NOTEBOOK, input_path)
    if stat.S_ISDIR(status.st_mode):
        _refuse(FIELD_NOTEBOOK, input_path, "is a folder; name a notebook in it")
    if not stat.S_ISREG(status.st_mode):
        _refuse(FIELD_NOTEBOOK, input_path, "is not a regular file")
    if not parts[-1].lower().endswith(".ipynb"):
        _refuse(FIELD_NOTEBOOK, input_path, "is not a notebook: choose a file ending in .ipynb")
    if status.st_size > limits.max_notebook_bytes:
        raise errors.TooLargeError(
            f"{FIELD_NOTEBOOK}: {_shown(input_path)} has {status.st_size} bytes; the limit is "
            f"{limits.max_notebook_bytes} (max_notebook_bytes). Clear its outputs, or have the "
            "limit raised"
        )
    name = _key_name(parts[-1], FIELD_NOTEBOOK)
    return InputFile(name, real, status.st_size)


def _notebook_facts(notebook: InputFile) -> dict[str, Any]:
    try:
        if notebook.size_bytes <= PARSED_HERE_BYTES:
            facts = notebook_facts.read(str(notebook.absolute))
        else:
            program = [sys.executable, "-I", "-S", notebook_facts.__file__, str(notebook.absolute)]
            done = subprocess.run(program, capture_output=True, check=True)
            facts = json.loads(done.stdout)
    except OSError as error:
        _refuse(FIELD_NOTEBOOK, notebook.path, f"cannot be read ({error.strerror})")
    except subprocess.CalledProcessError as error:
        # Killed, most likely for want of memory.
        last = error.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        _refuse(
            FIELD_NOTEBOOK,
            notebook.path,
            f"could not be read as a notebook (exit {error.returncode} {last[:100]}); clear its "
            "outputs and try again",
        )
    if facts["problem"]:
        _refuse(FIELD_NOTEBOOK, notebook.path, facts["problem"])
    return facts


def _folder_files(
    root: Path, folder: Path, notebook: InputFile, limits: InputLimits
) -> list[InputFile]:
    found: list[InputFile] = []
    size = notebook.size_bytes
    for file in _walk(root, folder.resolve(), "", ()):
        if file.path == notebook.path:
            continue
        found.append(file)
        size += file.size_bytes
        if len(found) >= limits.max_folder_files:
            raise errors.TooLargeError(
                f"{FIELD_FOLDER}: the notebook's folder has more than {limits.max_folder_files} "
                "files, which is the limit (max_folder_files). Put the notebook into a folder "
                "with only what it needs"
            )
        if size > limits.max_folder_bytes:
            raise errors.TooLargeError(
                f"{FIELD_FOLDER}: the notebook's folder has more than {limits.max_folder_bytes} "
                "bytes, which is the limit (max_folder_bytes). Put the notebook into a folder "
                "with only what it needs, or read large data from where it is"
            )
    return sorted(found, key=lambda file: file.path)


def _walk(root: Path, folder: Path, below: str, above: tuple[Path, ...]) -> Iterator[InputFile]:
    """Yield the files of ``folder``, a real folder, as ``below`` + their path in it."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        _refuse(FIELD_FOLDER, below or ".", f"cannot be read ({error.strerror})")
    if below and any(entry.name == ENVIRONMENT_MARK for entry in entries):
        return
    for entry in entries:
        path = below + _key_name(entry.name, FIELD_FOLDER)
        real = Path(entry.path)
        if entry.is_symlink():
            real = _real_target(root, real, path)
        status = _status(real, FIELD_FOLDER, path)
        if stat.S_ISDIR(status.st_mode):
            if entry.name in SKIPPED_FOLDERS:
                continue
            if real in (folder, *above):
                _refuse(FIELD_FOLDER, path, "is a link to a folder above it; remove the link")
            yield from _walk(root, real, f"{path}/", (folder, *above))
        elif stat.S_ISREG(status.st_mode):
            yield InputFile(path, real, status.st_size)
        else:
            _refuse(FIELD_FOLDER, path, "is not a regular file; move it out of the folder")


def _real_target(root: Path, link: Path, path: str) -> Path:
    try:
        real = link.resolve(strict=True)
    except (OSError, RuntimeError):
        _refuse(FIELD_FOLDER, path, "is a link that leads nowhere; remove it")
    if not real.is_relative_to(root):
        _refuse(
            FIELD_FOLDER,
            path,
            "is a link out of the server's root folder; replace it by what it leads to",
        )
    return real


def _key_name(name: str, field: str) -> str:
    """Return ``name`` if it can be part of a key in any bucket."""
    if any(letter < " " or letter in "\x7f\\" or "\ud800" <= letter <= "\udfff" for letter in name):
        _refuse(
            field,
            name,
            "has a control character, a backslash or no valid UTF-8 in its name; rename it",
        )
    return name


def _status(path: Path, field: str, shown: str) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        _refuse(field, shown, f"cannot be read ({error.strerror})")


def _shown(path: str) -> str:
    text = path if len(path) <= 200 else f"{path[:200]}…"  # noqa: PLR2004 - a readable length
    return text.encode(errors="backslashreplace").decode()


def _refuse(field: str, path: str, why: str) -> NoReturn:
    raise errors.InvalidRequestError({field: f"{_shown(path)} {why}"}) from None
