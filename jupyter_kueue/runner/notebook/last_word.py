"""The last files of a run, its notebook and ended.json, which fit even on a full disk.

A run that filled the disk must end with that reason, and other runs on the node with theirs. Disk
space is therefore reserved at the start and released to write the end.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.notebook.background_writing import FULL_DISK
from jupyter_kueue.runner.shared import control

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The first is for a notebook, whose outputs are left out if that is too little; the second for
# ended.json, whose texts have limits.
NOTEBOOK_BYTES = 4 * 2**20
ENDED_BYTES = 512 * 2**10

WHOLE = "whole"
CUT = "cut"
LOST = "lost"


class LastWord:
    """Writes the end of a run into ``folder``; reserves disk space when created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room = {
            name: folder / f".room-for-{name}"
            for name in (pod_contract.NOTEBOOK_FILE, pod_contract.ENDED_FILE)
        }
        for name, size in (
            (pod_contract.NOTEBOOK_FILE, NOTEBOOK_BYTES),
            (pod_contract.ENDED_FILE, ENDED_BYTES),
        ):
            _reserve(self._room[name], size)

    def write_notebook(self, whole: list[bytes], cut: Callable[[], list[bytes]]) -> str:
        """Write the notebook and return WHOLE, CUT or LOST, depending on the space.

        Args:
            whole: its text.
            cut: returns its text without large outputs, for a disk that stays full.

        Raises:
            OSError: the write failed for another reason than a full disk.
        """
        name = pod_contract.NOTEBOOK_FILE
        if self._write(name, whole):
            return WHOLE
        self._release(name)
        if self._write_somehow(name, whole):
            return WHOLE
        return CUT if self._write_somehow(name, cut()) else LOST

    def _write_somehow(self, name: str, parts: list[bytes]) -> bool:
        return self._write(name, parts) or _overwrite(self._folder / name, parts)

    def write_ended(self, data: bytes) -> None:
        """Write ended.json and release all reserved space.

        Raises:
            OSError: there was not enough space.
        """
        self._release(pod_contract.NOTEBOOK_FILE)
        if not self._write(pod_contract.ENDED_FILE, [data]):
            self._release(pod_contract.ENDED_FILE)
            control.write_parts(self._folder / pod_contract.ENDED_FILE, [data])
        self._release(pod_contract.ENDED_FILE)

    def _write(self, name: str, parts: list[bytes]) -> bool:
        try:
            control.write_parts(self._folder / name, parts)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            return False
        return True

    def _release(self, name: str) -> None:
        with contextlib.suppress(OSError):  # a notebook can put anything in its place
            self._room[name].unlink()


def is_full(folder: Path) -> bool:
    """Return whether the disk below ``folder`` has almost no space left."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize < 2**20


def _reserve(path: Path, size: int) -> None:
    # If the disk is already full, the run continues without a reserve: it may free some space.
    with contextlib.suppress(OSError), path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _overwrite(path: Path, parts: list[bytes]) -> bool:
    """Write ``parts`` over an older version of the file, in the space that it occupies."""
    size = sum(len(part) for part in parts)
    try:
        with path.open("r+b") as file:
            before = os.fstat(file.fileno()).st_size
            try:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            except OSError:
                file.truncate(before)
                return False
            file.writelines(parts)
            file.truncate(size)
    except OSError:
        return False
    return True
