"""The one way in which tests wait: look again until it is so, or fail with what was seen last."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Seen = TypeVar("Seen")

# Never waited for in full unless something is broken.
PATIENCE_SECONDS = 120.0
# So short that a state is seen that does not last; a look that costs nothing may be repeated.
LOOK_SECONDS = 0.005


def until(
    look: Callable[[], Seen],
    what: str = "",
    *,
    holds: Callable[[Seen], Any] = bool,
    seconds: float = PATIENCE_SECONDS,
) -> Seen:
    """Return what ``look`` returns once ``holds`` is true of it: by default, once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        seen = look()
        if holds(seen):
            return seen
        assert time.monotonic() < deadline, _in_vain(what, seen, seconds)
        time.sleep(_pause(began))


async def eventually(
    look: Callable[[], Any],
    what: str = "",
    *,
    holds: Callable[[Any], Any] = bool,
    seconds: float = PATIENCE_SECONDS,
) -> Any:
    """Do as ``until`` does in an event loop; ``look`` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        seen = look()
        if asyncio.iscoroutine(seen):
            seen = await seen
        if holds(seen):
            return seen
        assert time.monotonic() < deadline, _in_vain(what, seen, seconds)
        await asyncio.sleep(_pause(began))


def _pause(began: float) -> float:
    """Return the pause after a look; many a look is a kubectl, and others need the processor."""
    return max(LOOK_SECONDS, 3 * (time.monotonic() - began))


def _in_vain(what: str, seen: object, seconds: float) -> str:
    return f"waited {seconds:.0f} s{f' for: {what}' if what else ''}; the last look: {seen!r}"
