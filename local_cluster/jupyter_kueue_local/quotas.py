"""The example quotas of a local cluster: two teams that share a cohort, and a queue without quota.

Changes by an admin with kubectl stay: these objects are applied again only when the cluster's size
changes.
"""

from __future__ import annotations

from typing import Any

from jupyter_kueue_local.node.gpu_devices import GPU_RESOURCE

_API = "kueue.x-k8s.io/v1beta2"
_FLAVOR = "local"
_MEBIBYTE = 2**20

# Workloads are ordered by this value, and a higher one preempts a lower one in its ClusterQueue.
PRIORITIES = {"low": -100, "normal": 0, "high": 100}


def quota_objects(*, gpus: int, cores: int, memory_bytes: int) -> list[dict[str, Any]]:
    """Return the cluster's flavor, priority classes, queues and their quotas.

    ``team-a`` and ``team-b`` have half of everything each; each may borrow what the other does not
    use, until the other reclaims it. The namespace ``other`` only borrows.
    """
    objects: list[dict[str, Any]] = [_object("ResourceFlavor", _FLAVOR)]
    objects += [
        {
            **_object("WorkloadPriorityClass", name),
            "value": value,
            "description": f"{name} priority",
        }
        for name, value in PRIORITIES.items()
    ]
    objects += team_objects(
        "local", namespace="default", gpus=gpus, cores=cores, memory_bytes=memory_bytes
    )
    nothing = {"cpu": "0", "memory": "0", GPU_RESOURCE: "0"}
    objects.append(cluster_queue("other", "local", nothing))
    objects.append(local_queue("other", "other", "other"))
    return objects


def team_objects(
    cohort: str,
    *,
    namespace: str,
    gpus: int,
    cores: int,
    memory_bytes: int,
    prefix: str = "",
) -> list[dict[str, Any]]:
    """Return a cohort and its two teams: a ClusterQueue each, and a LocalQueue in ``namespace``.

    Args:
        cohort: its name.
        namespace: the namespace of the LocalQueues ``team-a`` and ``team-b``.
        gpus: the quota of both teams together.
        cores: likewise.
        memory_bytes: likewise.
        prefix: precedes the names of the ClusterQueues, which are cluster-wide.
    """
    objects: list[dict[str, Any]] = [{**_object("Cohort", cohort), "spec": {}}]
    for name, share in (("team-a", (gpus + 1) // 2), ("team-b", gpus // 2)):
        quota = {
            "cpu": f"{cores * 500}m",
            "memory": f"{memory_bytes // _MEBIBYTE // 2}Mi",
            GPU_RESOURCE: str(share),
        }
        objects.append(cluster_queue(f"{prefix}{name}", cohort, quota))
        objects.append(local_queue(name, namespace, f"{prefix}{name}"))
    return objects


def cluster_queue(name: str, cohort: str, quota: dict[str, str]) -> dict[str, Any]:
    """Return a ClusterQueue with nominal ``quota`` that may borrow everything unused in its cohort.

    A higher-priority Workload preempts a lower one of the same queue, and a queue within its quota
    reclaims what others borrowed. A Workload that would have to borrow preempts nothing
    (``borrowWithinCohort`` is Kueue's default, Never).
    """
    return {
        **_object("ClusterQueue", name),
        "spec": {
            "cohortName": cohort,
            "namespaceSelector": {},
            "queueingStrategy": "BestEffortFIFO",
            "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
            "resourceGroups": [
                {
                    "coveredResources": list(quota),
                    "flavors": [
                        {
                            "name": _FLAVOR,
                            "resources": [
                                {"name": resource, "nominalQuota": amount}
                                for resource, amount in quota.items()
                            ],
                        }
                    ],
                }
            ],
        },
    }


def local_queue(name: str, namespace: str, of_cluster_queue: str) -> dict[str, Any]:
    """Return a LocalQueue of a namespace."""
    queue = _object("LocalQueue", name)
    queue["metadata"]["namespace"] = namespace
    return {**queue, "spec": {"clusterQueue": of_cluster_queue}}


def _object(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}}
