"""The upload of a run's input from the server's folders to the bucket.

``find_input`` reads the disk: call it in a thread. No path leads out of the server's root, no file
is changed, and none is held in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NoReturn

from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.contract import notebook_document, notebook_upgrade
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors, run_facts, text_rules
from jupyter_kueue.domain.names import MAX_NAME_LENGTH
from jupyter_kueue.domain.run_record import MAX_LEFT_BEHIND
from jupyter_kueue.storage import ignore_rules, object_names
from jupyter_kueue.storage.file_marks import FileMarks
from jupyter_kueue.storage.ignore_rules import IgnoreRules
from jupyter_kueue.storage.untrusted_folder import RefusedFileError, UntrustedFolder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.run_record import UploadedFile
    from jupyter_kueue.storage.bucket import Bucket

# Parsing JSON blocks the interpreter; larger notebooks are parsed by another process.
PARSED_HERE_BYTES = 2**19
# Runs without the environment's packages, whose lookup takes longer than reading a notebook.
_FACTS_PROGRAM = (
    sys.executable,
    *("-I", "-S", "-c"),
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from jupyter_kueue.contract import notebook_document; notebook_document.main()",
)

# A folder with this file is a Python environment: large, and useless on another machine.
ENVIRONMENT_MARK = "pyvenv.cfg"
# S3 allows keys of 1024 bytes; the rest is for the prefix in the bucket.
MAX_PATH_BYTES = 800

FIELD_NOTEBOOK = "input_path"
FIELD_FOLDER = "include_folder"


@dataclass(frozen=True)
class InputLimits:
    """Limits of a run's input: the settings of the same names."""

    max_notebook_bytes: int
    max_folder_files: int
    max_folder_bytes: int


@dataclass(frozen=True)
class InputFile:
    """One file to stage: ``path`` below ``input/``, and the real file to read.

    It is found first and read later, and somebody may replace it, or a folder in its path, by a
    link in between. It is therefore opened below ``root`` by ``real_path``, which had no link,
    without following any.
    """

    path: str
    root: Path
    real_path: str
    size_bytes: int


@dataclass(frozen=True)
class Input:
    """A run's input.

    Attributes:
        notebook: the notebook's path below ``input/``.
        files: all files, the notebook first.
        empty_folders: empty folders below ``input/``.
        kernel_name: the kernel that the notebook names, None if it names none.
        language: the notebook's language in lower case, empty if unknown.
        left_behind: hidden files and folders that are not uploaded, by their path below the
            notebook's folder; folders with a trailing slash: the first MAX_LEFT_BEHIND.
        left_behind_count: the number of all of them.
        ignored: what an ignore file excludes, in the same form.
        ignored_count: the number of all of them.
    """

    notebook: str
    files: tuple[InputFile, ...]
    empty_folders: tuple[str, ...]
    kernel_name: str | None
    language: str
    left_behind: tuple[str, ...] = ()
    left_behind_count: int = 0
    ignored: tuple[str, ...] = ()
    ignored_count: int = 0


