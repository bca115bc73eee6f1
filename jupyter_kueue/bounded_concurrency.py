"""Work on many items, a few at a time, until the first failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

Item = TypeVar("Item")


async def few_at_once(
    most: int, items: Collection[Item], work: Callable[[Item], Awaitable[None]]
) -> None:
    """Await ``work(item)`` for each item in order, at most ``most`` at a time.

    Raises:
        Exception: the first one from ``work``, after all other work has ended.
    """
    waiting = iter(items)

    async def take_turns() -> None:
        for item in waiting:
            await work(item)

    workers = [asyncio.ensure_future(take_turns()) for _ in range(min(most, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        # After the first failure, no other work may continue in the background.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
