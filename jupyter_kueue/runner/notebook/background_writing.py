"""Threads that write files, so that a slow, full or unread file does not block ``execute``.

A write to a pipe that nobody reads never returns, and a write to a disk may take long; neither
blocks other threads.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from jupyter_kueue.runner.shared import control

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# How much may wait for a blocked thread. A single text may be larger.
BACKLOG_CHARACTERS = 64 * 2**20

# The errors of a full disk, an exhausted quota and a failing disk.
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
DISK_TROUBLE = FULL_DISK | {errno.EIO, errno.EFBIG}


class Drain:
    """Writes texts in order with ``write``, which gets bytes and may block.

    Text that ``write`` fails to write (OSError), or that arrives while too much is waiting, is
    counted, and the loss is noted at its place in the output as soon as writing works again.
    """

    def __init__(self, name: str, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._waiting: deque[str] = deque()
        self._waiting_characters = 0
        self._lost = 0
        self._is_busy = False
        self._condition = threading.Condition()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def put(self, text: str) -> None:
        """Queue ``text`` for writing."""
        with self._condition:
            if self._waiting_characters >= BACKLOG_CHARACTERS:
                self._lost += len(text)
                return
            self._waiting.append(text)
            self._waiting_characters += len(text)
            self._condition.notify_all()

    def flush(self, seconds: float) -> None:
        """Wait until everything is written, at most ``seconds``."""
        with self._condition:
            self._condition.wait_for(lambda: not self._waiting and not self._is_busy, seconds)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._is_busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: bool(self._waiting))
                text = "".join(self._waiting)
                lost, self._lost = self._lost, 0
                self._waiting.clear()
                self._waiting_characters = 0
                self._is_busy = True
            if lost:
                # Written before the next text: output is missing up to here, or right after it.
                text = f"\n--- {lost:,} characters of output are missing here.\n{text}"
            try:
                self._write(text.encode("utf-8", "backslashreplace"))
            except OSError:
                with self._condition:
                    self._lost += lost + len(text)


class LatestFiles:
    """Replaces files in ``folder``; of a file's waiting versions, only the newest is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, list[bytes]] = {}
        self._is_busy = False
        self._condition = threading.Condition()
        self._cost_seconds: dict[str, float] = {}
        threading.Thread(target=self._work, name="files", daemon=True).start()

    def put(self, name: str, parts: list[bytes]) -> None:
        """Queue the file ``name`` to be replaced by ``parts``, concatenated."""
        with self._condition:
            self._waiting[name] = parts
            self._condition.notify_all()

    def cost_seconds(self, name: str) -> float:
        """Return how long the last write of the file took."""
        return self._cost_seconds.get(name, 0.0)

    def is_waiting(self, name: str) -> bool:
        """Return whether a version of the file waits to be written."""
        return name in self._waiting

    def flush(self) -> None:
        """Wait until no file waits or is being written."""
        with self._condition:
            self._condition.wait_for(lambda: not self._waiting and not self._is_busy)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._is_busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: bool(self._waiting))
                name = next(iter(self._waiting))
                parts = self._waiting.pop(name)
                self._is_busy = True
            started = time.monotonic()
            try:
                control.write_parts(self._folder / name, parts)
            except OSError as error:
                # The file is written again soon, and its last version goes to reserved disk space.
                if error.errno not in DISK_TROUBLE:
                    print(f"jupyter-kueue: {name} could not be written: {error}", flush=True)
            self._cost_seconds[name] = time.monotonic() - started
