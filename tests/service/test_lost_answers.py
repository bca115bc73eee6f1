"""What was done and whose answer got lost is done, once, and nobody is told of a conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain.request_changes import parse_run_changes, parse_schedule_changes
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.schedule_request import parse_schedule_request

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("where", "verb", "end"),
    [
        ("bucket", "PUT", "/claim.json"),
        ("bucket", "PUT", "/a.ipynb"),
        ("bucket", "PUT", "/record.json"),
        ("cluster", "POST", "/jobs"),
        ("bucket", "PUT", "/accepted.json"),
        ("bucket", "PUT", "/final.json"),
    ],
)
async def test_submit(
    open_session: Callable, ways: Any, write_notebook: Callable, where: str, verb: str, end: str
):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**ways.settings) as session:
        with ways[where].losing_the_first_answer(verb, end) as is_lost:
            run = await session.submit(path, idempotency_key="key")
            done = await session.until_finished(run["run_id"])
        assert is_lost.is_set()
        assert done["state"] == "succeeded"
        assert (await session.runs.list(RunQuery()))["total"] == 1


@pytest.mark.parametrize(
    ("where", "verb", "end"),
    [("bucket", "PUT", "/record.json"), ("cluster", "POST", "/jobs")],
)
async def test_run_again(
    open_session: Callable, ways: Any, write_notebook: Callable, where: str, verb: str, end: str
):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**ways.settings) as session:
        first = await session.submit(path)
        with ways[where].losing_the_first_answer(verb, end) as is_lost:
            again = await session.runs.rerun(first["run_id"], parse_run_changes({}))
        assert is_lost.is_set()
        assert (await session.until_finished(again["run_id"]))["state"] == "succeeded"
        assert (await session.runs.list(RunQuery()))["total"] == 2


@pytest.mark.parametrize("end", ["/definition.json", ".json"])
async def test_schedule(open_session: Callable, ways: Any, write_notebook: Callable, end: str):
    path = write_notebook("a.ipynb", "1")
    async with open_session(**ways.settings) as session:
        schedules = await session.application.schedules()
        request = parse_schedule_request(
            {"input_path": path, "local_queue": "team-a", "schedule": "0 0 1 1 *"}
        )
        with ways["bucket"].losing_the_first_answer("PUT", end) as is_lost:
            made = await schedules.create(request)
        assert is_lost.is_set()
        changed = await schedules.update(
            made["schedule_id"], parse_schedule_changes({"name": "another name"})
        )
        assert changed["name"] == "another name"
        run = await schedules.run_now(made["schedule_id"])
        assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"
