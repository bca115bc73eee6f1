"""A keyed work queue: what has to be looked at, by whom, and when again.

The semantics are those of client-go's workqueue (k8s.io/client-go/util/workqueue: ``queue.go``,
``delaying_queue.go``, ``default_rate_limiters.go``), which Kubernetes' own controllers share:

- A key says *that* something has to be looked at, never *what* happened to it. So a key that is
  added many times before its turn is processed once, and lost or repeated events do no harm.
- One worker at a time processes a key. A key that is added while it is being processed is
  processed again after that, so the last processing always begins after the last ``add``.
- Keys are taken in the order in which they were added.
- ``add_after`` adds a key once some time has passed. A key waits once: of two delays the one that
  ends first counts. A key that is added meanwhile is processed at once, and again after the delay.
- ``add_rate_limited`` is ``add_after`` with a delay that grows with each call for that key, up to a
  limit, until ``forget`` is called for it.

Three things are added to that:

- That delay is random in part, because in an outage thousands of keys fail at the same moment
  (``jupyter_kueue.backoff``; client-go has a token bucket for all keys together instead).
- ``processed`` tells a caller when its key has been processed. Keys that somebody waits for are
  taken before the others, in the order of the calls. (controller-runtime has priorities for that.)
- One timer serves all delays, as in client-go, but there are no threads: all calls are made from
  one event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from jupyter_kueue import patience
from jupyter_kueue.backoff import Backoff
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable

Key = TypeVar("Key", bound="Hashable")


class Timer(Protocol):
    """What ``Clock.call_later`` returns."""

    def cancel(self) -> None:
        """Do not call."""


class Clock(Protocol):
    """The part of an event loop that measures time; tests have one of their own."""

    def time(self) -> float:
        """Return the seconds since some moment."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call ``callback`` in ``delay`` seconds."""


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker.

    Args:
        new_backoff: makes the delays of one key's ``add_rate_limited``.
        clock: None stands for the running event loop.
    """

    def __init__(
        self,
        new_backoff: Callable[[], Backoff] = lambda: Backoff(
            patience.LOOK_FIRST_RETRY_SECONDS, patience.LOOK_LONGEST_RETRY_SECONDS
        ),
        clock: Clock | None = None,
    ) -> None:
        self._new_backoff = new_backoff
        self._given_clock = clock
        # As in client-go: what needs processing is dirty; what is dirty and not being processed is
        # in one of the two lines.
        self._dirty: set[Key] = set()
        self._processing: set[Key] = set()
        self._first_line: OrderedDict[Key, None] = OrderedDict()
        self._line: OrderedDict[Key, None] = OrderedDict()
        self._has_keys = asyncio.Semaphore(0)
        self._backoffs: dict[Key, Backoff] = {}
        # A heap of delays; one counts only as long as ``_due`` has the same moment for its key.
        self._delays: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._order = itertools.count()
        self._timer: Timer | None = None
        self._timer_at: float | None = None
        # Who waits for the next processing of a key, and for the one that goes on.
        self._waiting: dict[Key, list[asyncio.Future[None]]] = {}
        self._served: dict[Key, list[asyncio.Future[None]]] = {}
        self._has_ended = False

    def __len__(self) -> int:
        """Return how many keys wait for a worker; delayed ones do not count."""
        return len(self._first_line) + len(self._line)

    def time(self) -> float:
        """Return the present moment of the clock by which delays are measured, in seconds."""
        return self._clock.time()

    def add(self, key: Key) -> None:
        """Have a key processed."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Have a key processed in so many seconds."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.time() + seconds
        if key not in self._due or due < self._due[key]:
            self._due[key] = due
            heapq.heappush(self._delays, (due, next(self._order), key))
            self._set_timer()

    def add_rate_limited(self, key: Key) -> None:
        """Have a key processed again after a failure: each time later, until ``forget``."""
        if key not in self._backoffs:
            self._backoffs[key] = self._new_backoff()
        self.add_after(key, self._backoffs[key].next())

    def forget(self, key: Key) -> None:
        """Begin with the first delay again when the key fails the next time."""
        self._backoffs.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key and take it. ``done`` must be called for it."""
        await self._has_keys.acquire()
        key, _ = (self._first_line or self._line).popitem(last=False)
        self._dirty.discard(key)
        self._processing.add(key)
        if (waiting := self._waiting.pop(key, None)) is not None:
            self._served[key] = waiting
        return key

    def done(self, key: Key, error: Exception | None = None) -> None:
        """End the processing of a key that ``get`` returned; ``error`` is why it failed."""
        self._processing.discard(key)
        for future in self._served.pop(key, ()):
            _end(future, error)
        if key in self._dirty:
            self._push(key)

    def processed(self, key: Key) -> asyncio.Future[None]:
        """Have a key processed before others; return when that has happened.

        The future ends with a processing that begins after this call, and raises what that raised.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_mark_retrieved)
        if self._has_ended:
            _end(future, _stopping())
            return future
        self._waiting.setdefault(key, []).append(future)
        self.add(key)
        if key in self._line:
            del self._line[key]
            self._first_line[key] = None
        return future

    async def process_all(self, keys: Iterable[Key]) -> dict[Key, Exception]:
        """Have all of these keys processed and wait for that; return which of them failed."""
        futures = {key: self.processed(key) for key in keys}
        if futures:
            await asyncio.wait(futures.values())
        found = {key: future.exception() for key, future in futures.items()}
        return {key: error for key, error in found.items() if isinstance(error, Exception)}

    async def run(self, process: Callable[[Key], Awaitable[None]], workers: int) -> None:
        """Process keys until cancelled, so many at once.

        A key of which ``process`` raises is processed again later.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(process))
        finally:
            self._end_all()

    async def _work(self, process: Callable[[Key], Awaitable[None]]) -> None:
        while True:
            key = await self.get()
            try:
                await process(key)
            except Exception as error:  # noqa: BLE001 - whoever waits for the key gets it
                self.add_rate_limited(key)
                self.done(key, error)
            else:
                self.forget(key)
                self.done(key)
            # What needs no I/O lets nobody else run, and there may be thousands.
            await asyncio.sleep(0)

    def _end_all(self) -> None:
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._timer_at = None
        stopping = _stopping()
        for waiting in (*self._waiting.values(), *self._served.values()):
            for future in waiting:
                _end(future, stopping)
        self._waiting.clear()
        self._served.clear()

    def _push(self, key: Key) -> None:
        line = self._first_line if key in self._waiting else self._line
        line[key] = None
        self._has_keys.release()

    @property
    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    def _set_timer(self) -> None:
        """Have ``_add_due`` called when the first delay ends."""
        while self._delays and self._due.get(self._delays[0][2]) != self._delays[0][0]:
            heapq.heappop(self._delays)
        first = self._delays[0][0] if self._delays else None
        if first == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = first
        self._timer = (
            None
            if first is None
            else self._clock.call_later(max(first - self._clock.time(), 0.0), self._add_due)
        )

    def _add_due(self) -> None:
        self._timer = self._timer_at = None
        now = self._clock.time()
        while self._delays and self._delays[0][0] <= now:
            due, _, key = heapq.heappop(self._delays)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._set_timer()


def _stopping() -> errors.UnavailableError:
    return errors.UnavailableError(
        say("server-stopping", "The server is stopping. Try again in a moment.")
    )


def _mark_retrieved(future: asyncio.Future[None]) -> None:
    """Keep asyncio from logging an exception that nobody waits for any more.

    The key is processed again after a failure, so nothing is lost.
    """
    if not future.cancelled():
        future.exception()


def _end(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():  # whoever waited was cancelled
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
