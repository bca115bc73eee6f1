"""The pod's status in the API, from its containers and in the kubelet's words. Pure.

The rules are those of ``pkg/kubelet/kubelet_pods.go`` (``getPhase``,
``convertToAPIContainerStatuses``) and ``pkg/kubelet/status/generate.go`` of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local.node.containers import (
    LOST_EXIT_CODE,
    LOST_MESSAGE,
    LOST_REASON,
    Container,
    Terminated,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Json = dict[str, Any]

ISOLATION_CONDITION = "jupyter-kueue/Isolation"
_ISOLATION_MESSAGE = (
    "The local node runs containers as plain processes: security contexts and file systems are "
    "accepted, not enforced."
)
TERMINAL_PHASES = ("Succeeded", "Failed")


@dataclass(frozen=True)
class PodView:
    """What determines a pod's status.

    Attributes:
        containers: all of them, init containers first, in the spec's order.
        failure: reason and message if the whole pod failed, whatever the state of its containers.
        disrupted: the failure is the node's shutdown.
        prepared: volumes exist, so that containers may start.
        final: no container will be started any more.
        start_time: when the node first saw the pod, RFC 3339.
    """

    pod: Json
    containers: Sequence[Container]
    failure: tuple[str, str] | None
    disrupted: bool
    prepared: bool
    final: bool
    start_time: str
    address: str
    images: Mapping[str, Path]


def build_status(view: PodView, old: Json, now: str) -> Json:
    """Return the pod's status. Unchanged conditions keep the transition times of ``old``."""
    init = [c for c in view.containers if c.kind != "main"]
    main = [c for c in view.containers if c.kind == "main"]
    alive = any(c.alive for c in view.containers)
    has_init = bool(init)
    ended = view.final and not alive
    init_statuses = [_container_status(c, view, has_init) for c in init]
    main_statuses = [_container_status(c, view, has_init) for c in main]
    if ended:
        _mark_lost(init_statuses, main_statuses)
    phase = _phase(view, init, main, init_statuses, main_statuses)
    failed = view.failure if phase == "Failed" else None
    status: Json = {
        "phase": phase,
        "observedGeneration": view.pod["metadata"].get("generation"),
        "startTime": view.start_time,
        "hostIP": view.address,
        "hostIPs": [{"ip": view.address}],
        "qosClass": qos_class(view.pod),
        "reason": failed[0] if failed else None,
        "message": failed[1] if failed else None,
    }
    # Refused before anything was created: there is no status of containers.
    refused = view.failure is not None and not view.prepared
    if not refused:
        status["containerStatuses"] = main_statuses
    if view.prepared:
        status["podIP"] = view.address
        status["podIPs"] = [{"ip": view.address}]
    if has_init and not refused:
        status["initContainerStatuses"] = init_statuses
    ephemeral = view.pod["spec"].get("ephemeralContainers")
    if ephemeral:
        status["ephemeralContainerStatuses"] = [_refused_ephemeral(c) for c in ephemeral]
    status["conditions"] = _with_times(
        _conditions(view, phase, init, init_statuses, main_statuses, ended=ended), old, now
    )
    return status


def qos_class(pod: Json) -> str:
    """Return Guaranteed, Burstable or BestEffort (``pkg/apis/core/v1/helper/qos/qos.go``)."""
    spec = pod["spec"]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    resources = [c.get("resources", {}) for c in containers]
    asked = [
        (r.get(kind) or {}).get(name)
        for r in resources
        for kind in ("requests", "limits")
        for name in ("cpu", "memory")
    ]
    if not any(asked):
        return "BestEffort"
    guaranteed = all(
        (r.get("limits") or {}).get(name)
        and (r.get("requests") or {}).get(name, r["limits"][name]) == r["limits"][name]
        for r in resources
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if guaranteed else "Burstable"


def container_id(pod: Json, container: Container, attempt: int) -> str:
    """Return the id of one start of a container."""
    return f"process://{pod['metadata']['uid']}/{container.name}/{attempt}"


def _container_status(container: Container, view: PodView, has_init: bool) -> Json:
    pod = view.pod
    prefix = view.images.get(container.spec.get("image", ""))
    status: Json = {
        "name": container.name,
        "image": container.spec.get("image", ""),
        "imageID": f"folder://{prefix}" if prefix and container.attempt >= 0 else "",
        "restartCount": container.restart_count,
        "ready": False,
        "started": False,
        "lastState": {},
    }
    if container.attempt >= 0:
        status["containerID"] = container_id(pod, container, container.attempt)
    last = container.last_terminated
    if container.waiting:
        status["state"] = {"waiting": {"reason": container.waiting.reason}}
        if container.waiting.message:
            status["state"]["waiting"]["message"] = container.waiting.message
        last = container.terminated or last
    elif container.running:
        started_at = _time(container.running.started_ns)
        status["state"] = {"running": {"startedAt": started_at}}
        status["started"] = container.started
        status["ready"] = container.ready
    elif container.terminated:
        status["state"] = {"terminated": _terminated(container.terminated, container, pod)}
        # A finished init container counts as ready (kubelet_pods.go, updateProbeStatus).
        status["ready"] = container.kind == "init" and container.terminated.exit_code == 0
    else:
        reason = "PodInitializing" if has_init else "ContainerCreating"
        status["state"] = {"waiting": {"reason": reason}}
    if last:
        status["lastState"] = {"terminated": _terminated(last, container, pod)}
    return status


def _terminated(end: Terminated, container: Container, pod: Json) -> Json:
    return {
        "exitCode": end.exit_code,
        "reason": end.reason,
        **({"message": end.message} if end.message else {}),
        "startedAt": None if end.started_ns is None else _time(end.started_ns),
        "finishedAt": None if end.finished_ns is None else _time(end.finished_ns),
        "containerID": container_id(pod, container, end.attempt),
    }


def _refused_ephemeral(container: Json) -> Json:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "restartCount": 0,
        "ready": False,
        "state": {
            "waiting": {
                "reason": "CreateContainerError",
                "message": "the local node does not support ephemeral containers",
            }
        },
    }


