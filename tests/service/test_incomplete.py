"""A list is complete, or says that it is not: a bucket that fails while a server starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue import patience
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.schedule_query import ScheduleQuery
from jupyter_kueue.domain.schedule_request import parse_schedule_request
from jupyter_kueue.service import health
from jupyter_kueue.service.readiness import State

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def failing_reads(end: str):
    """Refuse these reads as an object store does that lost a volume."""

    def refuse(verb: str, path: str) -> tuple[int, bytes] | None:
        is_it = verb == "GET" and end in path and "list-type" not in path
        return (500, b"<Error><Code>InternalError</Code></Error>") if is_it else None

    return refuse


@pytest.fixture
def starting(open_application: Callable[..., Any], ways: Any) -> Callable[..., Any]:
    """Opens an application whose bucket may fail."""
    return lambda: open_application(**ways.settings)


async def test_no_run_is_missing_while_records_cannot_be_read(
    session: Any, starting: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    running = await session.submit(write_notebook("slow.ipynb", "import time\ntime.sleep(600)"))
    await session.until_state(running["run_id"], "running")
    others = [(await session.submit(write_notebook("a.ipynb", "1")))["run_id"] for _ in range(2)]
    for run_id in others:
        await session.until_finished(run_id)

    ways.bucket.refuse = failing_reads(running["run_id"])
    async with starting() as application:

        async def is_told() -> bool:
            with pytest.raises(errors.BucketUnavailableError):
                await application.runs()
            report = await health.report(application)
            return not report["ok"] and "could be read" in report["problems"][-1]["what"]

        await eventually(is_told)
        assert await is_told()
        ways.bucket.refuse = lambda _verb, _path: None

        async def runs():
            try:
                return await application.runs()
            except errors.UnavailableError:
                return None

        loaded = await eventually(runs)
        listed = await loaded.list(RunQuery())
        assert {row["run_id"] for row in listed["items"]} == {running["run_id"], *others}
        assert (await loaded.get(running["run_id"]))["state"] == "running"
        assert (await health.report(application))["ok"]


async def test_one_object_that_is_lost_does_not_hold_up_the_others(
    session: Any,
    starting: Callable,
    ways: Any,
    write_notebook: Callable,
    eventually: Callable,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(patience, "UNREAD_OBJECT_SECONDS", 2.0)
    running = await session.submit(write_notebook("slow.ipynb", "import time\ntime.sleep(600)"))
    await session.until_state(running["run_id"], "running")
    quick = [(await session.submit(write_notebook("a.ipynb", "1")))["run_id"] for _ in range(2)]
    for run_id in quick:
        await session.until_finished(run_id)
    lost = quick[0]

    def refuse(verb: str, path: str) -> tuple[int, bytes] | None:
        found = (failing_reads(item)(verb, path) for item in (running["run_id"], lost))
        return next((answer for answer in found if answer), None)

    ways.bucket.refuse = refuse
    async with starting() as application:

        async def runs():
            try:
                return await application.runs()
            except errors.UnavailableError:
                return None

        loaded = await eventually(runs)
        assert (await loaded.list(RunQuery()))["total"] == 3
        # As the cluster shows it, or said to be unknown: never missing, never guessed.
        assert loaded.row(running["run_id"])["state"] in ("starting", "running")
        assert (loaded.row(lost)["state"], loaded.row(lost)["reason"]) == ("queued", "unknown")
        assert not (await health.report(application))["ok"]
        again = await session.submit(write_notebook("a.ipynb", "1"))
        assert (await session.until_finished(again["run_id"]))["state"] == "succeeded"


async def test_no_schedule_is_missing_while_definitions_cannot_be_read(
    session: Any, starting: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    schedules = await session.application.schedules()
    body = {
        "input_path": write_notebook("a.ipynb", "1"),
        "local_queue": "team-a",
        "schedule": "0 0 1 1 *",
    }
    made = {
        (await schedules.create(parse_schedule_request({**body, "name": name})))["schedule_id"]
        for name in ("one", "two")
    }
    ways.bucket.refuse = failing_reads(f"{min(made)}/definition.json")
    async with starting() as application:
        with pytest.raises(errors.UnavailableError):
            await application.schedules()
        ways.bucket.refuse = lambda _verb, _path: None

        async def loaded():
            try:
                return await application.schedules()
            except errors.UnavailableError:
                return None

        items = (await (await eventually(loaded)).list(ScheduleQuery()))["items"]
        assert {row["schedule_id"] for row in items} == made


async def test_a_listing_that_fails_later_drops_no_row(
    open_session: Callable, ways: Any, write_notebook: Callable, eventually: Callable
):
    async with open_session(**ways.settings, resync_seconds=1) as session:
        run = await session.submit(write_notebook("a.ipynb", "1"))
        await session.until_finished(run["run_id"])
        ways.bucket.refuse = lambda verb, path: (
            (500, b"<Error><Code>InternalError</Code></Error>") if "list-type" in path else None
        )
        await eventually(lambda: session.application.readiness.state is State.DEGRADED)
        assert (await session.runs.list(RunQuery()))["total"] == 1
        assert not (await health.report(session.application))["ok"]
