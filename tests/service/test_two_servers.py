"""Several servers of one owner, at once and one after the other, do no harm to each other."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_kueue.domain.run_query import RunQuery

pytestmark = pytest.mark.integration


async def test_second_server_sees_stops_and_deletes_what_the_first_submitted(
    open_session, write_notebook, eventually
):
    path = write_notebook("sleeper.ipynb", "import time\ntime.sleep(600)")
    async with open_session() as first, open_session() as second:
        one, two = await asyncio.gather(first.submit(path), first.submit(path))

        async def both_are_seen():
            return (await second.runs.list(RunQuery()))["total"] == 2

        await eventually(both_are_seen)
        await second.until_state(one["run_id"], "running")
        await second.runs.stop(one["run_id"])
        await second.runs.delete(two["run_id"])

        stopped = await first.until_finished(one["run_id"])
        assert stopped["state"] == "stopped"

        async def is_gone():
            return (await first.runs.list(RunQuery()))["total"] == 1

        await eventually(is_gone)
        assert await second.until_finished(one["run_id"]) == stopped


async def test_run_goes_on_while_no_server_is_up(open_session, write_notebook):
    path = write_notebook("long.ipynb", "import time\ntime.sleep(2)\nprint('done')")
    async with open_session() as first:
        run = await first.submit(path)
        await first.until_state(run["run_id"], "starting", "running")

    async with open_session() as second:
        done = await second.until_finished(run["run_id"])
        listed = await second.runs.list(RunQuery())

    assert done["state"] == "succeeded"
    assert [item["run_id"] for item in listed["items"]] == [run["run_id"]]

    async with open_session() as third:
        assert (await third.runs.get(run["run_id"])) == done


async def test_deleted_finished_run_stays_away_from_every_server(
    open_session, write_notebook, eventually
):
    path = write_notebook("quick.ipynb", "print(1)")
    async with open_session(resync_seconds=1) as first, open_session(resync_seconds=1) as second:
        run = await first.submit(path)
        await first.until_finished(run["run_id"])

        async def second_has_it():
            return (await second.runs.list(RunQuery(states=("succeeded",))))["total"] == 1

        await eventually(second_has_it)

        async def is_summarized():
            return await first.application.bucket.list("tess/index/")

        await eventually(is_summarized)
        await first.runs.delete(run["run_id"])

        async def second_has_none():
            return (await second.runs.list(RunQuery()))["total"] == 0

        await eventually(second_has_none, seconds=20)

    async with open_session() as third:
        assert (await third.runs.list(RunQuery()))["total"] == 0
