"""An answer from outside that is kept for a moment and asked for once, however many want it.

It starts nothing by itself: no timer runs, and what nobody asks for is never read.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

KEPT_SECONDS = 15.0


class Cached(Generic[T]):
    """What ``read`` answered last, up to ``seconds`` old (less up to a fifth, as jitter)."""

    def __init__(
        self, read: Callable[[], Coroutine[None, None, T]], seconds: float = KEPT_SECONDS
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._reading: asyncio.Task[T] | None = None
        self._expires = 0.0

    async def get(self) -> T:
        """Return the answer, reading it if it is too old. A failure is raised and not kept."""
        task = self._reading
        if task is None or (task.done() and (time.monotonic() >= self._expires or _failed(task))):
            task = asyncio.ensure_future(self._read_once())
            self._reading = task
        # One caller that gives up must not take the answer away from the others.
        return await asyncio.shield(task)

    async def _read_once(self) -> T:
        answer = await self._read()
        self._expires = time.monotonic() + self._seconds * random.uniform(0.8, 1)  # noqa: S311 - jitter
        return answer


def _failed(task: asyncio.Task[T]) -> bool:
    return task.cancelled() or task.exception() is not None
