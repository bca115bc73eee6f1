"""A server that changes one schedule and is killed after its n-th write: see test_schedules_killed.

Arguments: the root folder, what to do (create, edit, delete, or take in the runs that the CronJob
made), the step, and the schedule's id.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from jupyter_kueue import config
from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.request_changes import parse_schedule_changes
from jupyter_kueue.domain.schedule_request import parse_schedule_request
from jupyter_kueue.service.application import Application
from jupyter_kueue.storage.bucket import Bucket
from tests.service.forked import serve

writes = 0


def deadly(write, step):
    """Return ``write`` with a SIGKILL after the ``step``-th write of this process.

    One that is refused wrote nothing: runs that are taken in at once try for the same slot.
    """

    async def counted(*args, **kwargs):
        global writes  # noqa: PLW0603 - one process, one purpose
        answer = await write(*args, **kwargs)
        writes += 1
        if writes == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return counted


async def loaded(application):
    """Return the schedules, however long a busy machine takes to read them."""
    while True:
        try:
            return await application.schedules()
        except errors.UnavailableError:
            await asyncio.sleep(0.1)


def arm(step):
    for owner, name in (
        (Bucket, "put_bytes"),
        (Bucket, "create"),
        (Bucket, "copy"),
        (Bucket, "delete"),
        (Connection, "patch"),
        (Connection, "delete"),
    ):
        setattr(owner, name, deadly(getattr(owner, name), step))


async def main(root, action, step, schedule_id):
    application = Application(config.load(), Path(root))
    if action == "take-in":
        # It begins with the start, for whatever the cluster shows.
        arm(step)
    await application.start()
    schedules = await loaded(application)
    if action == "take-in":
        runs = await application.runs()
        made = application.cluster.run_ids
        while not made() <= {row["run_id"] for row in runs.rows()}:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await application.stop()
        return
    arm(step)
    if action == "create":
        body = {
            "input_path": "first.ipynb",
            "local_queue": "team-a",
            "schedule": "0 0 29 2 *",
            "resources": {"cpu": "100m", "memory": "512Mi"},
        }
        await schedules.create(parse_schedule_request(body))
    elif action == "edit":
        await schedules.update(
            schedule_id,
            parse_schedule_changes({"input_path": "second.ipynb", "name": f"at {step}"}),
        )
    else:
        await schedules.delete(schedule_id)
    await application.stop()


if __name__ == "__main__":
    serve(main)
