"""Time that passes when a test says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class Timer:
    at: float
    callback: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualClock:
    """A clock as ``service.work_queue`` wants one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        timer = Timer(self.now + delay, callback)
        self.timers.append(timer)
        return timer

    @property
    def pending(self) -> list[Timer]:
        """The timers that are set, the next one first."""
        return sorted((t for t in self.timers if not t.is_cancelled), key=lambda timer: timer.at)

    def advance(self, seconds: float) -> None:
        """Let time pass, and call whatever is due on the way."""
        end = self.now + seconds
        while self.pending and self.pending[0].at <= end:
            timer = self.pending[0]
            self.timers.remove(timer)
            self.now = max(self.now, timer.at)
            timer.callback()
        self.now = end
