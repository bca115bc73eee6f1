"""What the control plane does by itself while no server is up, minute by minute."""

from __future__ import annotations

import pytest

from jupyter_kueue.domain import names
from jupyter_kueue.domain.request_changes import parse_schedule_changes
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.schedule_request import parse_schedule_request

pytestmark = pytest.mark.integration

SLEEPS = "print('began', flush=True)\nimport time\ntime.sleep(600)"


# What was missed is made up for at once; the next run of each is due at the next full minute.
@pytest.mark.timeout(300)
async def test_no_run_that_ended_keeps_the_next_from_firing_while_no_server_is_up(
    open_session, write_notebook, local_cluster, namespace, eventually, overdue
):
    async with open_session() as session:
        schedules = await session.application.schedules()

        async def every_minute(name, *sources, **fields):
            body = {
                "input_path": write_notebook(f"{name}.ipynb", *sources),
                "name": name,
                "local_queue": "team-a",
                "resources": {"cpu": "100m", "memory": "256Mi"},
                "schedule": "* * * * *",
                **fields,
            }
            return (await schedules.create(parse_schedule_request(body)))["schedule_id"]

        failing = await every_minute("failing", "1 / 0", max_retries=3)
        timed_out = await every_minute("timed-out", SLEEPS, timeout_seconds=3)
        stopped = await every_minute("stopped", SLEEPS)
        replaced = await every_minute("replaced", SLEEPS, concurrency_policy="Replace")
        blocked = await every_minute(
            "blocked", "1", resources={"cpu": "1", "memory": "1Gi", "gpus": 100}
        )

    seen = {key: set() for key in (failing, timed_out, stopped, replaced, blocked)}
    for schedule_id in seen:
        overdue(schedule_id)

    def all_fired_again():
        for job in local_cluster.get("jobs", "-n", namespace.name)["items"]:
            schedule_id = job["metadata"]["labels"][names.LABEL_SCHEDULE_ID]
            seen[schedule_id].add(job["metadata"]["uid"])
            if schedule_id == stopped and job["status"].get("active"):
                name = job["metadata"]["name"]
                local_cluster.kubectl("delete", "job", name, "-n", namespace.name, "--wait=false")
        return all(len(uids) > 1 for key, uids in seen.items() if key != blocked)

    await eventually(all_fired_again, seconds=180)
    assert len(seen[blocked]) == 1

    async with open_session() as session:
        schedules = await session.application.schedules()
        for schedule_id in seen:
            await schedules.update(schedule_id, parse_schedule_changes({"active": False}))

        async def ends(schedule_id):
            query = RunQuery(schedule_ids=(schedule_id,), sort="created_at")
            runs = (await session.runs.list(query))["items"]
            # What ran without a server is listed as its schedule's. A run that the next one
            # replaces before it has begun was never there.
            if schedule_id != replaced:
                assert {run["run_id"] for run in runs} >= seen[schedule_id]
            return [(run["state"], run["reason"]) for run in runs]

        async def first_end(schedule_id):
            found = await ends(schedule_id)
            return found and found[0][0] in ("failed", "stopped") and found[0]

        assert await eventually(lambda: first_end(failing)) == ("failed", "notebook-failed")
        assert await eventually(lambda: first_end(timed_out)) == ("failed", "time-limit")
        assert await eventually(lambda: first_end(stopped)) == ("failed", "removed")
        assert await eventually(lambda: first_end(replaced)) == ("stopped", "replaced")
        [waiting] = await ends(blocked)
        assert waiting[0] == "queued"
        shown = await schedules.get(blocked)
        assert "is still queued" in shown["message"]
