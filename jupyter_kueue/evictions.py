"""Why a kubelet evicted a pod: for what the pod itself did, or for what its node lacked.

Pure; ``status`` asks. The texts are the kubelet's (``pkg/kubelet/eviction/helpers.go``); the reason
is always ``Evicted``, and only node pressure adds the condition DisruptionTarget.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jupyter_kueue import contract, quantities

Json = dict[str, Any]

REASON = "Evicted"

_VOLUME = re.compile(
    r'Usage of EmptyDir volume "(?P<name>[^"]+)" exceeds the limit "(?P<limit>[^"]+)"'
)
_POD = re.compile(
    r"Pod ephemeral local storage usage exceeds"
    r"(?: the total limit of containers (?P<limit>\S+?)\.)?"
)
_CONTAINER = re.compile(
    r'Container (?P<name>\S+) exceeded its local ephemeral storage limit "(?P<limit>[^"]+)"'
)
_LOW = re.compile(r"The node was low on resource: (?P<resource>[\w-]+)")
_USING = re.compile(r"Container (?P<name>\S+) was using (?P<amount>\S+), request is")
_CONDITION = re.compile(r"The node had condition: \[(?P<conditions>[^\]]*)\]")
_LACKS = {"memory": "memory", "ephemeral-storage": "disk", "inodes": "disk", "pids": "process ids"}


@dataclass(frozen=True)
class Eviction:
    """Why a pod was evicted.

    Attributes:
        reason: ``disk-full`` if it filled its own share of the disk, which the next attempt would
            do again; ``node-full`` if its node's disk was full before it began; else ``evicted``.
        message: a sentence.
        cause: what its node did, as a part of a sentence.
    """

    reason: str
    message: str
    cause: str = "its node evicted it"

    @property
    def is_its_own_doing(self) -> bool:
        """Whether another attempt would end the same way."""
        return self.reason == contract.DISK_FULL


def of(pod: Json) -> Eviction | None:
    """Return why a pod was evicted, None if it was not."""
    status = pod.get("status", {})
    if status.get("reason") != REASON:
        return None
    text = str(status.get("message") or "")
    if match := _VOLUME.search(text):
        return _own(f"its volume {match['name']} may hold {_size(match['limit'])}")
    if match := _POD.search(text):
        return _own(f"it may use {_size(match['limit'])} of its node's disk")
    if match := _CONTAINER.search(text):
        return _own(
            f"its container {match['name']} may use {_size(match['limit'])} of its node's disk"
        )
    if match := _CONDITION.search(text):
        if "DiskPressure" in match["conditions"]:
            return Eviction(
                "node-full", "The disk of its node was full before it began. Run it again."
            )
        return Eviction(
            contract.EVICTED,
            f"Its node took no more pods ({match['conditions']}). Run it again.",
        )
    lacked = _LOW.search(text)
    what = _LACKS.get(lacked["resource"], lacked["resource"]) if lacked else "resources"
    used = next(
        (m["amount"] for m in _USING.finditer(text) if m["name"] == contract.NOTEBOOK), None
    )
    more = f" The notebook used {used} of it." if used else ""
    cause = f"its node ran out of {what}"
    return Eviction(contract.EVICTED, f"Evicted: {cause}.{more} Run it again.", cause)


def _size(text: str | None) -> str:
    try:
        return quantities.in_words("memory", float(quantities.parse(text or ""))).split(" of ")[0]
    except ValueError:
        return text or "less"


def _own(limit: str) -> Eviction:
    return Eviction(
        contract.DISK_FULL,
        f"Evicted: it wrote more than it may: {limit}. Write less, or ask an admin for more.",
    )
