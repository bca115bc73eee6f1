"""A change of a run survives and reaches every server, and all of them show the same of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.run_update import RunUpdate

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

OFTEN = {"resync_seconds": 1}


async def rows(session: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await session.runs.list(RunQuery()))["items"]
    return items


async def finished(session: Any, path: str) -> str:
    run_id: str = (await session.submit(path))["run_id"]
    await session.until_finished(run_id)
    return run_id


async def test_a_change_of_a_finished_run_reaches_another_server(
    open_session: Callable, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**OFTEN) as first, open_session(**OFTEN) as second:
        run_id = await finished(first, path)
        await second.until_finished(run_id)
        for name in ("one", "two"):
            await first.runs.update(run_id, RunUpdate(name=name, tags=(name,)))

            async def is_seen(expected: str = name) -> bool:
                row = second.runs.row(run_id)
                return (row["name"], row["tags"]) == (expected, [expected])

            await eventually(is_seen, seconds=20)
        assert await rows(first) == await rows(second)


async def test_a_change_of_a_waiting_run_reaches_another_server(
    open_session: Callable, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")
    waits = {"cpu": "1", "memory": "1Gi", "gpus": 100}
    async with open_session(**OFTEN) as first, open_session(**OFTEN) as second:
        run_id = (await first.submit(path, resources=waits))["run_id"]

        async def is_there() -> bool:
            return [row["reason"] for row in await rows(second)] == ["blocked"]

        await eventually(is_there)
        await first.runs.update(run_id, RunUpdate(tags=("x",)))
        await eventually(lambda: second.runs.row(run_id)["tags"] == ["x"], seconds=20)


async def test_a_change_survives_the_server_that_made_it(
    open_session: Callable, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**OFTEN) as before:
        run_id = await finished(before, path)

        async def is_stored():
            return await before.application.bucket.list("tess/index/")

        await eventually(is_stored)
    async with open_session() as dying:
        await dying.runs.update(run_id, RunUpdate(name="another name"))
        # It ends before its next look, which would store the row.
    async with open_session(**OFTEN) as after:
        assert [row["name"] for row in await rows(after)] == ["another name"]


async def test_changes_at_once_are_both_kept(open_session: Callable, write_notebook: Callable):
    path = write_notebook("a.ipynb", "1")
    async with open_session() as first, open_session() as second:
        run_id = await finished(first, path)
        await second.until_finished(run_id)
        await asyncio.gather(
            first.runs.update(run_id, RunUpdate(name="another name")),
            first.runs.update(run_id, RunUpdate(tags=("x",))),
            second.runs.update(run_id, RunUpdate(tags=("x",))),
        )
    async with open_session() as third:
        [row] = await rows(third)
        assert (row["name"], row["tags"]) == ("another name", ["x"])


async def test_two_servers_show_the_same_of_a_run_in_every_field(
    open_session: Callable, write_notebook: Callable, eventually: Callable
):
    quick = write_notebook("a.ipynb", "1")
    slow = write_notebook("slow.ipynb", "import time\ntime.sleep(600)")
    async with open_session(**OFTEN) as first:
        stopped = (await first.submit(slow))["run_id"]
        await first.until_state(stopped, "running")
        async with open_session(**OFTEN) as second:
            await asyncio.gather(*(first.submit(quick) for _ in range(2)))
            await second.runs.stop(stopped)

            async def is_quiet() -> bool:
                both = [await rows(first), await rows(second)]
                return all(
                    len(items) == 3 and all(row["finished_at"] for row in items) for items in both
                )

            await eventually(is_quiet)
            assert await rows(first) == await rows(second)
            assert all(row["admitted_at"] for row in await rows(first))
        async with open_session() as third:
            assert await rows(first) == await rows(third)
