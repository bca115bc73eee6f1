"""Stop and delete, in every state a run can be in."""

from __future__ import annotations

import json

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.service.runs.run_index import JobQuery
from tests.server import proxy

pytestmark = pytest.mark.integration

SLEEPER = "print('before', flush=True)", "import time\ntime.sleep(600)"


async def reach(session, write_notebook, state):
    """Submit a run and return it once it is in ``state``."""
    path = write_notebook("sleeper.ipynb", *SLEEPER)
    if state == "queued":
        job = await session.submit(path, resources={"cpu": "1", "memory": "1Gi", "gpus": 100})
        return await session.until(job["job_id"], lambda job: job["reason"] == "blocked")
    if state == "starting":
        job = await session.submit(path, environment="nosuch")
        return await session.until(job["job_id"], lambda job: job["reason"] == "image-pull")
    job = await session.submit(path)
    return await session.until(
        job["job_id"], lambda job: (job["progress"] or {}).get("cells_done") == 1
    )


@pytest.mark.parametrize("state", ["queued", "starting", "running"])
async def test_stop(open_session, write_notebook, local_cluster, namespace, eventually, state):
    environments = {"nosuch": {"image": "registry.invalid/nosuch:1"}}
    async with open_session(environments=environments) as session:
        job = await reach(session, write_notebook, state)

        answered = await session.jobs.stop(job["job_id"])

        assert answered["state"] in ("stopping", "stopped")
        done = await session.until_state(job["job_id"], "stopped")
        assert done["message"] == "Stopped by you."
        await eventually(
            lambda: not local_cluster.get("jobs,pods,workloads", "-n", namespace.name)["items"]
        )
        if state == "running":
            content = await session.jobs.notebook(job["job_id"])
            notebook = json.loads(b"".join([chunk async for chunk in content.chunks]))
            assert "before" in json.dumps(notebook["cells"][0]["outputs"])
            assert done["files"][0]["role"] == "notebook"
        again = await session.jobs.stop(job["job_id"])
        assert again["state"] == "stopped"
        assert again["finished_at"] == done["finished_at"]


async def test_a_stop_is_a_stop_whatever_was_read_before_it(
    open_session, write_notebook, namespace, tmp_path, eventually
):
    store, bucket_dir = proxy.to_bucket(namespace.bucket_dir, tmp_path)
    async with open_session(bucket=str(bucket_dir)) as session:
        path = write_notebook("waits.ipynb", "1")
        waits = {"cpu": "1", "memory": "1Gi", "gpus": 100}
        job_id = (await session.submit(path, resources=waits))["job_id"]
        await session.until(job_id, lambda job: job["reason"] == "blocked")
        with store.holding_the_first_read("/accepted.json") as is_held:
            # Its record is read anew, and by then that has seen that no stop was asked.
            await session.jobs.update(job_id, {"name": "another name"})
            await eventually(is_held.is_set)

            await session.jobs.stop(job_id)
            await eventually(lambda: session.application.cluster.facts(job_id).kube_job is None)

        assert (await session.until_finished(job_id))["state"] == "stopped"
    store.down()


async def test_stop_after_the_end_changes_nothing(session, write_notebook):
    job = await session.submit(write_notebook("quick.ipynb", "print(1)"))
    done = await session.until_finished(job["job_id"])

    assert (await session.jobs.stop(job["job_id"]))["state"] == "succeeded"
    assert await session.jobs.get(job["job_id"]) == done


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_delete(session, write_notebook, local_cluster, namespace, eventually, state):
    job = await reach(session, write_notebook, state)

    await session.jobs.delete(job["job_id"])

    assert (await session.jobs.list(JobQuery()))["total"] == 0
    with pytest.raises(errors.NotFoundError):
        await session.jobs.get(job["job_id"])
    await eventually(
        lambda: not local_cluster.get("jobs,pods,workloads", "-n", namespace.name)["items"]
    )
    bucket = session.application.bucket

    async def is_clean() -> bool:
        left = await bucket.list(f"tess/jobs/{job['job_id']}/")
        return [item.key.rpartition("/")[2] for item in left] == ["deleted"]

    await eventually(is_clean)


async def test_job_removed_with_kubectl_is_a_failure_that_says_so(
    session, write_notebook, local_cluster, namespace
):
    job = await reach(session, write_notebook, "running")

    local_cluster.kubectl("delete", "job", "-n", namespace.name, "--all")

    done = await session.until_finished(job["job_id"])
    assert (done["state"], done["reason"]) == ("failed", "removed")
