"""A server killed at any step of a submit: another one finds everything or nothing, never half."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from jupyter_kueue.domain.run_query import RunQuery
from tests.service import forked

pytestmark = pytest.mark.integration

SUBMITTER = Path(__file__).with_name("killed_submitter.py")


@contextlib.contextmanager
def submitting(environment, root, path):
    """Yields what submits in a server killed ``when`` (before or after) its ``step``-th write.

    It tells whether the server was killed.
    """
    with forked.running(SUBMITTER, {**os.environ, **environment}) as run:

        def submit(step, when):
            end = run(str(root), path, step, when)
            assert end in (0, -signal.SIGKILL)
            return end != 0

        yield submit


async def test_killed_at_every_step(
    open_session, write_notebook, namespace, local_cluster, root, eventually
):
    path = write_notebook("steps/a.ipynb", "print(1)")
    (root / "steps" / "data.csv").write_text("1")
    killed_at = []
    with submitting({**namespace.env, "JUPYTERHUB_USER": "tess"}, root, path) as is_killed:
        for when in ("before", "after"):
            step = 1
            while is_killed(step, when):
                killed_at.append(f"{when} {step}")
                step += 1
    # input, data file, record, Job, accepted: each was met from both sides.
    assert len(killed_at) >= 10, killed_at

    async with open_session(leftover_seconds=1, resync_seconds=1) as session:
        bucket = session.application.bucket

        async def agrees() -> bool:
            """Every prefix in the bucket is a run with exactly one Job, and the other way round."""
            shown = {
                run["run_id"] for run in (await session.runs.list(RunQuery(limit=500)))["items"]
            }
            stored = {item.key.split("/")[2] for item in await bucket.list("tess/runs/")}
            kube_jobs = local_cluster.get("jobs", "-n", namespace.name)["items"]
            in_cluster = [item["metadata"]["labels"]["jupyter-kueue/run-id"] for item in kube_jobs]
            return shown == stored == set(in_cluster) and len(in_cluster) == len(set(in_cluster))

        await eventually(agrees)
        listed = await session.runs.list(RunQuery(limit=500))
        # The two submits that were not killed, and those killed once their Job existed.
        assert listed["total"] >= 4
        for run in listed["items"]:
            done = await session.until_finished(run["run_id"])
            assert done["state"] == "succeeded"


async def test_same_key_after_a_kill_at_every_step_gives_one_job(
    open_session, write_notebook, namespace, root
):
    path = write_notebook("a.ipynb", "print(1)")
    environment = {**namespace.env, "JUPYTERHUB_USER": "tess", "IDEMPOTENCY_KEY": "k"}
    step = 1
    with submitting(environment, root, path) as is_killed:
        while is_killed(step, "after"):
            step += 1
    assert step > 3

    async with open_session() as session:
        listed = await session.runs.list(RunQuery())
        assert listed["total"] == 1
        done = await session.until_finished(listed["items"][0]["run_id"])
        assert done["state"] == "succeeded"
