"""Work on many items, a few at once."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_kueue.bounded_concurrency import few_at_once


async def test_every_item_is_worked_on_and_never_more_than_a_few_at_once():
    under_way = most = 0
    done = []

    async def work(item: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done.append(item)

    await few_at_once(3, range(10), work)
    assert sorted(done) == list(range(10))
    assert most == 3


async def test_after_the_first_failure_nothing_goes_on():
    begun, ended = [], []

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise ValueError("the second")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with pytest.raises(ValueError, match="the second"):
        await few_at_once(2, range(10), work)
    assert begun == [0, 1]
    assert ended == [0]


async def test_nothing_to_do_is_done_at_once():
    async def work(_: int) -> None:
        pytest.fail("there is nothing to do")

    await few_at_once(2, [], work)