def find_input(
    root: Path,
    input_path: str,
    include_folder: bool,
    limits: InputLimits,
    *,
    allow_hidden: bool = False,
) -> Input:
    """Find the notebook ``input_path`` below ``root`` and, if asked, the files of its folder.

    Blocking: call it in a thread. Links are followed if they stay below ``root``. Python
    environments and what ``ignore_rules`` excludes are skipped, but never the notebook.

    Args:
        root: the server's root, or another folder.
        input_path: the notebook below it, as a user wrote it.
        include_folder: whether its folder is uploaded, too.
        limits: the limits of the input.
        allow_hidden: whether names that begin with a dot are treated as any others, as with
            ContentsManager.allow_hidden; otherwise users cannot see them.

    Raises:
        InvalidRequestError: on ``input_path`` or ``include_folder``, with the reason.
        TooLargeError: over one of ``limits``, which the message names.
    """
    real_root = root.resolve()
    if not allow_hidden and any(part.startswith(".") for part in _parts(input_path)):
        # Whether it exists or not: the contents API answers the same.
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say(
                "path-missing-or-hidden",
                "does not exist in the server's root folder, or is hidden: a name in "
                "it begins with a dot. Move the notebook, or ask an admin to set "
                "ContentsManager.allow_hidden",
            ),
        )
    notebook = _find_notebook(real_root, input_path, limits)
    facts = _notebook_facts(notebook)
    files = [notebook]
    walk = _FolderWalk(real_root, notebook, limits)
    if include_folder:
        folder = real_root.joinpath(*_parts(input_path)[:-1]).resolve()
        walk.visit(folder, "", (), IgnoreRules.built_in(allow_hidden=allow_hidden))
        files += sorted(walk.files, key=lambda file: file.path)
    return Input(
        notebook.path,
        tuple(files),
        tuple(walk.empty_folders),
        facts["kernel_name"],
        facts["language"],
        tuple(walk.left_behind[:MAX_LEFT_BEHIND]),
        len(walk.left_behind),
        tuple(walk.ignored[:MAX_LEFT_BEHIND]),
        len(walk.ignored),
    )


async def upload(
    bucket: Bucket, prefix: str, found: Input, concurrency: int = 16
) -> tuple[UploadedFile, ...]:
    """Upload the files of ``found`` below ``prefix``, which ends in a slash.

    Returns:
        ``{"path", "size_bytes", "sha256", "executable", "modified_at"}`` of each file, in the
        order of ``found.files``.

    Raises:
        InvalidRequestError: a file has disappeared or can no longer be read.
        JupyterKueueError: the bucket's error. Files that were uploaded before it stay: the
            caller removes the whole prefix.
    """
    stored: list[UploadedFile | None] = [None] * len(found.files)

    async def upload(numbered: tuple[int, InputFile]) -> None:
        index, file = numbered
        stored[index] = await _upload_file(bucket, prefix, file)

    await few_at_once(concurrency, list(enumerate(found.files)), upload)
    return tuple(entry for entry in stored if entry is not None)


async def _upload_file(bucket: Bucket, prefix: str, file: InputFile) -> UploadedFile:
    try:
        async with _opening(file) as opened:
            marks = FileMarks.of_status(os.fstat(opened.fileno()))
            stored = await bucket.put_file(prefix + file.path, opened)
    except OSError as error:
        raise errors.InvalidRequestError(
            {
                FIELD_NOTEBOOK: say(
                    "path-not-read-any-more",
                    "{path} can no longer be read ({error}); try again",
                    path=file.path,
                    error=error.strerror or "",
                )
            }
        ) from error
    return {
        "path": file.path,
        "size_bytes": stored.size,
        "sha256": stored.sha256,
        "executable": marks.executable,
        "modified_at": marks.modified_at,
    }


@contextlib.asynccontextmanager
async def _opening(file: InputFile) -> AsyncIterator[IO[bytes]]:
    """Open a file in a thread, and close it even if the context was cancelled meanwhile."""
    lock, opened, is_given_up = threading.Lock(), [], threading.Event()

    def open_it() -> None:
        found = _opened(file)
        with lock:
            opened.append(found)
            if is_given_up.is_set():
                found.close()

    try:
        await asyncio.to_thread(open_it)
        yield opened[0]
    finally:
        with lock:
            is_given_up.set()
            for found in opened:
                found.close()


def _opened(file: InputFile) -> IO[bytes]:
    with UntrustedFolder(file.root) as root:
        return root.open_file(file.real_path)


def _parts(input_path: str) -> tuple[str, ...]:
    """Return the parts of a user's path; refuse any that could lead elsewhere."""
    if "\\" in input_path or "\0" in input_path:
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say("path-with-backslash", "must use / between folders"),
        )
    path = PurePosixPath(input_path)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say(
                "path-invalid",
                "must be a path inside the server's root folder, such as reports/weekly.ipynb",
            ),
        )
    return path.parts


