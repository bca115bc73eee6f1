"""Whether the pod's node has run short of memory or disk since the pod started.

If it has when the pod receives SIGTERM, a kubelet is evicting the pod; nothing else inside a pod
distinguishes this from a preemption. The thresholds are close to the kubelet's defaults
(https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/). A node that
exceeds them from the start is configured differently, and is ignored.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_LEAST_MEMORY_BYTES = 200 * 2**20
_LEAST_DISK = 0.15
_LEAST_INODES = 0.05
_MEMORY = Path("/proc/meminfo")


class NodeRoom(NamedTuple):
    """What a node has left: bytes of memory, and fractions of its disk's bytes and inodes."""

    memory_bytes: float
    disk: float
    inodes: float

    def shortages(self) -> set[str]:
        """Return the resources that the node is short of."""
        return {
            what
            for what, is_short in (
                ("memory", self.memory_bytes < _LEAST_MEMORY_BYTES),
                ("disk", self.disk < _LEAST_DISK or self.inodes < _LEAST_INODES),
            )
            if is_short
        }


def arisen(begin: NodeRoom, now: NodeRoom) -> set[str]:
    """Return the resources that the node is short of ``now`` but not at ``begin``."""
    return now.shortages() - begin.shortages()


def measure(folder: Path) -> NodeRoom:
    """Return what this node has left; ``folder`` is on the disk that pods write to."""
    disk = os.statvfs(folder)
    return NodeRoom(
        memory_bytes=_available_memory(_MEMORY.read_text()),
        disk=disk.f_bavail / max(disk.f_blocks, 1),
        # Some file systems create inodes on demand and report 0.
        inodes=disk.f_favail / disk.f_files if disk.f_files else 1.0,
    )


def _available_memory(meminfo: str) -> float:
    """Return MemAvailable of proc(5) in bytes, infinity if the kernel does not report it."""
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return float(value.split()[0]) * 1024
    return float("inf")
