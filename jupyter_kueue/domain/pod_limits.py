"""CPU and disk limits of a pod's containers, from the admin's settings.

Pure. How disk limits are enforced: https://kubernetes.io/docs/concepts/storage/ephemeral-storage/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import quantities

if TYPE_CHECKING:
    from jupyter_kueue.domain.kubernetes_manifests import Container, EnvVar, PodSpec, Volume

# A staging container requests almost nothing; with a limit of that size it would crawl.
_LEAST_CPU_LIMIT = "500m"
_NO_DISK = "0"


@dataclass(frozen=True)
class PodLimits:
    """What an admin allows each pod. ``None`` means no limit, or no request.

    Attributes:
        cpu_limit: a container's CPU limit as a multiple of its request.
        ephemeral_storage_request, ephemeral_storage_limit: of the node's disk, for the whole pod,
            as quantities. They are set on the notebook's container; the others get 0.
        volume_sizes: pairs of a volume and its sizeLimit, a quantity.
    """

    cpu_limit: float | None = None
    ephemeral_storage_request: str | None = None
    ephemeral_storage_limit: str | None = None
    volume_sizes: tuple[tuple[str, str | None], ...] = ()


def applied(spec: PodSpec, limits: PodLimits) -> PodSpec:
    """Return a pod's spec with the limits in it, and with what tells its notebook about them."""
    own = {item["name"] for item in spec["volumes"] if "emptyDir" in item}
    sizes = {name: size for name, size in limits.volume_sizes if size and name in own}
    names = [item["name"] for item in (*spec["initContainers"], *spec["containers"])]
    told = _told(names, sizes)
    return {
        **spec,
        "initContainers": [_container(item, limits) for item in spec["initContainers"]],
        "containers": [
            {**_container(item, limits), "env": [*item["env"], *told]}
            for item in spec["containers"]
        ],
        "volumes": [_volume(item, sizes) for item in spec["volumes"]],
    }


def _container(container: Container, limits: PodLimits) -> Container:
    resources = container["resources"]
    requests, most = dict(resources["requests"]), dict(resources["limits"])
    if limits.cpu_limit is not None:
        wanted = float(quantities.parse(requests["cpu"])) * limits.cpu_limit
        least = float(quantities.parse(_LEAST_CPU_LIMIT))
        is_notebook = container["name"] == pod_contract.NOTEBOOK
        most["cpu"] = _millicores(wanted if is_notebook else max(wanted, least))
    for amounts, size in (
        (requests, limits.ephemeral_storage_request),
        (most, limits.ephemeral_storage_limit),
    ):
        if size is not None:
            amounts["ephemeral-storage"] = (
                size if container["name"] == pod_contract.NOTEBOOK else _NO_DISK
            )
    return {**container, "resources": {"requests": requests, "limits": most}}


def _millicores(cores: float) -> str:
    return f"{round(cores * 1000)}m"


def _volume(volume: Volume, sizes: dict[str, str]) -> Volume:
    if volume["name"] not in sizes:
        return volume
    return {**volume, "emptyDir": {**volume["emptyDir"], "sizeLimit": sizes[volume["name"]]}}


def _told(containers: list[str], sizes: dict[str, str]) -> list[EnvVar]:
    """Return the variables that ``runner.notebook.disk_use`` reads.

    The downward API provides the containers' limits, because a LimitRange may set them. Without a
    limit it reports the node's capacity.
    """
    own = {name: int(quantities.parse(size)) for name, size in sizes.items()}
    return [
        {"name": pod_contract.ENV_VOLUME_LIMITS, "value": json.dumps(own)},
        *(_disk_limit(name, number) for number, name in enumerate(containers, 1)),
    ]


def _disk_limit(container: str, number: int) -> EnvVar:
    is_own = container == pod_contract.NOTEBOOK
    variable = pod_contract.ENV_DISK_LIMIT
    return {
        "name": variable if is_own else f"{variable}_{number}",
        "valueFrom": {
            "resourceFieldRef": {
                "containerName": container,
                "resource": "limits.ephemeral-storage",
                "divisor": "1",
            }
        },
    }