def _find_notebook(root: Path, input_path: str, limits: InputLimits) -> InputFile:
    parts = _parts(input_path)
    try:
        real = root.joinpath(*parts).resolve(strict=True)
    except FileNotFoundError:
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say("path-missing", "does not exist in the server's root folder"),
        )
    except RuntimeError:
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say("path-circle", "is a link that leads back to itself; remove the link"),
        )
    except (OSError, ValueError) as error:
        # Their texts contain the path on this machine, which not everybody should see.
        why = getattr(error, "strerror", None) or say("path-no-path", "not a path")
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say("path-not-read", "cannot be read ({problem})", problem=why),
        )
    # Checked before anything else: nothing about files outside may be revealed.
    if not real.is_relative_to(root):
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say(
                "path-leads-out",
                "leads outside the server's root folder; copy the notebook into that folder",
            ),
        )
    status = _status(real, FIELD_NOTEBOOK, input_path)
    if stat.S_ISDIR(status.st_mode):
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say("path-is-folder", "is a folder; choose a notebook in it"),
        )
    if not stat.S_ISREG(status.st_mode):
        _refuse(FIELD_NOTEBOOK, input_path, say("path-no-regular-file", "is not a regular file"))
    if not parts[-1].lower().endswith(".ipynb"):
        _refuse(
            FIELD_NOTEBOOK,
            input_path,
            say("path-no-notebook", "is not a notebook: choose a file ending in .ipynb"),
        )
    if status.st_size > limits.max_notebook_bytes:
        raise errors.TooLargeError(
            say(
                "notebook-too-large",
                "{path} has {bytes} bytes; the limit is {most} (max_notebook_bytes). "
                "Clear its outputs, or ask an admin to raise the limit",
                path=_shown(input_path),
                bytes=status.st_size,
                most=limits.max_notebook_bytes,
            ),
            field=FIELD_NOTEBOOK,
        )
    name = _key_name(parts[-1], FIELD_NOTEBOOK)
    return InputFile(name, root, real.relative_to(root).as_posix(), status.st_size)


def _facts_here(data: bytes) -> dict[str, Any]:
    facts = notebook_document.facts(data)
    if facts["problem"] is None and facts["nbformat"] != notebook_document.NBFORMAT:
        try:
            notebook_upgrade.upgraded(notebook_document.read(data))
        except notebook_document.NotebookError as error:
            facts |= notebook_document.problem_of(error)
    return facts


def _notebook_facts(notebook: InputFile) -> dict[str, Any]:
    try:
        with _opened(notebook) as file:
            if notebook.size_bytes <= PARSED_HERE_BYTES:
                facts = _facts_here(file.read())
            else:
                done = subprocess.run(_FACTS_PROGRAM, stdin=file, capture_output=True, check=True)
                facts = json.loads(done.stdout)
    except OSError as error:
        _refuse(
            FIELD_NOTEBOOK,
            notebook.path,
            say("path-not-read", "cannot be read ({problem})", problem=error.strerror or ""),
        )
    except subprocess.CalledProcessError as error:
        # Killed, most likely because it ran out of memory.
        last = error.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        _refuse(
            FIELD_NOTEBOOK,
            notebook.path,
            say(
                "notebook-not-checked",
                "could not be read as a notebook (exit code {status}: {problem}); "
                "clear its outputs and try again",
                status=error.returncode,
                problem=last[:100],
            ),
        )
    if facts["problem"]:
        problem = run_facts.stored_sentence(facts["problem"], facts["problem_sentence"])
        _refuse(FIELD_NOTEBOOK, notebook.path, problem or foreign(""))
    # They are shown like a user's own text, so the same rules apply.
    for field, text in (("name", facts["kernel_name"]), ("language", facts["language"])):
        if text is not None and (problem := text_rules.problem(text, MAX_NAME_LENGTH)):
            _refuse(
                FIELD_NOTEBOOK,
                notebook.path,
                say(
                    "notebook-kernel-invalid",
                    "names an invalid kernel: kernelspec.{field} {problem}. Choose a "
                    "kernel in JupyterLab and save it again",
                    field=field,
                    problem=problem,
                ),
            )
    return facts


