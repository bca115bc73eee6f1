"""The semantics of client-go's workqueue, and what is added to them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_kueue.backoff import Backoff
from jupyter_kueue.domain import errors
from jupyter_kueue.service.work_queue import WorkQueue
from tests.service.manual_clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> WorkQueue[str]:
    return WorkQueue(lambda: Backoff(1.0, 10.0, jitter=0), clock)


async def taken(queue: WorkQueue[str]) -> list[str]:
    """Return all that can be taken now, in order."""
    return [await queue.get() for _ in range(len(queue))]


async def settled() -> None:
    """Let everybody go on who can."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def working(
    queue: WorkQueue[str], process: Callable[[str], Awaitable[None]], workers: int = 2
) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(process, workers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_keys_are_taken_in_the_order_in_which_they_were_added(queue):
    for key in "abc":
        queue.add(key)
    assert await taken(queue) == ["a", "b", "c"]


async def test_a_key_that_is_added_many_times_is_taken_once(queue):
    for key in "aba":
        queue.add(key)
    assert await taken(queue) == ["a", "b"]


async def test_a_key_that_is_added_while_it_is_processed_is_taken_again_after_that(queue):
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await taken(queue) == ["a"]


async def test_a_key_that_was_processed_comes_back_only_if_it_is_added(queue):
    queue.add("a")
    queue.done(await queue.get())
    assert len(queue) == 0


async def test_a_delayed_key_comes_when_its_time_has_passed(queue, clock):
    queue.add_after("a", 5)
    clock.advance(4.9)
    assert len(queue) == 0
    clock.advance(0.2)
    assert await taken(queue) == ["a"]


async def test_no_delay_is_at_once(queue):
    queue.add_after("a", 0)
    assert await taken(queue) == ["a"]


@pytest.mark.parametrize("delays", [(5, 2), (2, 5)])
async def test_of_two_delays_the_one_that_ends_first_counts(queue, clock, delays):
    for seconds in delays:
        queue.add_after("a", seconds)
    clock.advance(2)
    queue.done(*await taken(queue))
    clock.advance(10)
    assert len(queue) == 0


async def test_one_timer_serves_all_delays(queue, clock):
    for number in range(1000):
        queue.add_after(str(number), 1 + number)
    assert len(clock.pending) == 1
    clock.advance(1000)
    assert await taken(queue) == [str(number) for number in range(1000)]
    assert not clock.pending


async def retry_seconds(queue: WorkQueue[str], clock: ManualClock, key: str) -> float:
    """Let a key fail; return how long it is until it comes back."""
    began = clock.now
    queue.add_rate_limited(key)
    while not len(queue):
        clock.advance(clock.pending[0].at - clock.now)
    queue.done(await queue.get())
    return clock.now - began


async def test_each_failure_doubles_the_delay_up_to_a_limit_and_a_success_forgets_them(
    queue, clock
):
    delays = [await retry_seconds(queue, clock, "a") for _ in range(6)]
    assert delays == [1, 2, 4, 8, 10, 10]
    assert await retry_seconds(queue, clock, "b") == 1
    queue.forget("a")
    assert await retry_seconds(queue, clock, "a") == 1


async def test_a_key_that_fails_for_days_still_comes_back(queue, clock):
    assert {await retry_seconds(queue, clock, "a") for _ in range(5000)} == {1, 2, 4, 8, 10}


async def test_keys_that_fail_together_do_not_come_back_together(clock):
    queue = WorkQueue[str](clock=clock)
    delays = {await retry_seconds(queue, clock, str(number)) for number in range(20)}
    assert len(delays) > 10


async def test_keys_that_somebody_waits_for_come_first_in_their_order(queue):
    for key in "abcd":
        queue.add(key)
    for key in "cb":
        queue.processed(key)
    assert await taken(queue) == ["c", "b", "a", "d"]


async def test_who_waits_for_a_key_gets_a_processing_that_began_after_the_call(queue):
    early = queue.processed("a")
    key = await queue.get()
    late = queue.processed("a")
    queue.done(key)
    await early
    assert not late.done()
    queue.done(await queue.get())
    await late


async def test_who_waits_for_a_key_gets_the_error_of_its_processing(queue):
    waiting = queue.processed("a")
    queue.done(await queue.get(), errors.UnavailableError("away"))
    with pytest.raises(errors.UnavailableError, match="away"):
        await waiting


async def test_who_is_cancelled_while_waiting_holds_nobody_up(queue):
    task = asyncio.ensure_future(queue.processed("a"))
    task.cancel()
    other = queue.processed("a")
    queue.done(await queue.get())
    await other


async def test_a_key_that_fails_is_processed_until_it_succeeds(queue, clock):
    failures = 3
    seen = []

    async def process(key: str) -> None:
        seen.append(key)
        if len(seen) <= failures:
            raise errors.UnavailableError("away")

    async with working(queue, process):
        queue.add("a")
        for _ in range(failures):
            await settled()
            clock.advance(clock.pending[0].at - clock.now)
        await settled()
        assert seen == ["a"] * (failures + 1)
        assert not clock.pending
        queue.add("a")
        await settled()
    assert len(seen) == failures + 2


async def test_no_key_is_processed_twice_at_once_and_all_workers_work(queue):
    busy: set[str] = set()
    most = 0
    gate = asyncio.Event()

    async def process(key: str) -> None:
        nonlocal most
        assert key not in busy
        busy.add(key)
        most = max(most, len(busy))
        await gate.wait()
        busy.discard(key)

    async with working(queue, process, workers=3):
        for key in "abc":
            queue.add(key)
        await settled()
        for key in "abcabc":
            queue.add(key)
        gate.set()
        await settled()
    assert most == 3
    assert not busy


async def test_which_of_many_keys_failed_is_known_once_all_are_processed(queue):
    async def process(key: str) -> None:
        if key == "b":
            raise errors.UnavailableError("away")

    async with working(queue, process):
        failed = await queue.process_all("abc")
    assert {key: str(error) for key, error in failed.items()} == {"b": "away"}
    assert await queue.process_all(()) == {}


async def test_nobody_waits_for_a_queue_that_has_stopped(queue):
    gate = asyncio.Event()

    async def process(_key: str) -> None:
        await gate.wait()

    async with working(queue, process, workers=1):
        waiting = [queue.processed(key) for key in "ab"]
        await settled()
    for future in waiting:
        with pytest.raises(errors.UnavailableError, match="stopping"):
            await future


KEYS = st.sampled_from("abc")


class Queues(RuleBasedStateMachine):
    """Whatever happens in whatever order: the model is one set of keys that need processing."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.queue: WorkQueue[str] = WorkQueue(clock=self.clock)
        self.needed: set[str] = set()
        self.held: set[str] = set()
        self.delayed: dict[str, float] = {}
        self.waiting: list[tuple[str, bool, asyncio.Future[None]]] = []
        self.loop = asyncio.new_event_loop()

    def teardown(self) -> None:
        self.loop.close()

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.needed.add(key)

    @rule(key=KEYS, seconds=st.integers(1, 5))
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        due = self.clock.now + seconds
        self.delayed[key] = min(due, self.delayed.get(key, due))

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        due = {key for key, at in self.delayed.items() if at <= self.clock.now}
        self.needed |= due
        self.delayed = {key: at for key, at in self.delayed.items() if key not in due}

    @rule(key=KEYS)
    def wait(self, key: str) -> None:
        async def call() -> asyncio.Future[None]:
            return self.queue.processed(key)

        future = self.loop.run_until_complete(call())
        self.waiting.append((key, False, future))
        self.needed.add(key)

    @precondition(lambda self: self.needed - self.held)
    @rule()
    def take(self) -> None:
        key = self.loop.run_until_complete(asyncio.wait_for(self.queue.get(), 10))
        assert key in self.needed
        assert key not in self.held
        self.needed.discard(key)
        self.held.add(key)
        self.waiting = [
            (name, began or name == key, future) for name, began, future in self.waiting
        ]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.held.discard(key)
        self.queue.done(key)
        over = [item for item in self.waiting if item[0] == key and item[1]]
        assert all(future.done() for _, _, future in over)
        self.waiting = [item for item in self.waiting if item not in over]

    @invariant()
    def what_is_needed_and_not_held_can_be_taken(self) -> None:
        assert len(self.queue) == len(self.needed - self.held)
        assert not any(future.done() for _, _, future in self.waiting)
        assert len(self.clock.pending) == bool(self.delayed)


TestQueues = Queues.TestCase


async def test_who_comes_after_the_end_is_not_kept_waiting(queue):
    async def nothing(_key: str) -> None: ...

    async with working(queue, nothing):
        await settled()
    with pytest.raises(errors.UnavailableError, match="stopping"):
        await queue.processed("late")