def _mark_lost(init_statuses: list[Json], main_statuses: list[Json]) -> None:
    """Give every container of an ended pod an end, as the kubelet's ``TerminatePod`` does."""
    lost = {"exitCode": LOST_EXIT_CODE, "reason": LOST_REASON, "message": LOST_MESSAGE}
    begun = [
        i for i, s in enumerate(init_statuses) if "waiting" not in s["state"] or s["lastState"]
    ]
    initialized = not init_statuses or any("waiting" not in s["state"] for s in main_statuses)
    affected = init_statuses[: begun[-1] + 1] if begun else init_statuses[:1]
    if initialized:
        affected = [*affected, *main_statuses]
    for status in affected:
        if "terminated" not in status["state"]:
            if status["lastState"] and "waiting" in status["state"]:
                # It waited for a restart: its last end is final.
                status["state"] = status["lastState"]
                status["lastState"] = {}
            else:
                status["state"] = {"terminated": dict(lost)}


def _phase(
    view: PodView,
    init: list[Container],
    main: list[Container],
    init_statuses: list[Json],
    main_statuses: list[Json],
) -> str:
    alive = any(c.alive for c in view.containers)
    if view.final and not alive:
        codes = [s["state"].get("terminated", {}).get("exitCode") for s in main_statuses]
        succeeded = all(code == 0 for code in codes) and view.failure is None
        return "Succeeded" if succeeded else "Failed"
    started = any(c.attempt >= 0 for c in main)
    pending_init = any(
        "terminated" not in s["state"] if c.kind == "init" else not s["started"]
        for c, s in zip(init, init_statuses, strict=True)
    )
    never_started = any("waiting" in s["state"] and not s["lastState"] for s in main_statuses)
    if (pending_init and not started) or never_started:
        return "Pending"
    return "Running"


def _conditions(
    view: PodView,
    phase: str,
    init: list[Container],
    init_statuses: list[Json],
    main_statuses: list[Json],
    *,
    ended: bool,
) -> list[Json]:
    sidecars = [s for c, s in zip(init, init_statuses, strict=True) if c.kind == "sidecar"]
    unready = [s["name"] for s in (*sidecars, *main_statuses) if not s["ready"]]
    incomplete = [
        s["name"]
        for c, s in zip(init, init_statuses, strict=True)
        if not (
            s["started"]
            if c.kind == "sidecar"
            else s["state"].get("terminated", {}).get("exitCode") == 0
        )
    ]
    if phase == "Succeeded":
        initialized = _condition("Initialized", status=True, reason="PodCompleted")
    elif incomplete and all(c.attempt < 0 for c in view.containers if c.kind == "main"):
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        initialized = _condition(
            "Initialized", status=False, reason="ContainersNotInitialized", message=message
        )
    else:
        initialized = _condition("Initialized", status=True)
    if phase in TERMINAL_PHASES:
        reason, message = ("PodCompleted" if phase == "Succeeded" else "PodFailed"), ""
    else:
        reason, message = (
            "ContainersNotReady",
            (f"containers with unready status: [{' '.join(unready)}]"),
        )
    ready = not unready and phase not in TERMINAL_PHASES
    conditions = [
        _condition("PodReadyToStartContainers", status=view.prepared and not ended),
        initialized,
        *(
            _condition(kind, status=True)
            if ready
            else _condition(kind, status=False, reason=reason, message=message)
            for kind in ("Ready", "ContainersReady")
        ),
        _condition(
            ISOLATION_CONDITION, status=False, reason="LocalNode", message=_ISOLATION_MESSAGE
        ),
    ]
    if view.disrupted and view.failure:
        conditions.append(
            _condition(
                "DisruptionTarget",
                status=True,
                reason="TerminationByKubelet",
                message=view.failure[1],
            )
        )
    return conditions


def _condition(kind: str, *, status: bool, reason: str = "", message: str = "") -> Json:
    # Empty texts are sent as null, because the merge patch would keep the old value.
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": reason or None,
        "message": message or None,
    }


def _with_times(conditions: list[Json], old: Json, now: str) -> list[Json]:
    before = {c["type"]: c for c in old.get("conditions", [])}
    for condition in conditions:
        same = before.get(condition["type"])
        unchanged = same is not None and same["status"] == condition["status"]
        condition["lastTransitionTime"] = same["lastTransitionTime"] if same and unchanged else now
        condition["lastProbeTime"] = None
    return conditions


def _time(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
