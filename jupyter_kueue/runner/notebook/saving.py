"""What ``execute`` writes to the control folder while a notebook runs: progress, notebook, log.

Threads do the writing. While the notebook runs, it is best effort: a full disk does not end a run
that frees space again. Space for the final files is reserved at the start (``last_word``). The more
a save costs, the rarer it is: a notebook with many megabytes of outputs is saved less often than a
small one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.notebook.background_writing import Drain, LatestFiles
from jupyter_kueue.runner.notebook.notebook_text import NotebookText
from jupyter_kueue.runner.shared import bounds, control

if TYPE_CHECKING:
    from pathlib import Path

SAVE_EVERY_SECONDS = 2.0
# The share of the time that may be spent on writing partial notebooks.
SAVE_SHARE = 0.05
# How long to wait at the end for the container's log to be read, and for a slow disk.
LAST_LOG_SECONDS = 1.0
LAST_FILE_SECONDS = 10.0


class Log:
    """The notebook's printed output, written to the container's log and the control folder's.

    The file holds at most ``max_bytes`` of it, and then says so; the runner's own lines are always
    written.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._file = path.open("wb", buffering=0)
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._at_line_start = True
        self._stdout = Drain("stdout", _write_stdout)
        self._drain = Drain("log", self._write_file)

    def write(self, text: str) -> None:
        """Write what a cell printed."""
        if not text:
            return
        self._at_line_start = text.endswith("\n")
        self._stdout.put(text)
        if self._left <= 0:
            return
        size = len(text) if text.isascii() else len(text.encode("utf-8", "backslashreplace"))
        self._left -= size
        if self._left <= 0:
            text = text[: self._left] if self._left else text
            limit = bounds.in_megabytes(self._max_bytes)
            text += f"\n--- The log has reached {limit}: further output is not in it.\n"
        self._drain.put(text)

    def say(self, text: str) -> None:
        """Write a message of the runner, on a line of its own."""
        line = f"{'' if self._at_line_start else chr(10)}--- {text}\n"
        self._at_line_start = True
        self._stdout.put(line)
        self._drain.put(line)

    def close(self) -> None:
        """Wait for pending output, as far as it is being read. Nothing is written afterwards."""
        self._drain.flush(LAST_FILE_SECONDS)
        self._stdout.flush(LAST_LOG_SECONDS)

    def _write_file(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


def _write_stdout(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


class Saver:
    """Keeps progress and partial notebook in the control folder up to date.

    ``notebook`` is the node that the cells run in; ``cells`` is how many run, ``done`` how many
    have ended.
    """

    def __init__(self, folder: Path, notebook: Any, cells: int) -> None:
        self.cells = cells
        self.done = 0
        self.text = NotebookText(notebook)
        self._files = LatestFiles(folder)
        self._has_changed = True
        self._saved_at = 0.0
        self._cost_seconds = 0.0
        self._running: dict[str, Any] = {"cell": None, "cell_index": None, "since": None}

    def extended(self, cell_index: int) -> None:
        """Note that a cell has new outputs, or that its last one has grown."""
        self._has_changed = True
        self.text.extend(cell_index)

    def changed(self, cell_index: int) -> None:
        """Note that a cell has changed in another way."""
        self._has_changed = True
        self.text.touch(cell_index)

    def cell_started(self, cell: int, cell_index: int) -> None:
        """Note that cell number ``cell``, at index ``cell_index`` of the notebook, runs."""
        self._running = {"cell": cell, "cell_index": cell_index, "since": control.now()}
        self.write_progress()

    def cell_ended(self, cell_index: int) -> None:
        """Note that the running cell has ended, and save, unless that has just been done."""
        self.done += 1
        self._running = {"cell": None, "cell_index": None, "since": None}
        self.extended(cell_index)
        self.write_progress()
        self.save_if_due(0.2)

    def write_progress(self) -> None:
        """Write the progress file."""
        progress = {
            "pod_uid": control.pod_uid(),
            **self._running,
            "cells_done": self.done,
            "cells": self.cells,
            "updated_at": control.now(),
        }
        self._files.put(pod_contract.PROGRESS_FILE, [json.dumps(progress).encode()])

    def save_if_due(self, interval_seconds: float) -> None:
        """Save if something is new and the last save was long enough ago."""
        cost = self._cost_seconds + self._files.cost_seconds(pod_contract.NOTEBOOK_FILE)
        interval_seconds = max(interval_seconds, cost / SAVE_SHARE)
        is_due = time.monotonic() - self._saved_at >= interval_seconds
        if self._has_changed and is_due and not self._files.is_waiting(pod_contract.NOTEBOOK_FILE):
            self.save()

    def save(self) -> None:
        """Queue the current notebook for writing."""
        started = time.monotonic()
        self._has_changed = False
        self._files.put(pod_contract.NOTEBOOK_FILE, self.text.encode())
        self._saved_at = time.monotonic()
        self._cost_seconds = self._saved_at - started

    async def keep_saving(self) -> None:
        """Save every few seconds, for the outputs of a long cell, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            self.save_if_due(SAVE_EVERY_SECONDS * 0.9)

    def finish(self) -> None:
        """Write the progress a last time, and wait until all files are written."""
        self.write_progress()
        self._files.flush()
