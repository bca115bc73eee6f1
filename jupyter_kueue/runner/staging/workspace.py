"""The files of a workspace: what was staged, and what a notebook has written since.

It never follows a link out of the workspace, and sees only regular files
(``storage.untrusted_folder``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.runner.shared import control
from jupyter_kueue.storage import object_names
from jupyter_kueue.storage.untrusted_folder import UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.contract.sentences import Sentence, Value
    from jupyter_kueue.storage.untrusted_folder import FoundFile

# Written by Python and Jupyter as a side effect; nobody asked for them.
IGNORED_FOLDERS = frozenset({"__pycache__", ".ipynb_checkpoints"})

# S3 allows 1,024 bytes; the run's own prefix needs some.
LONGEST_PATH_BYTES = 800
TOO_LONG = say("file-name-too-long", "Its name is too long to be stored. Give it a shorter one.")

# How many of the files that are left out are named, and the length of each name.
MAX_NAMED = 100
LONGEST_NAME_SHOWN = 300

# A walk stops there, whatever the folder contains.
MAX_ENTRIES = 1_000_000

Signature = dict[str, int]


@dataclass(frozen=True)
class Limits:
    """Limits of a folder: the number of files, the bytes of one file, the bytes of all."""

    files: int
    file_bytes: int
    total_bytes: int

    @classmethod
    def from_environment(cls) -> Self:
        """Return the limits in the variables of ``pod_contract``."""
        return cls(
            control.whole_number(
                pod_contract.ENV_MAX_OUTPUT_FILES, pod_contract.DEFAULT_MAX_OUTPUT_FILES
            ),
            control.whole_number(
                pod_contract.ENV_MAX_OUTPUT_FILE_BYTES, pod_contract.DEFAULT_MAX_OUTPUT_FILE_BYTES
            ),
            control.whole_number(
                pod_contract.ENV_MAX_OUTPUT_BYTES, pod_contract.DEFAULT_MAX_OUTPUT_BYTES
            ),
        )


class LeftOut:
    """Which files were left out and why: the first ones by name, the rest as a number."""

    def __init__(self) -> None:
        self._named: dict[str, Sentence] = {}
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._named)

    def add(self, path: str, why: Sentence) -> None:
        """Note one file and why."""
        if len(self._named) >= MAX_NAMED:
            self._more += 1
            return
        name = path.encode("utf-8", "backslashreplace").decode()
        if len(name) > LONGEST_NAME_SHOWN:
            name = f"{name[:LONGEST_NAME_SHOWN]}…"
        self._named[name] = why

    def all(self) -> dict[str, Sentence]:
        """Return path -> why, with a last entry for those that are not named."""
        more = f"and {self._more} more"
        too = say("files-left-out-too", "These were left out too.")
        return self._named | ({more: too} if self._more else {})


def take(
    folder: UntrustedFolder, before: dict[str, Signature], limits: Limits, left_out: LeftOut
) -> dict[str, FoundFile]:
    """Return the files below ``folder`` that differ from ``before``, by path and within ``limits``.

    Files with their signature in ``before`` are skipped, and so are Python's and Jupyter's own
    folders. At most ``limits.files`` files are held in memory. Blocking.
    """
    found: dict[str, FoundFile] = {}
    total_bytes = 0

    def passed_over(path: str, why: str) -> None:
        said = say("folder-not-looked-into", "It was not looked into: it {why}.", why=why)
        left_out.add(path, said)

    for file in folder.walk(
        without=IGNORED_FOLDERS,
        max_entries=MAX_ENTRIES,
        max_path_bytes=LONGEST_PATH_BYTES,
        passed_over=passed_over,
    ):
        if before.get(file.path) == signature(file):
            continue
        if len(os.fsencode(file.path)) > LONGEST_PATH_BYTES:
            left_out.add(file.path, TOO_LONG)
        elif file.size_bytes > limits.file_bytes:
            left_out.add(
                file.path,
                say(
                    "output-file-too-large",
                    "It has {bytes} bytes, more than the {most} that one file may have "
                    "(max_output_file_bytes).",
                    bytes=file.size_bytes,
                    most=limits.file_bytes,
                ),
            )
        elif len(found) >= limits.files:
            left_out.add(
                file.path,
                say(
                    "too-many-output-files",
                    "The run has more than {most} files (max_output_files).",
                    most=limits.files,
                ),
            )
        elif total_bytes + file.size_bytes > limits.total_bytes:
            left_out.add(
                file.path,
                say(
                    "output-files-too-large",
                    "The run's files have more than {most} bytes (max_output_bytes).",
                    most=limits.total_bytes,
                ),
            )
        else:
            total_bytes += file.size_bytes
            found[file.path] = file
    return found


def unreadable(why: Value) -> Sentence:
    """Say that a file could not be read; ``why`` follows its name."""
    return say("output-file-not-read", "It could not be read: it {why}.", why=why)


def signature(file: FoundFile) -> Signature:
    """Return what shows whether a file has changed: its size in bytes and its modification time."""
    return {"size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns}


def signatures(folder: Path) -> dict[str, Signature]:
    """Return the signature of each file below ``folder``, which no other program writes to yet."""
    with UntrustedFolder(folder) as opened:
        return {file.path: signature(file) for file in opened.walk(without=IGNORED_FOLDERS)}


class StoredNames:
    """The names below output/ that are taken.

    Together they form a tree: none is both a file and a folder, so that all of them can be
    downloaded into one folder.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._folder_names: dict[str, str] = {}
        self._next: dict[str, int] = {}

    def take(self, path: str) -> str | None:
        """Return the name to store ``path`` under, and reserve it; None if it would be too long.

        Usually this is ``path``. Characters that stores do not accept become underscores; if the
        name of the file or of a folder above it is taken, a number precedes its extension.
        """
        fit = object_names.UNFIT.sub("_", path)
        if len(fit.encode()) > LONGEST_PATH_BYTES:
            return None
        above, slash, last = fit.rpartition("/")
        wanted = f"{self._folder(above)}/{last}" if slash else last
        name = self._free(wanted, (self._files, self._folders))
        self._files.add(name)
        return name

    def _folder(self, path: str) -> str:
        """Return the name of the folder ``path``, the same each time."""
        if path not in self._folder_names:
            above, slash, last = path.rpartition("/")
            wanted = f"{self._folder(above)}/{last}" if slash else last
            name = self._free(wanted, (self._files,))
            self._folder_names[path] = name
            self._folders.add(name)
        return self._folder_names[path]

    def _free(self, wanted: str, taken: tuple[set[str], ...]) -> str:
        pure = PurePosixPath(wanted)
        name = wanted
        # Many names may map to the same one: each search continues where the last one ended.
        number = self._next.get(wanted, 1)
        while any(name in names for names in taken):
            name = pure.with_name(f"{pure.stem}-{number}{pure.suffix}").as_posix()
            number += 1
        self._next[wanted] = number
        return name
