"""The feed of changes: nothing is lost without being said, and everybody gets all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.service import changes as changes_module
from jupyter_kueue.service.changes import KEPT, Changes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = dict[str, Any]


def publish(changes: Changes, *numbers: int) -> None:
    for number in numbers:
        changes.run_deleted(str(number))


async def take(feed: AsyncIterator[Json], count: int) -> list[Any]:
    """Return the next ``count`` changes: the runs they are of, or their types if of none."""
    async with asyncio.timeout(20):
        found = [await anext(feed) for _ in range(count)]
    return [_shown(change) for change in found]


def _shown(change: Json) -> int | str:
    return int(change["run_id"]) if change.get("run_id") else change["type"]


async def test_a_listener_gets_what_came_after_its_cursor() -> None:
    changes = Changes()
    publish(changes, 1)
    cursor = changes.cursor
    publish(changes, 2, 3)
    feed = changes.subscribe(cursor)
    assert await take(feed, 2) == [2, 3]
    waiting = asyncio.ensure_future(take(feed, 1))
    await asyncio.sleep(0)
    publish(changes, 4)
    assert await waiting == [4]


async def test_each_change_carries_the_cursor_to_go_on_from() -> None:
    changes = Changes()
    start = changes.cursor
    publish(changes, 1, 2, 3)
    feed = changes.subscribe(start)
    first = await anext(feed)
    assert await take(changes.subscribe(first["cursor"]), 2) == [2, 3]


async def test_without_a_cursor_only_news_is_shown() -> None:
    changes = Changes()
    publish(changes, 1)
    waiting = asyncio.ensure_future(take(changes.subscribe(), 1))
    await asyncio.sleep(0)
    publish(changes, 2)
    assert await waiting == [2]


async def test_two_listeners_both_get_everything() -> None:
    changes = Changes()
    start = changes.cursor
    fast, slow = changes.subscribe(start), changes.subscribe(start)
    waiting = asyncio.ensure_future(take(fast, 3))
    await asyncio.sleep(0)
    publish(changes, 1, 2, 3)
    assert await waiting == [1, 2, 3]
    assert await take(slow, 1) == [1]
    publish(changes, 4)
    assert await take(slow, 3) == [2, 3, 4]
    assert await take(fast, 1) == [4]


async def test_what_was_too_long_ago_is_said_to_be_lost() -> None:
    changes = Changes()
    start = changes.cursor
    publish(changes, *range(KEPT + 1))
    feed = changes.subscribe(start)
    gap = await anext(feed)
    assert gap == {"type": "gap", "cursor": changes.cursor}
    publish(changes, -1)
    assert await take(feed, 1) == [-1]


async def test_what_is_just_still_kept_is_replayed() -> None:
    changes = Changes()
    start = changes.cursor
    publish(changes, *range(KEPT))
    assert await take(changes.subscribe(start), KEPT) == list(range(KEPT))


async def test_a_listener_that_is_too_slow_is_told_and_goes_on() -> None:
    changes = Changes()
    feed = changes.subscribe(changes.cursor)
    waiting = asyncio.ensure_future(take(feed, 1))
    await asyncio.sleep(0)
    publish(changes, 0)
    assert await waiting == [0]
    publish(changes, *range(1, KEPT + 2))
    assert await take(feed, 1) == ["gap"]
    publish(changes, -1)
    assert await take(feed, 1) == [-1]


@pytest.mark.parametrize("is_new", [True, False], ids=["new listener", "slow listener"])
async def test_what_comes_while_a_gap_is_being_sent_is_not_lost(is_new: bool) -> None:
    changes = Changes()
    feed = changes.subscribe("of-another-server" if is_new else changes.cursor)
    if not is_new:
        publish(changes, 1)
        assert await take(feed, 1) == [1]
    publish(changes, *range(KEPT + 2))
    gap = await anext(feed)
    assert gap["type"] == "gap"
    publish(changes, -1)
    assert await take(feed, 1) == [-1]
    assert await take(changes.subscribe(gap["cursor"]), 1) == [-1]


@pytest.mark.parametrize(
    "since", ["", "x", "-", "{epoch}", "{epoch}-", "{epoch}-x", "{epoch}--1", "{epoch}-2", "old-0"]
)
async def test_a_cursor_of_no_use_is_a_gap(since: str) -> None:
    changes = Changes()
    publish(changes, 1)
    epoch = changes.cursor.partition("-")[0]
    feed = changes.subscribe(since.format(epoch=epoch))
    assert await take(feed, 1) == ["gap"]
    publish(changes, 2)
    assert await take(feed, 1) == [2]


async def test_a_cursor_of_a_former_server_is_a_gap() -> None:
    former = Changes()
    publish(former, 1)
    assert await take(Changes().subscribe(former.cursor), 1) == ["gap"]


async def test_an_absurdly_long_cursor_is_a_gap() -> None:
    changes = Changes()
    epoch = changes.cursor.partition("-")[0]
    assert await take(changes.subscribe(f"{epoch}-{'9' * 10_000}"), 1) == ["gap"]


async def test_a_quiet_feed_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "HEARTBEAT_SECONDS", 0.01)
    changes = Changes()
    publish(changes, 1)
    feed = changes.subscribe()
    beat = await anext(feed)
    assert beat == {"type": "heartbeat", "cursor": changes.cursor}
    publish(changes, 2)
    async with asyncio.timeout(20):
        while (change := await anext(feed))["type"] == "heartbeat":
            pass
    assert change["run_id"] == "2"


async def test_closing_ends_every_subscription() -> None:
    changes = Changes()
    feeds = [changes.subscribe(), changes.subscribe(changes.cursor)]
    waiting = [asyncio.ensure_future(anext(feed, "end")) for feed in feeds]
    await asyncio.sleep(0)
    changes.close()
    async with asyncio.timeout(20):
        assert await asyncio.gather(*waiting) == ["end", "end"]
        assert await anext(changes.subscribe(), "end") == "end"


async def test_a_burst_is_gathered_into_one_change() -> None:
    changes = Changes()
    feed = changes.subscribe(changes.cursor)
    for _ in range(100):
        changes.queues_changed()
    assert await take(feed, 1) == ["local-queues"]
    publish(changes, 1)
    changes.queues_changed()
    assert await take(feed, 2) == [1, "local-queues"]


async def test_a_listener_in_this_process_hears_each_change_once_with_its_cursor() -> None:
    changes = Changes()
    heard: list[Json] = []
    publish(changes, 1)
    changes.add_listener(heard.append)
    publish(changes, 2)
    assert [change["run_id"] for change in heard] == ["2"]
    assert heard[0]["cursor"] == changes.cursor
