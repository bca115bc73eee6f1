"""A run that fills its share of the node's disk ends once, with its reason, server or not."""

from __future__ import annotations

import json

import pytest

from jupyter_kueue.domain.run_row import FINISHED_STATES

pytestmark = pytest.mark.integration

WRITES = """
import os, time
with open('large', 'wb') as file:
    for _ in range(600):
        file.write(os.urandom(2**20)); file.flush(); time.sleep(0.1)
"""


@pytest.fixture
def limit_disk(local_cluster, namespace):
    """Gives every container 60Mi of the node's disk, and the queues a quota for that."""
    limit = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "disk", "namespace": namespace.name},
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"ephemeral-storage": "20Mi"},
                    "defaultRequest": {"ephemeral-storage": "10Mi"},
                }
            ]
        },
    }
    for name in namespace.cluster_queues:
        spec = json.loads(local_cluster.kubectl("get", "clusterqueue", name, "-o", "json"))["spec"]
        group = spec["resourceGroups"][0]
        group["coveredResources"].append("ephemeral-storage")
        for flavor in group["flavors"]:
            flavor["resources"].append({"name": "ephemeral-storage", "nominalQuota": "100Gi"})
        patch = json.dumps({"spec": {"resourceGroups": spec["resourceGroups"]}})
        local_cluster.kubectl("patch", "clusterqueue", name, "--type=merge", "-p", patch)
    local_cluster.apply([limit])


async def test_a_limit_that_the_namespace_sets_ends_the_run_as_disk_full(
    session, write_notebook, limit_disk
):
    path = write_notebook("a.ipynb", "print('before')", WRITES)
    run = await session.submit(path)

    ended = await session.until_finished(run["run_id"])

    assert (ended["state"], ended["reason"]) == ("failed", "disk-full")
    assert "60 MiB of its machine's disk" in ended["message"]
    assert len(ended["attempts"]) == 1
    content = await session.runs.notebook(run["run_id"])
    notebook = json.loads(b"".join([chunk async for chunk in content.chunks]))
    assert "before" in json.dumps(notebook["cells"][0]["outputs"])


async def test_it_ends_while_no_server_is_up_as_well(
    open_session, write_notebook, limit_disk, local_cluster, namespace, eventually
):
    async with open_session() as session:
        run = await session.submit(write_notebook("a.ipynb", "print(1)", WRITES))
        await session.until_state(run["run_id"], "running")

    def conditions():
        found = local_cluster.get("jobs", "-n", namespace.name)["items"][0]["status"]
        return {one["type"] for one in found.get("conditions", []) if one["status"] == "True"}

    assert "Failed" in await eventually(lambda: conditions() & {"Complete", "Failed"})
    assert len(local_cluster.get("pods", "-n", namespace.name)["items"]) == 1
    async with open_session() as session:
        ended = await session.until(run["run_id"], lambda run: run["state"] in FINISHED_STATES)
        assert (ended["state"], ended["reason"]) == ("failed", "disk-full")
