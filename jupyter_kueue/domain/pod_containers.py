"""The containers and conditions in a pod's status, as the API server returns it. Pure."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def conditions(pod: Json) -> list[Json]:
    """Return the pod's conditions."""
    found: list[Json] = pod.get("status", {}).get("conditions") or []
    return found


def statuses(pod: Json) -> list[Json]:
    """Return the status of each container, in the order in which the kubelet starts them."""
    status = pod.get("status", {})
    return [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]


def status_of(pod: Json, name: str) -> Json:
    """Return the status of one container, empty until the kubelet reports it."""
    return next((item for item in statuses(pod) if item["name"] == name), {})


def terminated(pod: Json, name: str) -> Json | None:
    """Return how a container ended, None until it has ended."""
    ended: Json | None = status_of(pod, name).get("state", {}).get("terminated")
    return ended


def waiting_reason(status: Json) -> str:
    """Return why a container waits, as the kubelet spells it; empty if it does not wait."""
    return str((status.get("state", {}).get("waiting") or {}).get("reason") or "")
