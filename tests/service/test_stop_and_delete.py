"""Stop and delete, in every state a run can be in."""

from __future__ import annotations

import json

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.run_update import RunUpdate
from tests.support import proxy

pytestmark = pytest.mark.integration

SLEEPER = "print('before', flush=True)", "import time\ntime.sleep(600)"


async def reach(session, write_notebook, state):
    """Submit a run and return it once it is in ``state``."""
    path = write_notebook("sleeper.ipynb", *SLEEPER)
    if state == "queued":
        run = await session.submit(path, resources={"cpu": "1", "memory": "1Gi", "gpus": 100})
        return await session.until(run["run_id"], lambda run: run["reason"] == "blocked")
    if state == "starting":
        run = await session.submit(path, environment="nosuch")
        return await session.until(run["run_id"], lambda run: run["reason"] == "image-pull")
    run = await session.submit(path)
    return await session.until(
        run["run_id"], lambda run: (run["progress"] or {}).get("cells_done") == 1
    )


@pytest.mark.parametrize("state", ["queued", "starting", "running"])
async def test_stop(open_session, write_notebook, local_cluster, namespace, eventually, state):
    environments = {"nosuch": {"image": "registry.invalid/nosuch:1"}}
    async with open_session(environments=environments) as session:
        run = await reach(session, write_notebook, state)

        answered = await session.runs.stop(run["run_id"])

        assert answered["state"] in ("stopping", "stopped")
        done = await session.until_state(run["run_id"], "stopped")
        assert done["message"] == "Stopped by you."
        await eventually(
            lambda: not local_cluster.get("jobs,pods,workloads", "-n", namespace.name)["items"]
        )
        if state == "running":
            content = await session.runs.notebook(run["run_id"])
            notebook = json.loads(b"".join([chunk async for chunk in content.chunks]))
            assert "before" in json.dumps(notebook["cells"][0]["outputs"])
            assert done["files"][0]["role"] == "notebook"
        again = await session.runs.stop(run["run_id"])
        assert again["state"] == "stopped"
        assert again["finished_at"] == done["finished_at"]


async def test_a_stop_is_a_stop_whatever_was_read_before_it(
    open_session, write_notebook, namespace, tmp_path, eventually
):
    store, bucket_dir = proxy.to_bucket(namespace.bucket_dir, tmp_path)
    async with open_session(bucket=str(bucket_dir)) as session:
        path = write_notebook("waits.ipynb", "1")
        waits = {"cpu": "1", "memory": "1Gi", "gpus": 100}
        run_id = (await session.submit(path, resources=waits))["run_id"]
        await session.until(run_id, lambda run: run["reason"] == "blocked")
        with store.holding_the_first_read("/accepted.json") as is_held:
            # Its record is read anew, and by then that has seen that no stop was asked.
            await session.runs.update(run_id, RunUpdate(name="another name"))
            await eventually(is_held.is_set)

            await session.runs.stop(run_id)
            await eventually(lambda: session.application.cluster.facts(run_id).job is None)

        assert (await session.until_finished(run_id))["state"] == "stopped"
    store.down()


async def test_stop_after_the_end_changes_nothing(session, write_notebook):
    run = await session.submit(write_notebook("quick.ipynb", "print(1)"))
    done = await session.until_finished(run["run_id"])

    assert (await session.runs.stop(run["run_id"]))["state"] == "succeeded"
    assert await session.runs.get(run["run_id"]) == done


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_delete(session, write_notebook, local_cluster, namespace, eventually, state):
    run = await reach(session, write_notebook, state)

    await session.runs.delete(run["run_id"])

    assert (await session.runs.list(RunQuery()))["total"] == 0
    with pytest.raises(errors.NotFoundError):
        await session.runs.get(run["run_id"])
    await eventually(
        lambda: not local_cluster.get("jobs,pods,workloads", "-n", namespace.name)["items"]
    )
    bucket = session.application.bucket

    async def is_clean() -> bool:
        left = await bucket.list(f"tess/runs/{run['run_id']}/")
        return [item.key.rpartition("/")[2] for item in left] == ["deleted"]

    await eventually(is_clean)


async def test_job_removed_with_kubectl_is_a_failure_that_says_so(
    session, write_notebook, local_cluster, namespace
):
    run = await reach(session, write_notebook, "running")

    local_cluster.kubectl("delete", "job", "-n", namespace.name, "--all")

    done = await session.until_finished(run["run_id"])
    assert (done["state"], done["reason"]) == ("failed", "removed")
