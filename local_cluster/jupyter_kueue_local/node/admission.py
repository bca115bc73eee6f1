"""Refuses pods that this node cannot run as intended, with a reason.

What only a kernel's isolation could enforce (security contexts, read-only roots, seccomp) is
accepted but not enforced; the pod's condition ``jupyter-kueue/Isolation`` says so.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

REASON = "UnsupportedByLocalNode"

_VOLUME_KINDS = frozenset(
    (
        "emptyDir",
        "secret",
        "configMap",
        "downwardAPI",
        "projected",
        "hostPath",
        "persistentVolumeClaim",
    )
)
_PROJECTED_KINDS = frozenset(("secret", "configMap", "downwardAPI", "serviceAccountToken"))
# Fields of a pod's spec that a plain process cannot support.
_POD_FIELDS = {
    "hostPID": "the host's process namespace",
    "hostIPC": "the host's IPC namespace",
    "shareProcessNamespace": "a process namespace shared by its containers",
    "runtimeClassName": "a runtime class",
    "hostAliases": "entries in /etc/hosts",
    "resourceClaims": "dynamically allocated resources",
}
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def find_refusal(pod: Json) -> str | None:
    """Return why this node cannot run the pod, None if it can."""
    spec = pod["spec"]
    for field, meaning in _POD_FIELDS.items():
        if spec.get(field):
            return _sentence(f"asks for {meaning} (spec.{field})")
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        return _sentence(f"is for {spec['os']['name']}")
    for volume in spec.get("volumes", []):
        kind = next((key for key in volume if key != "name"), "emptyDir")
        if kind not in _VOLUME_KINDS:
            return _sentence(f'has the volume "{volume["name"]}" of kind {kind}')
        for source in (volume[kind] or {}).get("sources", []) if kind == "projected" else []:
            unknown = [part for part in source if part not in _PROJECTED_KINDS]
            if unknown:
                return _sentence(f'has the volume "{volume["name"]}" projected from {unknown[0]}')
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        reason = _container_refusal(container, init=container not in spec["containers"])
        if reason:
            return _sentence(f'has the container "{container["name"]}" that {reason}')
    return None


def _container_refusal(container: Json, *, init: bool) -> str | None:
    if container.get("volumeDevices"):
        return "uses a block device (volumeDevices)"
    if container.get("restartPolicyRules"):
        return "has restart rules of its own (restartPolicyRules)"
    if container.get("restartPolicy") and not (init and container["restartPolicy"] == "Always"):
        return "has a restart policy of its own (restartPolicy)"
    lifecycle = container.get("lifecycle") or {}
    if lifecycle.get("postStart"):
        return "has a postStart hook"
    if lifecycle.get("stopSignal"):
        return "names its stop signal"
    for probe in _PROBES:
        if "grpc" in (container.get(probe) or {}):
            return f"has a gRPC {probe}"
    return None


def _sentence(what: str) -> str:
    return (
        f"The pod {what}, which the local node cannot provide: it runs pods as plain processes. "
        "Leave it out, or use a cluster with a kubelet."
    )
