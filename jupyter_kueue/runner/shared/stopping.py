"""SIGTERM, handled from the moment a program starts.

A container's first process ignores SIGTERM until it has a handler, and the kubelet sends it only
once, so this is imported before anything slow.
"""

from __future__ import annotations

import signal
import time

TYPE_CHECKING = False  # typing is slow to import, and the handler is set first
if TYPE_CHECKING:
    import asyncio


class Stop:
    """Whether the pod is being stopped; ``at`` is the time.monotonic of SIGTERM, None before."""

    def __init__(self) -> None:
        self.at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        signal.signal(signal.SIGTERM, self._received)

    def _received(self, _signal: int, _frame: object) -> None:
        if self.at is None:
            self.at = time.monotonic()
        if self._loop is not None and self._event is not None:
            self._loop.call_soon_threadsafe(self._event.set)

    def event(self) -> asyncio.Event:
        """Return an event of the running loop that is set when SIGTERM arrives."""
        import asyncio  # noqa: PLC0415 - slow, and a handler comes first

        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self.at is not None:
            self._event.set()
        return self._event

    def forget_loop(self) -> None:
        """Detach from the event loop, which is about to close."""
        self._loop = None
