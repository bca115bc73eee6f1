"""A run that was accepted is never taken back, and what was not accepted can be asked for again.

Two servers of one owner, an API server that hangs or refuses in the middle of a submit, and a
clean-up of leftovers that meets a submit which goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.schedule_request import parse_schedule_request
from tests.support import proxy

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def refusing(*verbs: str):
    """Refuse the Jobs of these verbs as an API server does that is going down."""

    def refuse(verb: str, path: str) -> tuple[int, bytes] | None:
        return (503, b"{}") if verb in verbs and "/jobs" in path else None

    return refuse


async def test_a_server_that_gives_up_leaves_the_other_ones_run(
    open_session: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**ways.settings) as hanging, open_session() as other:
        with ways["cluster"].holding_the_first("POST", "/jobs", proxy.UNAVAILABLE) as is_held:
            first = asyncio.create_task(hanging.submit(path, idempotency_key="key"))
            await eventually(is_held.is_set)
            run = await other.submit(path, idempotency_key="key")
        with contextlib.suppress(errors.UnavailableError):
            assert (await first)["run_id"] == run["run_id"]

        assert (await other.until_finished(run["run_id"]))["state"] == "succeeded"
        again = await hanging.submit(path, idempotency_key="key")
        assert again["run_id"] == run["run_id"]


@pytest.mark.parametrize("cancelled_at", ["/jobs", "/accepted.json"])
async def test_a_submit_that_is_cancelled_leaves_the_other_ones_run(
    open_session: Callable,
    ways: Any,
    write_notebook: Callable,
    eventually: Callable,
    cancelled_at: str,
):
    path = write_notebook("a.ipynb", "1")
    where = ways["cluster"] if cancelled_at == "/jobs" else ways["bucket"]
    verb = "POST" if cancelled_at == "/jobs" else "PUT"
    async with open_session(**ways.settings) as hanging, open_session() as other:
        with where.holding_the_first(verb, cancelled_at, proxy.UNAVAILABLE) as is_held:
            first = asyncio.create_task(hanging.submit(path, idempotency_key="key"))
            await eventually(is_held.is_set)
            run = await other.submit(path, idempotency_key="key")
            first.cancel()
            await asyncio.wait([first])
        assert (await other.until_finished(run["run_id"]))["state"] == "succeeded"


@pytest.mark.parametrize("is_keyed", [True, False])
async def test_an_api_server_that_dies_in_the_middle_can_be_asked_again(
    open_session: Callable,
    ways: Any,
    write_notebook: Callable,
    eventually: Callable,
    is_keyed: bool,
):
    path = write_notebook("a.ipynb", "1")
    key = "key" if is_keyed else None
    async with open_session(**ways.settings, resync_seconds=1) as session:
        ways["cluster"].refuse = refusing("POST", "DELETE")
        for _ in range(2):
            with pytest.raises(errors.UnavailableError):
                await session.submit(path, idempotency_key=key)
        ways["cluster"].refuse = lambda _verb, _path: None
        run = await session.submit(path, idempotency_key=key)

        assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"

        async def only_this_one_is_left():
            return (await session.runs.list(RunQuery()))["total"] == 1

        await eventually(only_this_one_is_left)


async def test_a_submit_that_cannot_be_taken_back_says_so(
    open_session: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")

    def cut_the_bucket(verb: str, path: str, _status: int) -> bool:
        if verb == "POST" and path.endswith("/jobs"):
            ways["bucket"].down()
        return False

    async with open_session(**ways.settings, resync_seconds=1) as session:
        ways["cluster"].lose = cut_the_bucket
        with pytest.raises(errors.BucketUnavailableError, match="may have been submitted any"):
            await session.submit(path)
        ways["cluster"].lose = lambda _verb, _path, _status: False
        ways["bucket"].up()

        async def is_listed():
            return (await session.runs.list(RunQuery()))["items"]

        [run] = await eventually(is_listed)
        assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"


async def test_what_was_cleaned_up_can_be_asked_for_again(
    open_session: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**ways.settings, resync_seconds=1, leftover_seconds=1) as session:
        ways["cluster"].refuse = refusing("POST")
        with pytest.raises(errors.UnavailableError):
            await session.submit(path, idempotency_key="key")
        bucket = session.application.bucket

        async def is_clean():
            return not await bucket.list("tess/runs/")

        await eventually(is_clean)
        ways["cluster"].refuse = lambda _verb, _path: None
        run = await session.submit(path, idempotency_key="key")
        assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"


async def test_a_clean_up_does_not_take_what_another_server_finishes(
    open_session: Callable,
    open_application: Callable,
    ways: Any,
    write_notebook: Callable,
    eventually: Callable,
):
    path = write_notebook("a.ipynb", "import time\ntime.sleep(3)")
    async with open_session() as other:
        async with open_session(**ways.settings) as dying:
            ways["cluster"].refuse = refusing("POST")
            with pytest.raises(errors.UnavailableError):
                await dying.submit(path, idempotency_key="key")
            ways["cluster"].refuse = lambda _verb, _path: None
        run_id = (await other.application.bucket.list_prefixes("tess/runs/"))[0].split("/")[2]
        settings = {**ways.settings, "resync_seconds": 1, "leftover_seconds": 1}
        with contextlib.ExitStack() as held:
            answer = ways["cluster"].holding_the_first_answer("GET", f"/jobs/nb-{run_id}")
            is_held = held.enter_context(answer)
            # It may clean up before it is ready.
            async with open_application(**settings) as cleaning:
                # It has just been told that there is no Job, and is about to clean up.
                await eventually(is_held.is_set)
                run = await other.submit(path, idempotency_key="key")
                assert run["run_id"] == run_id
                held.close()
                assert (await other.until_finished(run_id))["state"] == "succeeded"
                runs = await cleaning.runs()
                await eventually(lambda: runs.row(run_id)["state"] == "succeeded")
                assert (await runs.list(RunQuery()))["total"] == 1


async def test_what_a_user_deleted_stays_deleted(session: Any, write_notebook: Callable):
    path = write_notebook("a.ipynb", "1")
    run = await session.submit(path, idempotency_key="key")
    await session.runs.delete(run["run_id"])
    with pytest.raises(errors.ConflictError, match="deleted by tess"):
        await session.submit(path, idempotency_key="key")
    tombstone = await session.application.bucket.get_json(f"tess/runs/{run['run_id']}/deleted")
    assert (tombstone["by"], tombstone["why"]) == ("tess", "delete")


async def test_a_schedule_that_is_there_is_not_taken_back(
    open_session: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "1")
    request = parse_schedule_request(
        {
            "input_path": path,
            "local_queue": "team-a",
            "schedule": "0 0 1 1 *",
            "idempotency_key": "key",
        }
    )

    def refuse_cron_jobs(verb: str, path: str) -> tuple[int, bytes] | None:
        return (503, b"{}") if verb in ("PATCH", "DELETE") and "dryRun" not in path else None

    async with open_session(**ways.settings) as dying, open_session() as other:
        ways["cluster"].refuse = refuse_cron_jobs
        with contextlib.suppress(errors.UnavailableError):
            await (await dying.application.schedules()).create(request)
        made = await (await other.application.schedules()).create(request)
        ways["cluster"].refuse = lambda _verb, _path: None
        again = await (await dying.application.schedules()).create(request)
        assert again["schedule_id"] == made["schedule_id"]
