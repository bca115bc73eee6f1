"""What the workers of all pods of a node share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue_local.node import registration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue_local.node.events import EventRecorder
    from jupyter_kueue_local.node.gpu_devices import GpuDevices
    from jupyter_kueue_local.node.node_config import NodeConfig


@dataclass(frozen=True)
class NodeServices:
    """The services of one node; ``short_path`` is a short name of the folder ``pods``."""

    config: NodeConfig
    connection: Connection
    events: EventRecorder
    gpus: GpuDevices
    pods: Path
    short_path: Path

    @property
    def capacity(self) -> Mapping[str, str]:
        """The node's CPU, memory and disk, as quantities."""
        return {
            "cpu": self.config.cpu,
            "memory": self.config.memory,
            "ephemeral-storage": str(registration.disk_bytes(self.config.folder)),
        }
