"""A server killed at any step of a create, an edit or a delete: nothing lost, doubled or stuck."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from jupyter_kueue.domain import names
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.schedule_query import ScheduleQuery
from jupyter_kueue.domain.schedule_request import parse_schedule_request
from tests.service import forked
from tests.support.polling import eventually

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).with_name("killed_scheduler.py")


@pytest.fixture
def killed(namespace, root):
    """Runs a server that is killed after its step-th write; tells whether it was."""

    environment = {**os.environ, **namespace.env, "JUPYTERHUB_USER": "tess"}
    with forked.running(PROGRAM, environment) as run:

        def is_killed(action, step, schedule_id=""):
            end = run(str(root), action, step, schedule_id)
            assert end in (0, -signal.SIGKILL)
            return end != 0

        yield is_killed


@pytest.fixture
def cron_jobs(local_cluster, namespace):
    """Returns the CronJobs by schedule id."""

    def get():
        found = local_cluster.get("cronjobs", "-n", namespace.name)["items"]
        return {item["metadata"]["labels"][names.LABEL_SCHEDULE_ID]: item for item in found}

    return get


async def keys_of(session, schedule_id):
    listed = await session.application.bucket.list(f"tess/schedules/{schedule_id}/")
    return sorted(item.key.split("/", 3)[3] for item in listed)


# Some twenty servers are started, one after the other.
@pytest.mark.timeout(420)
async def test_killed_at_every_step(
    open_session, write_notebook, killed, cron_jobs, namespace, local_cluster, eventually
):
    write_notebook("first.ipynb", "print('first')")
    write_notebook("second.ipynb", "print('second')")
    step = 1
    while killed("create", step):
        step += 1
    # The dry run, the input, the revision, the definition, the CronJob.
    assert step > 5

    async with open_session(leftover_seconds=1, resync_seconds=1) as session:
        schedules = await session.application.schedules()

        async def agrees():
            shown = {item["schedule_id"] for item in (await listed())["items"]}
            prefixes = await session.application.bucket.list("tess/schedules/")
            return shown == {item.key.split("/")[2] for item in prefixes} == set(cron_jobs())

        async def listed():
            return await schedules.list(ScheduleQuery())

        await eventually(agrees)
        # Those killed once the definition was there, and the one that was not killed.
        made = [item["schedule_id"] for item in (await listed())["items"]]
        assert len(made) >= 3

    edited = made[0]
    step = 1
    while killed("edit", step, edited):
        step += 1
    last = step
    assert last > 5
    # The tombstone is the first write: from then on the next server goes on.
    for step, schedule_id in enumerate(made[1:], 1):
        killed("delete", step, schedule_id)

    async with open_session(leftover_seconds=1, resync_seconds=1) as session:
        schedules = await session.application.schedules()

        await eventually(lambda: set(cron_jobs()) == {edited})
        [shown] = (await schedules.list(ScheduleQuery()))["items"]
        assert shown["schedule_id"] == edited
        # The last edit is the one that nobody killed.
        assert shown["name"] == f"at {last}"
        for schedule_id in made[1:]:

            async def is_clean(schedule_id=schedule_id):
                return await keys_of(session, schedule_id) == ["deleted"]

            await eventually(is_clean)

        async def is_swept():
            return [key.split("/")[0] for key in await keys_of(session, edited)] == [
                "definition.json",
                "inputs",
                "revisions",
            ]

        await eventually(is_swept)
        labels = cron_jobs()[edited]["spec"]["jobTemplate"]["metadata"]["labels"]
        [revision] = [key for key in await keys_of(session, edited) if key.startswith("revisions/")]
        assert revision == f"revisions/{labels[names.LABEL_REVISION]}.json"
        name = f"nb-{edited}"
        made_job = local_cluster.kubectl(
            *("create", "job", f"--from=cronjob/{name}", f"{name}-{int(time.time()) // 60}"),
            *("-n", namespace.name, "-o", "json"),
        )
        run_id = json.loads(made_job)["metadata"]["uid"]

        async def is_listed():
            runs = (await session.runs.list(RunQuery(schedule_ids=(edited,))))["items"]
            return [run["run_id"] for run in runs] == [run_id]

        await eventually(is_listed)
        assert (await session.until_finished(run_id))["state"] == "succeeded"
        log = b"".join([line async for line in await session.runs.logs(run_id)])
        assert b"second" in log


@pytest.fixture
def fire(local_cluster, namespace):
    """Makes the Job that the CronJob controller would make at a minute; returns the run id."""

    def make(schedule_id, minute):
        name = f"nb-{schedule_id}"
        made = local_cluster.kubectl(
            *("create", "job", f"--from=cronjob/{name}", f"{name}-{minute}"),
            *("-n", namespace.name, "-o", "json"),
        )
        return json.loads(made)["metadata"]["uid"]

    return make


@pytest.mark.timeout(300)
async def test_killed_while_a_run_is_taken_in(open_session, write_notebook, killed, fire):
    path = write_notebook("folder/a.ipynb", "print(1)")
    body = {
        "input_path": path,
        "include_folder": True,
        "local_queue": "team-a",
        "schedule": "0 0 29 2 *",
        "max_runs": 20,
        # It waits, so that no pod takes it in.
        "resources": {"cpu": "100m", "memory": "512Mi", "gpus": 100},
    }
    async with open_session() as session:
        schedules = await session.application.schedules()
        schedule = await schedules.create(parse_schedule_request(body))
    schedule_id = schedule["schedule_id"]
    fired = {fire(schedule_id, 29_000_000)}
    while killed("take-in", len(fired), schedule_id):
        fired.add(fire(schedule_id, 29_000_000 + len(fired)))
    # The slot, the input, the two marks.
    assert len(fired) > 4
    async with open_session() as session:
        schedules = await session.application.schedules()

        async def all_are_counted():
            return (await schedules.get(schedule_id))["runs_counted"] == len(fired)

        await eventually(all_are_counted)
        runs = (await session.runs.list(RunQuery(schedule_ids=(schedule_id,))))["items"]
        assert {run["run_id"] for run in runs} == fired
        for run in runs:
            assert (run["state"], run["schedule_id"]) == ("queued", schedule_id)
            inputs = (await session.runs.get(run["run_id"]))["inputs"]
            assert [file["path"] for file in inputs] == ["a.ipynb"]
            await session.runs.delete(run["run_id"])
