"""Cluster or bucket away for a while: clear answers at once, and everything goes on afterwards."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_kueue import errors
from jupyter_kueue.service.index import JobQuery

pytestmark = pytest.mark.integration

AT_ONCE_SECONDS = 8  # far below the 30 s time-out of a request that waits


@pytest.fixture
async def session(open_session, ways):
    async with open_session(**ways.settings) as opened:
        yield opened


async def test_api_server_that_hangs(session, write_notebook, ways, eventually):
    path = write_notebook("works.ipynb", "import time\ntime.sleep(4)\nprint(1)")
    running = await session.submit(path)
    await session.until_state(running["job_id"], "running")

    with ways.cluster.frozen():
        await eventually(lambda: session.application.cluster.error is not None)
        async with asyncio.timeout(AT_ONCE_SECONDS):
            with pytest.raises(errors.UnavailableError):
                await session.submit(path)
            with pytest.raises(errors.UnavailableError):
                await session.jobs.stop(running["job_id"])
            listed = await session.jobs.list(JobQuery())
        assert listed["total"] == 1

    assert (await session.until_finished(running["job_id"]))["state"] == "succeeded"
    await eventually(lambda: session.application.cluster.error is None)
    again = await session.submit(path)
    assert (await session.until_finished(again["job_id"]))["state"] == "succeeded"


async def test_bucket_that_hangs(session, write_notebook, ways):
    path = write_notebook("works.ipynb", "import time\ntime.sleep(4)\nprint(1)")
    running = await session.submit(path)
    await session.until_state(running["job_id"], "running")

    with ways.bucket.frozen(), pytest.raises(errors.BucketUnavailableError):
        async with asyncio.timeout(30):
            await session.submit(path)

    assert (await session.until_finished(running["job_id"]))["state"] == "succeeded"
    listed = await session.jobs.list(JobQuery())
    assert [item["job_id"] for item in listed["items"]] == [running["job_id"]]
    again = await session.submit(path)
    assert (await session.until_finished(again["job_id"]))["state"] == "succeeded"
