"""Why a kubelet evicted a pod: because of the pod's own use, or because its node ran short.

Pure. The texts are the kubelet's (``pkg/kubelet/eviction/helpers.go``). The reason is always
``Evicted``; only node pressure adds the condition DisruptionTarget.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import quantities

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Pod

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
_LACKS = {
    "memory": say("lacks-memory", "memory"),
    "ephemeral-storage": say("lacks-disk", "disk"),
    "inodes": say("lacks-disk", "disk"),
    "pids": say("lacks-process-ids", "process IDs"),
}

_BY_ITS_NODE = say("node-evicted-it", "its machine evicted it")


@dataclass(frozen=True)
class Eviction:
    """Why a pod was evicted.

    Attributes:
        reason: ``disk-full`` if it exceeded its own disk limit, as the next attempt would;
            ``node-full`` if its node's disk was full before it began; otherwise ``evicted``.
        message: a sentence.
        cause: what its node did, as part of a sentence.
    """

    reason: str
    message: Sentence
    cause: Sentence = _BY_ITS_NODE

    @property
    def is_its_own_doing(self) -> bool:
        """Whether another attempt would end the same way."""
        return self.reason == pod_contract.DISK_FULL


def of(pod: Pod) -> Eviction | None:
    """Return why a pod was evicted, None if it was not."""
    status = pod.get("status", {})
    if status.get("reason") != REASON:
        return None
    text = status.get("message", "")
    if match := _VOLUME.search(text):
        return _own(
            say(
                "volume-may-hold",
                "its volume {volume} may hold {amount}",
                volume=match["name"],
                amount=_size(match["limit"]),
            )
        )
    if match := _POD.search(text):
        return _own(
            say(
                "may-use-of-disk",
                "it may use {amount} of its machine's disk",
                amount=_size(match["limit"]),
            )
        )
    if match := _CONTAINER.search(text):
        return _own(
            say(
                "container-may-use-of-disk",
                "its container {container} may use {amount} of its machine's disk",
                container=match["name"],
                amount=_size(match["limit"]),
            )
        )
    if match := _CONDITION.search(text):
        if "DiskPressure" in match["conditions"]:
            said = say(
                "node-full-before",
                "The disk of its machine was full before it started. Run it again.",
            )
            return Eviction("node-full", said)
        said = say(
            "node-took-no-pods",
            "Its machine accepted no more runs ({conditions}). Run it again.",
            conditions=match["conditions"],
        )
        return Eviction(pod_contract.EVICTED, said)
    lacked = _LOW.search(text)
    what = (
        _LACKS.get(lacked["resource"], lacked["resource"])
        if lacked
        else say("lacks-resources", "resources")
    )
    used = next(
        (m["amount"] for m in _USING.finditer(text) if m["name"] == pod_contract.NOTEBOOK), None
    )
    cause = say("node-ran-out", "its machine ran out of {what}", what=what)
    message = (
        say(
            "evicted-using",
            "Evicted: {cause}. The notebook used {amount} of it. Run it again.",
            cause=cause,
            amount=used,
        )
        if used
        else say("evicted", "Evicted: {cause}. Run it again.", cause=cause)
    )
    return Eviction(pod_contract.EVICTED, message, cause)


def _size(text: str | None) -> str:
    try:
        return quantities.shortly("memory", float(quantities.parse(text or "")))
    except ValueError:
        return text or say("less", "less")


def _own(limit: Sentence) -> Eviction:
    said = say(
        "wrote-too-much",
        "Evicted: it wrote more than allowed: {limit}. Write less, or ask an admin for more.",
        limit=limit,
    )
    return Eviction(pod_contract.DISK_FULL, said)
