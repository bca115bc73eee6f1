"""The link between the process that runs the notebook and the one that keeps its limits.

``limit_keeper`` is the other end and decides alone: it is asked before and after each cell whether
the run may go on, so that an interrupt never hits a later cell than the one that is over time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.runner.notebook.limit_keeper import DISK, LIMIT, MESSAGE_BYTES, STOP

if TYPE_CHECKING:
    import socket

__all__ = ["DISK", "LIMIT", "STOP", "KeeperLink"]


class KeeperLink:
    """The client's end of the link. A thread listens from the start.

    Attributes:
        said: the keeper's sentence when it ended the run, for DISK.
    """

    def __init__(self, link: socket.socket) -> None:
        self.by_signal = True
        self.said = sentences.foreign("")
        self._link = link
        self._kernel: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Future[str] | None = None
        self._answer: asyncio.Future[bool] | None = None
        self._why: str | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="keeper-link", daemon=True).start()

    def use_loop(self) -> None:
        """Deliver messages to the running event loop from now on."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._over = self._loop.create_future()
            if self._why is not None:
                self._over.set_result(self._why)

    def forget_loop(self) -> None:
        """Detach from the event loop, which is about to close."""
        with self._lock:
            self._loop = None

    @property
    def over(self) -> asyncio.Future[str]:
        """A future: LIMIT, DISK or STOP, once no further cell may run. Do not cancel it."""
        assert self._over is not None
        return self._over

    def tell_kernel(self, group: int | None, *, by_signal: bool) -> None:
        """Send the kernel's process group, and whether SIGINT interrupts the kernel."""
        self._kernel, self.by_signal = group, by_signal
        self._send({"kind": "kernel", "group": group, "by_signal": by_signal})

    async def start_cell(self, limit_at: float | None, last_word: dict[str, Any]) -> bool:
        """Ask whether a cell may start.

        Args:
            limit_at: the cell's deadline (time.monotonic), None for no limit.
            last_word: ENDED of the run if the deadline passes during this cell.
        """
        return await self._ask({"kind": "cell", "limit_at": limit_at, "last_word": last_word})

    async def end_cell(self) -> bool:
        """Report that the cell has ended; return False if the run was over before."""
        return await self._ask({"kind": "cell_ended"})

    def tell_kernel_ended(self) -> None:
        """Report that there is no kernel left to signal."""
        self._kernel = None
        self._send({"kind": "kernel_ended"})

    async def _ask(self, question: dict[str, Any]) -> bool:
        assert self._loop is not None
        self._answer = self._loop.create_future()
        self._send(question)
        return await self._answer

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # _listen handles it
            self._link.send(json.dumps(message).encode())

    def _listen(self) -> None:
        while True:
            try:
                data = self._link.recv(MESSAGE_BYTES)
            except OSError:
                data = b""
            if not data:
                self._end_alone()
            with self._lock:
                message = json.loads(data)
                self._why = message.get("over", self._why)
                if message.get("said"):
                    self.said = sentences.restored(message["said"], message["sentence"])
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._heard, message)

    def _heard(self, message: dict[str, Any]) -> None:
        if "over" in message and self._over is not None and not self._over.done():
            self._over.set_result(message["over"])
        if "may_go" in message and self._answer is not None and not self._answer.done():
            self._answer.set_result(message["may_go"])

    def _end_alone(self) -> None:
        """Exit, because the keeper, which is the container's main process, was killed."""
        if self._kernel is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._kernel, signal.SIGKILL)
        os._exit(pod_contract.EXIT_KERNEL_DIED)
