"""A condition variable for the tasks of one event loop, which plain callbacks may notify."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ConditionVariable:
    """Lets tasks wait until a condition holds, without polling.

    asyncio.Condition may be notified only while its lock is held, and a plain callback cannot wait
    for a lock. Within one event loop nothing changes between two awaits, so no lock is needed.
    """

    def __init__(self) -> None:
        self._notified = asyncio.Event()

    def notify_all(self) -> None:
        """Wake all tasks that wait now. Call it after every change that may affect a condition."""
        # Tasks that wait now hold the old event; those that come later get the new one.
        self._notified.set()
        self._notified = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for the next ``notify_all``; return False if ``seconds`` pass without one."""
        try:
            await asyncio.wait_for(self._notified.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def wait_for(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until ``condition()`` is true, at most ``seconds``; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._notified.wait()
        except TimeoutError:
            return condition()
        return True
