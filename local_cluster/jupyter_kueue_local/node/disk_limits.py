"""Which disk limit a pod exceeds, in the kubelet's words. Pure.

Limits and messages are those of ``pkg/kubelet/eviction`` of Kubernetes 1.36
(``localStorageEviction``); the sum over containers is that of ``k8s.io/component-helpers/resource``
(``PodLimits``).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jupyter_kueue.domain import quantities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]

EVICTED_REASON = "Evicted"
NODE_LOW_MESSAGE = "The node was low on resource: ephemeral-storage. "
NODE_PRESSURE_MESSAGE = "Pod was rejected: The node had condition: [DiskPressure]. "
_RESOURCE = "ephemeral-storage"
_SUFFIXES = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_STEP = 1024


@dataclass(frozen=True)
class DiskUsage:
    """A pod's use of the disk in bytes: its emptyDirs, its containers, and what these share."""

    volumes: Mapping[str, int]
    containers: Mapping[str, int]
    shared: int


def has_limits(pod: Json) -> bool:
    """Return whether a pod has any disk limit, so that it must be measured."""
    volumes = pod["spec"].get("volumes", [])
    return any((v.get("emptyDir") or {}).get("sizeLimit") for v in volumes) or any(
        _limit(container) is not None
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    )


def find_excess(pod: Json, usage: DiskUsage) -> str | None:
    """Return why the kubelet would evict the pod, None if it is within its limits."""
    return next(_excesses(pod, usage), None)


def _excesses(pod: Json, usage: DiskUsage) -> Iterator[str]:
    in_memory = set()
    for volume in pod["spec"].get("volumes", []):
        source, name = volume.get("emptyDir") or {}, volume["name"]
        if source.get("medium") == "Memory":
            in_memory.add(name)
        size = str(source.get("sizeLimit") or 0)
        if 0 < quantities.parse(size) < usage.volumes.get(name, 0):
            yield f'Usage of EmptyDir volume "{name}" exceeds the limit "{size}". '
    total = usage.shared + sum(usage.containers.values())
    total += sum(size for name, size in usage.volumes.items() if name not in in_memory)
    limit = _pod_limit(pod)
    if limit is not None and total > limit:
        yield (
            "Pod ephemeral local storage usage exceeds the total limit of containers "
            f"{_canonical(limit)}. "
        )
    for container in pod["spec"]["containers"]:
        own = _limit(container)
        if own and usage.containers.get(container["name"], 0) > own:
            yield (
                f"Container {container['name']} exceeded its local ephemeral storage limit "
                f'"{_canonical(own)}". '
            )


def _limit(container: Json) -> Decimal | None:
    limits = (container.get("resources") or {}).get("limits") or {}
    return quantities.parse(str(limits[_RESOURCE])) if _RESOURCE in limits else None


def _pod_limit(pod: Json) -> Decimal | None:
    """Return the limit of all containers together; a container without a limit adds nothing."""
    init, main = pod["spec"].get("initContainers", []), pod["spec"]["containers"]
    sidecars = Decimal(0)
    largest_start = Decimal(0)
    for container in init:
        own = _limit(container) or Decimal(0)
        if container.get("restartPolicy") == "Always":
            sidecars += own
            largest_start = max(largest_start, sidecars)
        else:
            largest_start = max(largest_start, sidecars + own)
    if all(_limit(container) is None for container in (*init, *main)):
        return None
    together = sum((_limit(container) or Decimal(0) for container in main), sidecars)
    return max(together, largest_start)


def _canonical(size: Decimal) -> str:
    """Return bytes as Kubernetes formats a binary quantity: in the largest integral unit."""
    number, unit = int(size), ""
    for suffix in _SUFFIXES:
        if number % _STEP or not number:
            break
        number, unit = number // _STEP, suffix
    return f"{number}{unit}"
