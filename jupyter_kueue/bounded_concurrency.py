"""Work on many items, a few at once, where the first failure ends all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

Item = TypeVar("Item")


async def few_at_once(
    most: int, items: Collection[Item], work: Callable[[Item], Awaitable[None]]
) -> None:
    """Await ``work(item)`` for each item, at most ``most`` at the same time, in their order.

    Raises:
        Exception: the first that ``work`` raised, once none of it goes on any more.
    """
    waiting = iter(items)

    async def take_turns() -> None:
        for item in waiting:
            await work(item)

    workers = [asyncio.ensure_future(take_turns()) for _ in range(min(most, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        # After the first failure nothing may go on writing behind the caller's back.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
