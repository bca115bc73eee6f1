"""A run that has its quota and does not start says why, and gives the quota back in time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import jupyter_kueue_local

ROLE = Path(jupyter_kueue_local.__file__).parent / "manifests" / "namespace-user.yaml"

pytestmark = pytest.mark.integration


def object_of(kind, name, namespace, spec):
    version = {"ResourceQuota": "v1", "LimitRange": "v1"}[kind]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


async def test_a_quota_that_demands_a_cpu_limit_is_said_with_the_setting_that_meets_it(
    session, open_session, write_notebook, local_cluster, namespace, eventually
):
    quota = {"hard": {"limits.cpu": "4"}}
    local_cluster.apply([object_of("ResourceQuota", "compute", namespace.name, quota)])
    path = write_notebook("a.ipynb", "print(1)")

    job = await session.submit(path)
    refused = await session.until(job["run_id"], lambda job: job["reason"] == "pod-refused")

    assert refused["state"] == "starting"
    assert "requires limits.cpu for every container" in refused["message"]
    assert "cpu_limit" in refused["message"]
    assert "failed quota: compute: must specify limits.cpu" in refused["detail"]
    await session.runs.stop(job["run_id"])

    async with open_session(cpu_limit=1.0) as other:
        job = await other.submit(path)
        assert (await other.until_finished(job["run_id"]))["state"] == "succeeded"


async def test_a_pod_that_is_refused_for_good_ends_and_leaves_nothing_behind(
    open_session, write_notebook, local_cluster, namespace, eventually
):
    label = "pod-security.kubernetes.io/enforce=restricted"
    local_cluster.kubectl("label", "--overwrite", "namespace", namespace.name, label)
    path = write_notebook("a.ipynb", "print(1)")
    settings = {"pod_template": {"hostNetwork": True}, "start_timeout_seconds": 3}
    async with open_session(**settings) as session:
        job = await session.submit(path)

        ended = await session.until_finished(job["run_id"])

        assert (ended["state"], ended["reason"]) == ("failed", "pod-refused")
        assert "pod security standard" in ended["message"]
        assert "host namespaces (hostNetwork=true)" in ended["detail"]
        await eventually(
            lambda: not local_cluster.get("jobs,pods,workloads", "-n", namespace.name)["items"]
        )


async def test_an_ordinary_run_passes_the_restricted_standard(
    session, write_notebook, local_cluster, namespace
):
    label = "pod-security.kubernetes.io/enforce=restricted"
    local_cluster.kubectl("label", "--overwrite", "namespace", namespace.name, label)
    job = await session.submit(write_notebook("a.ipynb", "print(1)"))
    assert (await session.until_finished(job["run_id"]))["state"] == "succeeded"


async def test_a_quota_that_is_used_up_is_waited_for(
    session, write_notebook, local_cluster, namespace
):
    full = object_of("ResourceQuota", "pods", namespace.name, {"hard": {"pods": "1"}})
    local_cluster.apply([full])
    holder = await session.submit(write_notebook("b.ipynb", "import time\ntime.sleep(600)"))
    await session.until_state(holder["run_id"], "running")
    job = await session.submit(write_notebook("a.ipynb", "print(1)"))

    waits = await session.until(job["run_id"], lambda job: job["reason"] == "pod-refused")

    assert "is used up. Retrying automatically." in waits["message"]
    full["spec"]["hard"]["pods"] = "2"
    local_cluster.apply([full])
    assert (await session.until_finished(job["run_id"]))["state"] == "succeeded"


async def test_an_image_that_cannot_be_fetched_ends_the_run_in_time_also_after_a_restart(
    open_session, write_notebook
):
    settings = {
        "environments": {"nosuch": {"image": "registry.invalid/nosuch:1"}},
        "start_timeout_seconds": 8,
    }
    path = write_notebook("a.ipynb", "print(1)")
    async with open_session(**settings) as session:
        job = await session.submit(path, environment="nosuch")
        waits = await session.until(job["run_id"], lambda job: job["reason"] == "image-pull")
        assert waits["message"] == (
            "Cannot fetch the environment registry.invalid/nosuch:1. Check its name. "
            "Retrying automatically."
        )
    async with open_session(**settings) as session:
        ended = await session.until_finished(job["run_id"])
        assert (ended["state"], ended["reason"]) == ("failed", "image-pull")
        assert "kept failing for 8 seconds" in ended["message"]


async def test_without_the_right_to_read_events_a_run_that_does_not_start_still_ends(
    open_session, write_notebook, write_user, namespace
):
    rules = yaml.safe_load(ROLE.read_text())["rules"]
    without = [
        {**rule, "resources": [kind for kind in rule["resources"] if kind != "events"]}
        for rule in rules
    ]
    settings = {
        "kubeconfig": str(write_user(without)),
        "environments": {"nosuch": {"image": "registry.invalid/nosuch:1"}},
        "start_timeout_seconds": 4,
    }
    async with open_session(**settings) as session:
        job = await session.submit(write_notebook("a.ipynb", "print(1)"), environment="nosuch")
        ended = await session.until_finished(job["run_id"])
        assert (ended["state"], ended["reason"]) == ("failed", "image-pull")
