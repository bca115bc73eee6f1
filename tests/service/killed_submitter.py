"""A server that submits one run and is killed at its n-th write: see test_submit_killed.py."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from jupyter_kueue import config
from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_request import parse_run_request
from jupyter_kueue.service.application import Application
from jupyter_kueue.storage.bucket import Bucket
from tests.service.forked import serve

writes = 0


def deadly(write, step, when):
    """Return ``write`` with a SIGKILL before or after its ``step``-th call in this process."""

    async def counted(*args, **kwargs):
        global writes  # noqa: PLW0603 - one process, one purpose
        writes += 1
        at = writes
        if at == step and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await write(*args, **kwargs)
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return counted


async def loaded_jobs(application):
    while True:  # the test's timeout bounds it; a busy machine takes its time
        with contextlib.suppress(errors.UnavailableError):
            return await application.runs()


async def main(root, path, step, when):
    application = Application(config.load(), Path(root))
    await application.start()
    runs = await loaded_jobs(application)
    # Only the submit's own writes count, not what the reconciler did before.
    Bucket.put_bytes = deadly(Bucket.put_bytes, step, when)
    Bucket.create = deadly(Bucket.create, step, when)
    Connection.create = deadly(Connection.create, step, when)
    body = {
        "input_path": path,
        "local_queue": "team-a",
        "include_folder": "/" in path,
        "resources": {"cpu": "100m", "memory": "512Mi"},
        "idempotency_key": os.environ.get("IDEMPOTENCY_KEY"),
    }
    await runs.submit(parse_run_request(body))
    await application.stop()


if __name__ == "__main__":
    serve(main)
