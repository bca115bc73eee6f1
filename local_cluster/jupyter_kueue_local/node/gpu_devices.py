"""Which of the node's simulated GPUs belong to which pod.

In memory only: each pod's folder keeps its own claim across a restart of the agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

GPU_RESOURCE = "nvidia.com/gpu"

Claim = dict[str, list[int]]


class NotEnoughGpusError(errors.JupyterKueueError):
    """Fewer devices are free than a pod requests."""


class GpuDevices:
    """A pool of devices numbered from 0."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._claims: dict[str, Claim] = {}

    def claim(self, uid: str, wanted: Mapping[str, int]) -> Claim:
        """Return distinct devices for each container of a pod: container -> device numbers.

        Raises:
            NotEnoughGpusError: with the message of the kubelet's device manager
                (``pkg/kubelet/cm/devicemanager/manager.go``).
        """
        free = self._free()
        total = sum(wanted.values())
        if total > len(free):
            raise NotEnoughGpusError(
                foreign(
                    "Allocate failed due to requested number of devices unavailable for "
                    f"{GPU_RESOURCE}. Requested: {total}, Available: {len(free)}, which is "
                    "unexpected"
                )
            )
        claim = {name: [free.pop(0) for _ in range(count)] for name, count in wanted.items()}
        self._claims[uid] = claim
        return claim

    def restore(self, uid: str, claim: Claim) -> None:
        """Restore the claim of a pod that was running before the agent was started."""
        self._claims[uid] = claim

    def release(self, uid: str) -> None:
        """Release a pod's devices; harmless if it has none."""
        self._claims.pop(uid, None)

    def _free(self) -> list[int]:
        taken = {d for claim in self._claims.values() for ds in claim.values() for d in ds}
        return [device for device in range(self._count) if device not in taken]


def wanted_gpus(pod_spec: Mapping[str, Any]) -> dict[str, int]:
    """Return how many GPUs each container of a pod requests, without containers that request none.

    An init container keeps its devices while the pod lives, although a real device manager passes
    them on. The scheduler counts the larger of the two, so this may refuse pods that fit only in
    turns, but it never gives one device to two containers.
    """
    wanted = {}
    for container in [*pod_spec.get("initContainers", []), *pod_spec["containers"]]:
        resources = container.get("resources", {})
        count = int(
            resources.get("limits", {}).get(GPU_RESOURCE)
            or resources.get("requests", {}).get(GPU_RESOURCE)
            or 0
        )
        if count:
            wanted[container["name"]] = count
    return wanted
