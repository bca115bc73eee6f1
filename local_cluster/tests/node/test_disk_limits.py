from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue_local.node.disk_limits import DiskUsage, find_excess, has_limits
from local_cluster.tests.node.pods import condition_of, container, pod, pod_spec, status_of

if TYPE_CHECKING:
    from local_cluster.tests.node.pods import Pods

MEBIBYTE = 2**20
GROWS = "trap 'exit 43' TERM; while true; do head -c 1048576 /dev/zero >> {path}; sleep 0.02; done"


def limited(name: str, size: str, **fields: Any) -> dict[str, Any]:
    resources = {"limits": {"ephemeral-storage": size}}
    return container(name, "true", resources=resources, **fields)


def usage(**sizes: int) -> DiskUsage:
    """Return a usage in MiB: volumes ``v…``, containers ``c…``, and what is shared."""
    in_bytes = {name: size * MEBIBYTE for name, size in sizes.items()}
    return DiskUsage(
        volumes={name: size for name, size in in_bytes.items() if name.startswith("v")},
        containers={name: size for name, size in in_bytes.items() if name.startswith("c")},
        shared=in_bytes.get("shared", 0),
    )


VOLUMES = [
    {"name": "v1", "emptyDir": {}},
    {"name": "v2", "emptyDir": {"sizeLimit": "60Mi"}},
    {"name": "v3", "emptyDir": {"sizeLimit": "10Mi", "medium": "Memory"}},
]


@pytest.mark.parametrize(
    ("used", "message"),
    [
        (usage(v1=30, v2=60, c1=2), None),
        (usage(v2=61), 'Usage of EmptyDir volume "v2" exceeds the limit "60Mi". '),
        (usage(v3=11), 'Usage of EmptyDir volume "v3" exceeds the limit "10Mi". '),
        (
            usage(v1=90, shared=10, c1=1),
            "Pod ephemeral local storage usage exceeds the total limit of containers 100Mi. ",
        ),
        # Volumes in memory do not use the disk.
        (usage(v1=90, v3=10, shared=10), None),
        (usage(c1=41), 'Container c1 exceeded its local ephemeral storage limit "40Mi". '),
    ],
)
def test_the_first_limit_that_is_exceeded(used: DiskUsage, message: str | None) -> None:
    spec = pod_spec(limited("c1", "40Mi"), limited("c2", "61440Ki"), volumes=VOLUMES)
    assert find_excess(pod("p", spec), used) == message


@pytest.mark.parametrize(
    ("init", "limit"),
    [
        ([], "1Gi"),
        ([limited("i", "512Mi")], "1Gi"),
        ([limited("i", "3Gi")], "3Gi"),
        ([limited("s", "1500Mi", restartPolicy="Always")], "2524Mi"),
        ([limited("s", "1Gi", restartPolicy="Always"), limited("i", "1536Mi")], "2560Mi"),
    ],
)
def test_the_limit_of_a_pod_is_that_of_what_runs_together(init: list[Any], limit: str) -> None:
    spec = pod_spec(limited("c1", "1Gi"), container("c2", "true"), initContainers=init)
    said = find_excess(pod("p", spec), usage(shared=4000))
    assert said
    assert said.endswith(f" {limit}. ")


def test_a_pod_without_limits_is_not_even_measured() -> None:
    free = pod("p", pod_spec(container("c1", "true"), volumes=VOLUMES[:1]))
    assert not has_limits(free)
    assert find_excess(free, usage(v1=10**6, c1=10**6)) is None


def evicted(pods: Pods, name: str, message: str) -> None:
    failed = pods.wait_for_phase(name, "Failed")
    assert failed["status"]["reason"] == "Evicted"
    assert failed["status"]["message"] == message
    # Exceeding a pod's own limit is not a disruption (kubelet: evictPod without a condition).
    assert not condition_of(failed, "DisruptionTarget")
    assert status_of(failed)["state"]["terminated"]["exitCode"] == 43
    assert pods.wait_for_event(name, "Evicted") == message


@pytest.mark.integration
def test_a_volume_beyond_its_limit_evicts_its_pod(pods: Pods) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    within = {"volumes": [{"name": "work", "emptyDir": {"sizeLimit": "60Mi"}}]}
    sparse = "truncate -s 1T /work/sparse; head -c 50000000 /dev/zero > /work/x; ls -s /work"
    pods.create(
        pod(
            "grows",
            pod_spec(
                container("main", GROWS.format(path="/work/x"), volumeMounts=mounts), **within
            ),
        ),
        pod(
            "stays",
            pod_spec(container("main", f"{sparse}; sleep 1000", volumeMounts=mounts), **within),
        ),
    )
    evicted(pods, "grows", 'Usage of EmptyDir volume "work" exceeds the limit "60Mi". ')
    assert pods.get("stays")["status"]["phase"] == "Running"
    # Its own files are gone from the disk, but its log is not.
    assert not (pods.folder("grows") / "volumes").exists()


@pytest.mark.integration
def test_a_limit_that_the_namespace_puts_in_counts(pods: Pods) -> None:
    limits = {"type": "Container", "default": {"ephemeral-storage": "30Mi"}}
    made = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "disk"},
        "spec": {"limits": [limits]},
    }
    pods.create(made)
    try:
        pods.create(pod("in-home", pod_spec(container("main", GROWS.format(path="$HOME/x")))))
    finally:
        pods.kubectl("delete", "limitrange", "disk")
    evicted(
        pods,
        "in-home",
        "Pod ephemeral local storage usage exceeds the total limit of containers 30Mi. ",
    )
