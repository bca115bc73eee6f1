"""Tasks that wait until something holds."""

from __future__ import annotations

import asyncio

from jupyter_kueue.condition_variable import ConditionVariable


async def _begin(waiting: asyncio.Task[bool]) -> None:
    """Let a task run until it waits."""
    await asyncio.sleep(0)
    assert not waiting.done()


async def test_what_holds_already_is_not_waited_for():
    assert await ConditionVariable().wait_for(lambda: True)


async def test_all_who_wait_are_woken_and_only_those_go_on_whose_condition_holds():
    changed = ConditionVariable()
    known: set[str] = set()
    first = [asyncio.create_task(changed.wait_for(lambda: "a" in known)) for _ in range(2)]
    second = asyncio.create_task(changed.wait_for(lambda: "b" in known))
    await _begin(second)
    known.add("a")
    changed.notify_all()
    assert await asyncio.gather(*first) == [True, True]
    assert not second.done()
    known.add("b")
    changed.notify_all()
    assert await second


async def test_who_waits_gives_up_in_the_end():
    assert not await ConditionVariable().wait_for(lambda: False, 0)
    assert not await ConditionVariable().wait(0)


async def test_a_plain_wait_ends_with_the_next_notification():
    changed = ConditionVariable()
    waiting = asyncio.create_task(changed.wait())
    await _begin(waiting)
    changed.notify_all()
    assert await waiting


async def test_a_notification_is_not_kept_for_those_who_come_later():
    changed = ConditionVariable()
    changed.notify_all()
    assert not await changed.wait(0)
