"""Registers the Node, and renews its status and its Lease.

Without the Lease, the controller manager considers the node lost (40 s) and later evicts its pods
(https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats).
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster.connection import STRATEGIC_MERGE_PATCH
from jupyter_kueue.domain import errors
from jupyter_kueue_local._version import __version__
from jupyter_kueue_local.node import disk_usage
from jupyter_kueue_local.node.gpu_devices import GPU_RESOURCE

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue_local.node.node_config import NodeConfig

Json = dict[str, Any]

_LEASE_SECONDS = 40
_RENEW_SECONDS = 10.0
_RETRY_SECONDS = 1.0
# The status itself is refreshed less often than the Lease, as the kubelet does.
_STATUS_EVERY_RENEWALS = 6
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_NODES = "/api/v1/nodes"

log = logging.getLogger(__name__)


class Registration:
    """One node's presence in the cluster."""

    def __init__(self, connection: Connection, config: NodeConfig) -> None:
        self._connection = connection
        self._config = config
        self._full_disk = False

    async def keep_registered(self) -> None:
        """Create or adopt the Node and renew its status and Lease until cancelled."""
        renewals = 0
        failing = False
        while True:
            try:
                disk_changed = self._full_disk != disk_usage.is_full(self._config.pods)
                if renewals % _STATUS_EVERY_RENEWALS == 0 or disk_changed:
                    await self.report(ready=True)
                await self._renew_lease()
            except errors.JupyterKueueError as error:
                if not failing:
                    log.warning("node=%s not registered: %s", self._config.name, error)
                failing = True
                # The Node may have been deleted, or marked as lost, meanwhile: report everything
                # again.
                renewals = 0
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if failing or renewals == 0:
                log.info("node=%s registered and ready", self._config.name)
            failing = False
            renewals += 1
            await asyncio.sleep(_RENEW_SECONDS)

    async def report(self, *, ready: bool) -> None:
        """Report the node's whole status once; ``ready=False`` means that it is shutting down."""
        now = _now()
        self._full_disk = disk_usage.is_full(self._config.pods)
        status = self._status(now, ready=ready)
        path = f"{_NODES}/{self._config.name}"
        try:
            node = await self._connection.get(path)
        except errors.NotFoundError:
            node = await self._connection.create(
                _NODES,
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": self._config.name, "labels": self._labels()},
                    "spec": {},
                },
            )
        labels = node["metadata"].get("labels", {})
        if any(labels.get(key) != value for key, value in self._labels().items()):
            await self._connection.patch(path, {"metadata": {"labels": self._labels()}})
        old = {c["type"]: c for c in node.get("status", {}).get("conditions", [])}
        for condition in status["conditions"]:
            before = old.get(condition["type"])
            if before and before["status"] == condition["status"]:
                condition["lastTransitionTime"] = before["lastTransitionTime"]
        await self._connection.patch(
            f"{path}/status", {"status": status}, content_type=STRATEGIC_MERGE_PATCH
        )

    async def _renew_lease(self) -> None:
        name = self._config.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            await self._connection.patch(f"{_LEASES}/{name}", {"spec": spec})
        except errors.NotFoundError:
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            await self._connection.create(_LEASES, lease)

    def _labels(self) -> dict[str, str]:
        return {
            "kubernetes.io/hostname": self._config.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _architecture(),
        }

    def _status(self, now: str, *, ready: bool) -> Json:
        capacity = {
            "cpu": self._config.cpu,
            "memory": self._config.memory,
            "pods": "110",
            "ephemeral-storage": str(disk_bytes(self._config.pods)),
            GPU_RESOURCE: str(self._config.gpus),
        }
        address = self._config.address
        return {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": self._config.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._config.port}},
            "conditions": _conditions(now, ready=ready, full_disk=self._full_disk),
            "nodeInfo": _node_info(),
            "images": [{"names": [name]} for name in sorted(self._config.read_images())],
        }


def _conditions(now: str, *, ready: bool, full_disk: bool) -> list[Json]:
    pressures = (
        ("MemoryPressure", "KubeletHasSufficientMemory", "enough memory is available"),
        ("PIDPressure", "KubeletHasSufficientPID", "the number of processes is not watched"),
    )
    conditions = [
        {"type": kind, "status": "False", "reason": reason, "message": message}
        for kind, reason, message in pressures
    ]
    conditions.append(
        {
            "type": "DiskPressure",
            "status": "True" if full_disk else "False",
            "reason": "KubeletHasDiskPressure" if full_disk else "KubeletHasNoDiskPressure",
            "message": "kubelet has disk pressure" if full_disk else "kubelet has no disk pressure",
        }
    )
    conditions.append(
        {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "message": "the node agent runs pods as local processes"
            if ready
            else "node is shutting down",
        }
    )
    return [{**c, "lastHeartbeatTime": now, "lastTransitionTime": now} for c in conditions]


def _node_info() -> Json:
    system = platform.uname()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {
        "machineID": _machine_id() or boot_id,
        "systemUUID": _machine_id() or boot_id,
        "bootID": boot_id,
        "kernelVersion": system.release,
        "osImage": _os_name(),
        "containerRuntimeVersion": f"process://{__version__}",
        "kubeletVersion": f"v{__version__}-jupyter-kueue",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": _architecture(),
    }


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:  # not every system has it
        return ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:  # not every system has it
        return "Linux"


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def disk_bytes(folder: Path) -> int:
    """Return the size of the disk that pods write to."""
    disk = os.statvfs(folder)
    return disk.f_frsize * disk.f_blocks


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