class _FolderWalk:
    """One walk through a notebook's folder.

    Attributes:
        files: the files to upload, without the notebook.
        empty_folders: folders to create empty, because notebooks may write into them.
        left_behind: hidden files and folders, folders with a trailing slash.
        ignored: files and folders that an ignore file excludes.
    """

    def __init__(self, root: Path, notebook: InputFile, limits: InputLimits) -> None:
        self.files: list[InputFile] = []
        self.empty_folders: list[str] = []
        self.left_behind: list[str] = []
        self.ignored: list[str] = []
        self._root = root
        self._notebook = notebook
        self._limits = limits
        self._size_bytes = notebook.size_bytes

    def visit(self, folder: Path, below: str, above: tuple[Path, ...], rules: IgnoreRules) -> None:
        """Add the contents of ``folder``, a real path, under the path ``below``.

        Raises:
            InvalidRequestError, TooLargeError: on ``include_folder``.
        """
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            _refuse(
                FIELD_FOLDER,
                below or ".",
                say("path-not-read", "cannot be read ({problem})", problem=error.strerror or ""),
            )
        found = {entry.name for entry in entries}
        if below and ENVIRONMENT_MARK in found:
            return
        before = len(self.files) + len(self.empty_folders)
        if ignore_rules.FILE_NAME in found:
            rules = rules.below(below, self._read_ignore_file(folder, below))
        for entry in entries:
            path = below + entry.name
            if path == self._notebook.path:
                continue
            is_folder = _is_folder(entry)
            rule = rules.find(path, is_folder=is_folder)
            if rule is None:
                self._take(entry, below, (folder, *above), rules)
            elif rule.source != "built-in" and entry.name != ignore_rules.FILE_NAME:
                stays = self.left_behind if rule.source == "hidden" else self.ignored
                stays.append(f"{path}/" if is_folder else path)
        if below and before == len(self.files) + len(self.empty_folders):
            self.empty_folders.append(below.rstrip("/"))

    def _read_ignore_file(self, folder: Path, below: str) -> bytes:
        path = below + ignore_rules.FILE_NAME
        real = _real_target(self._root, folder / ignore_rules.FILE_NAME, path)
        try:
            with (
                UntrustedFolder(self._root) as root,
                root.open_file(real.relative_to(self._root).as_posix()) as file,
            ):
                return file.read(ignore_rules.MAX_BYTES + 1)
        except RefusedFileError as error:
            _refuse(
                FIELD_FOLDER,
                path,
                say(
                    "ignore-file-not-regular",
                    "{problem}; put the rules into a regular file",
                    problem=error.strerror or "",
                ),
            )
        except OSError as error:
            _refuse(
                FIELD_FOLDER,
                path,
                say("path-not-read", "cannot be read ({problem})", problem=error.strerror or ""),
            )

    def _take(
        self, entry: os.DirEntry[str], below: str, above: tuple[Path, ...], rules: IgnoreRules
    ) -> None:
        path = below + _key_name(entry.name, FIELD_FOLDER)
        if len(path.encode()) > MAX_PATH_BYTES:
            _refuse(
                FIELD_FOLDER,
                path,
                say(
                    "path-too-long",
                    "is longer than the {most} bytes that a bucket allows; shorten "
                    "it, or list it in {file}",
                    most=MAX_PATH_BYTES,
                    file=ignore_rules.FILE_NAME,
                ),
            )
        real = Path(entry.path)
        if entry.is_symlink():
            real = _real_target(self._root, real, path)
        status = _status(real, FIELD_FOLDER, path)
        if stat.S_ISDIR(status.st_mode):
            if real in above:
                _refuse(
                    FIELD_FOLDER,
                    path,
                    say(
                        "path-link-above", "is a link to a folder that contains it; remove the link"
                    ),
                )
            self.visit(real, f"{path}/", above, rules)
        elif stat.S_ISREG(status.st_mode):
            real_path = real.relative_to(self._root).as_posix()
            self._add(InputFile(path, self._root, real_path, status.st_size))
        else:
            _refuse(
                FIELD_FOLDER,
                path,
                say(
                    "path-no-regular-file-move",
                    "is not a regular file; move it out of the folder, or list it in {file}",
                    file=ignore_rules.FILE_NAME,
                ),
            )

    def _add(self, file: InputFile) -> None:
        self.files.append(file)
        self._size_bytes += file.size_bytes
        limits = self._limits
        if len(self.files) >= limits.max_folder_files:
            most, number = _largest(self.files, lambda _: 1)
            raise errors.TooLargeError(
                say(
                    "folder-too-many-files",
                    "the notebook's folder has more files than the limit of {most} "
                    "(max_folder_files); most of those found so far are in {example} "
                    "({count}). {advice}",
                    most=limits.max_folder_files,
                    example=most,
                    count=number,
                    advice=_LEAVE_BEHIND,
                ),
                field=FIELD_FOLDER,
            )
        if self._size_bytes > limits.max_folder_bytes:
            most, size = _largest(self.files, lambda item: item.size_bytes)
            raise errors.TooLargeError(
                say(
                    "folder-too-large",
                    "the notebook's folder is larger than the limit of {most} bytes "
                    "(max_folder_bytes); the largest part found so far is {example} "
                    "({bytes} bytes). {advice}",
                    most=limits.max_folder_bytes,
                    example=most,
                    bytes=size,
                    advice=_LEAVE_BEHIND,
                ),
                field=FIELD_FOLDER,
            )


