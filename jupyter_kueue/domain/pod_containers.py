"""The containers and conditions in a pod's status, as the API server returns it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.domain.kubernetes_objects import (
        Condition,
        ContainerState,
        ContainerStateTerminated,
        ContainerStatus,
        Pod,
    )


def conditions(pod: Pod) -> list[Condition]:
    """Return the pod's conditions."""
    return pod.get("status", {}).get("conditions", [])


def statuses(pod: Pod) -> list[ContainerStatus]:
    """Return the status of each container, in the order in which the kubelet starts them."""
    status = pod.get("status", {})
    return [
        *status.get("initContainerStatuses", []),
        *status.get("containerStatuses", []),
    ]


def status_of(pod: Pod, name: str) -> ContainerStatus | None:
    """Return the status of one container, None before the kubelet has reported one."""
    return next((item for item in statuses(pod) if item["name"] == name), None)


def state_of(pod: Pod, name: str) -> ContainerState:
    """Return the state of one container, empty before the kubelet has reported one."""
    status = status_of(pod, name)
    return {} if status is None else status.get("state", {})


def terminated(pod: Pod, name: str) -> ContainerStateTerminated | None:
    """Return how a container ended, None while it has not."""
    return state_of(pod, name).get("terminated")


def waiting_reason(status: ContainerStatus) -> str:
    """Return why a container waits, as the kubelet spells it; empty where it does not wait."""
    return status.get("state", {}).get("waiting", {}).get("reason", "")
