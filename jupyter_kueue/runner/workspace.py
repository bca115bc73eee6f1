"""The files of a workspace: what was staged, and what a notebook wrote since.

Used by ``stage_in`` and ``stage_out``. It never follows a link out of the workspace, and sees
regular files only.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePosixPath

# Written by Python and Jupyter on the way; nobody asked for them.
IGNORED_FOLDERS = frozenset({"__pycache__", ".ipynb_checkpoints"})

# Not possible in an object's name (control characters), or changed by some stores (backslash), or
# no text at all (a name that is not UTF-8 arrives as lone surrogates).
UNFIT = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
# S3 takes 1,024 bytes; the job's own prefix needs some.
LONGEST_PATH_BYTES = 800

Signature = dict[str, int]


def signatures(folder: Path) -> dict[str, Signature]:
    """Return size in bytes and time of change in nanoseconds of each file below ``folder``."""
    real = folder.resolve()
    found = {}
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
        for name in names:
            path = Path(directory, name)
            try:
                if path.is_symlink() and not path.resolve().is_relative_to(real):
                    continue
                status = path.stat()
            except (OSError, RuntimeError):  # gone meanwhile; a link to nothing, or to itself
                continue
            if stat.S_ISREG(status.st_mode):
                found[path.relative_to(folder).as_posix()] = {
                    "size_bytes": status.st_size,
                    "mtime_ns": status.st_mtime_ns,
                }
    return found


def changed(folder: Path, before: dict[str, Signature]) -> list[str]:
    """Return the paths below ``folder`` that are new or differ from ``before``, in order."""
    now = signatures(folder)
    return sorted(path for path, signature in now.items() if before.get(path) != signature)


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