_LEAVE_BEHIND = say(
    "leave-behind-advice",
    "List what the run does not need in a file named {file} next to "
    "the notebook, with the syntax of .gitignore, or ask an admin to "
    "raise the limit",
    file=ignore_rules.FILE_NAME,
)


def _largest(files: Iterable[InputFile], weight: Callable[[InputFile], int]) -> tuple[str, int]:
    """Return the heaviest file or folder directly in the notebook's folder, and its weight."""
    total: Counter[str] = Counter()
    for file in files:
        name, slash, _ = file.path.partition("/")
        total[name + slash] += weight(file)
    [(path, amount)] = total.most_common(1)
    return _shown(path), amount


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link; reported if it would be uploaded
        return False


def _real_target(root: Path, link: Path, path: str) -> Path:
    try:
        real = link.resolve(strict=True)
    except (OSError, RuntimeError):
        _refuse(
            FIELD_FOLDER,
            path,
            say(
                "path-link-nowhere",
                "is a broken link; remove it, or list it in {file}",
                file=ignore_rules.FILE_NAME,
            ),
        )
    if not real.is_relative_to(root):
        _refuse(
            FIELD_FOLDER,
            path,
            say(
                "path-link-out",
                "is a link to something outside the server's root folder; replace it "
                "with a copy, or list it in {file}",
                file=ignore_rules.FILE_NAME,
            ),
        )
    return real


def _key_name(name: str, field: str) -> str:
    """Return ``name`` if it can be part of a key in any bucket."""
    if object_names.UNFIT.search(name):
        why = say(
            "path-odd-name",
            "has a control character, a backslash or bytes that are not text in its "
            "name; rename it",
        )
        _refuse(field, name, why)
    return name


def _status(path: Path, field: str, shown: str) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        _refuse(
            field,
            shown,
            say("path-not-read", "cannot be read ({problem})", problem=error.strerror or ""),
        )


def _shown(path: str) -> str:
    text = path if len(path) <= 200 else f"{path[:200]}…"  # noqa: PLR2004 - a readable length
    return text.encode(errors="backslashreplace").decode()


def _refuse(field: str, path: str, why: Sentence) -> NoReturn:
    raise errors.InvalidRequestError(
        {field: say("path-problem", "{path} {problem}", path=_shown(path), problem=why)}
    ) from None
