"""What ``execute`` leaves in the control folder while a notebook runs: progress, notebook, log.

Used by ``execute`` and ``cells`` alone, inside the user's image. Saving is paced by what it costs:
a notebook with many megabytes of outputs is written more rarely than a small one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from jupyter_kueue import contract
from jupyter_kueue.runner import control

if TYPE_CHECKING:
    from pathlib import Path

SAVE_EVERY_SECONDS = 2.0
# At most this share of the time goes into writing partial notebooks.
SAVE_SHARE = 0.05


class Log:
    """Everything the notebook prints: to the container's log and to the control folder's."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace")
        self._at_line_start = True

    def write(self, text: str) -> None:
        """Pass on what a cell printed."""
        if not text:
            return
        for stream in (sys.stdout, self._file):
            stream.write(text)
            stream.flush()
        self._at_line_start = text.endswith("\n")

    def say(self, text: str) -> None:
        """Write a line of our own, on a line of its own."""
        self.write(f"{'' if self._at_line_start else chr(10)}--- {text}\n")

    def close(self) -> None:
        """Close the file; what is said afterwards is an error."""
        self._file.close()


class Saver:
    """Keeps progress and partial notebook in the control folder up to date.

    ``notebook`` is the node that the cells run in; ``done`` of its ``cells`` code cells are done.
    """

    def __init__(self, folder: Path, notebook: Any, cells: int) -> None:
        self.cells = cells
        self.done = 0
        self._folder = folder
        self._notebook = notebook
        self._changed = True
        self._saved_at = 0.0
        self._cost_seconds = 0.0
        self._running: dict[str, Any] = {"cell": None, "cell_index": None, "since": None}

    def changed(self) -> None:
        """Note that the notebook has new outputs."""
        self._changed = True

    def cell_started(self, cell: int, cell_index: int) -> None:
        """Note that code cell number ``cell``, the ``cell_index``-th of all cells, runs."""
        self._running = {"cell": cell, "cell_index": cell_index, "since": control.now()}
        self.write_progress()

    def cell_ended(self) -> None:
        """Note that the running cell came to its end, and save, unless that was just done."""
        self.done += 1
        self._running = {"cell": None, "cell_index": None, "since": None}
        self._changed = True
        self.write_progress()
        self.save_if_due(0.2)

    def write_progress(self) -> None:
        """Write the progress file."""
        control.write(
            self._folder / contract.PROGRESS_FILE,
            {
                "pod_uid": control.pod_uid(),
                **self._running,
                "cells_done": self.done,
                "cells": self.cells,
                "updated_at": control.now(),
            },
        )

    def save_if_due(self, interval_seconds: float) -> None:
        """Save if there is something new, and the last time is long enough ago."""
        interval_seconds = max(interval_seconds, self._cost_seconds / SAVE_SHARE)
        if self._changed and time.monotonic() - self._saved_at >= interval_seconds:
            self.save()

    def save(self) -> None:
        """Write the notebook as it stands."""
        from nbformat import v4  # noqa: PLC0415 - a missing nbformat must be told as such

        started = time.monotonic()
        self._changed = False
        text = v4.writes(self._notebook) + "\n"
        data = text.encode("utf-8", "backslashreplace")
        control.write_bytes(self._folder / contract.NOTEBOOK_FILE, data)
        self._saved_at = time.monotonic()
        self._cost_seconds = self._saved_at - started

    async def keep_saving(self) -> None:
        """Save every few seconds, for the outputs of a long cell, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            self.save_if_due(SAVE_EVERY_SECONDS * 0.9)
