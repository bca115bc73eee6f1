"""The files of a workspace: what was staged, and what a notebook wrote since.

Used by ``stage_in`` and ``stage_out``. It never follows a link out of the workspace, and sees
regular files only (``storage.untrusted_folder``).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from jupyter_kueue.storage.untrusted_folder import UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.storage.untrusted_folder import FoundFile

# Written by Python and Jupyter on the way; nobody asked for them.
IGNORED_FOLDERS = frozenset({"__pycache__", ".ipynb_checkpoints"})

# Not possible in an object's name (control characters), or changed by some stores (backslash), or
# no text at all (a name that is not UTF-8 arrives as lone surrogates).
UNFIT = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
# S3 takes 1,024 bytes; the job's own prefix needs some.
LONGEST_PATH_BYTES = 800

Signature = dict[str, int]


def files(folder: UntrustedFolder) -> dict[str, FoundFile]:
    """Return each file below ``folder``, by its path."""
    return {found.path: found for found in folder.walk(without=IGNORED_FOLDERS)}


def signature(file: FoundFile) -> Signature:
    """Return what tells whether a file has changed: its size in bytes, its time of change."""
    return {"size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns}


def signatures(folder: Path) -> dict[str, Signature]:
    """Return the signature of each file below ``folder``."""
    with UntrustedFolder(folder) as opened:
        return {path: signature(file) for path, file in files(opened).items()}


def changed(folder: UntrustedFolder, before: dict[str, Signature]) -> list[FoundFile]:
    """Return the files below ``folder`` that are new or differ from ``before``, in order."""
    found = files(folder)
    return [found[path] for path in sorted(found) if before.get(path) != signature(found[path])]


def stored_name(path: str, taken: set[str]) -> str | None:
    """Return the name to store ``path`` under, and take it; None if it is too long for any.

    Mostly ``path`` itself. Characters that no store keeps become underscores, and where the name is
    taken a number is put before its extension.
    """
    fit = UNFIT.sub("_", path)
    if len(fit.encode()) > LONGEST_PATH_BYTES:
        return None
    pure = PurePosixPath(fit)
    name, number = fit, 1
    while name in taken:
        name = pure.with_name(f"{pure.stem}-{number}{pure.suffix}").as_posix()
        number += 1
    taken.add(name)
    return name
