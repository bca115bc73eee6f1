"""How much of each resource a ClusterQueue owns, and how much it could have with borrowing.

Pure; ``service.queues`` calls it with raw ClusterQueues and Cohorts. The rules are Kueue's:
pkg/cache/scheduler/resource_node.go (v0.19).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jupyter_kueue import quantities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Json = dict[str, Any]
FlavorResource = tuple[str, str]

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Quota:
    """A ClusterQueue's quota of one resource over all flavors, in the resource's base unit.

    ``limit`` is None where it cannot be told, because the cohorts are not readable.
    """

    nominal: Decimal
    limit: Decimal | None


@dataclass(frozen=True)
class _Node:
    """A ClusterQueue, or a Cohort (then ``cohort`` is its name), in the tree of quotas."""

    parent: str | None
    quotas: Mapping[FlavorResource, Json]
    cohort: str | None = None


def covered_resources(cluster_queue: Json) -> frozenset[str]:
    """Return the resources that runs in this ClusterQueue may request at all."""
    groups = cluster_queue["spec"].get("resourceGroups") or []
    return frozenset(name for group in groups for name in group.get("coveredResources", []))


def quotas(
    name: str, cluster_queues: Iterable[Json], cohorts: Iterable[Json] | None
) -> dict[str, Quota]:
    """Return the quota of each resource of the ClusterQueue ``name``; empty if it is not there.

    Args:
        name: the ClusterQueue.
        cluster_queues: all ClusterQueues of the cluster.
        cohorts: all Cohort objects, None where they are not readable.
    """
    tree = _Tree(cluster_queues, cohorts or ())
    queue = tree.queues.get(name)
    if queue is None:
        return {}
    is_known = queue.parent is None or cohorts is not None
    found: dict[str, Quota] = {}
    for flavor, resource in queue.quotas:
        nominal = _amount(queue.quotas[flavor, resource].get("nominalQuota"))
        limit = tree.available(queue, (flavor, resource)) if is_known else None
        before = found.get(resource, Quota(_ZERO, _ZERO))
        found[resource] = Quota(
            before.nominal + nominal,
            None if limit is None or before.limit is None else before.limit + limit,
        )
    return found


class _Tree:
    def __init__(self, cluster_queues: Iterable[Json], cohorts: Iterable[Json]) -> None:
        self.queues = {
            item["metadata"]["name"]: _Node(
                item["spec"].get("cohortName") or None, dict(_entries(item))
            )
            for item in cluster_queues
        }
        self._cohorts: dict[str, _Node] = {}
        for item in cohorts:
            name = item["metadata"]["name"]
            self._cohorts[name] = _Node(
                item["spec"].get("parentName") or None, dict(_entries(item)), name
            )
        # A cohort that is only named by its members has no object, no quota and no parent.
        for node in [*self.queues.values(), *self._cohorts.values()]:
            if node.parent is not None:
                self._cohorts.setdefault(node.parent, _Node(None, {}, node.parent))

    def available(
        self, node: _Node, key: FlavorResource, below: frozenset[str] = frozenset()
    ) -> Decimal:
        """Return what ``node`` could use at most if nobody else used anything.

        ``below`` are the cohorts that the way up came through: Kueue stops the queues of cohorts
        that form a ring, and here a ring must only not go round for ever.
        """
        subtree = self._subtree(node, key)
        if node.parent is None or node.parent in below:
            return subtree
        most = self._guaranteed(node, key) + self.available(
            self._cohorts[node.parent], key, below | {node.parent}
        )
        borrowing = node.quotas.get(key, {}).get("borrowingLimit")
        return most if borrowing is None else min(most, subtree + _amount(borrowing))

    def _subtree(
        self, node: _Node, key: FlavorResource, above: frozenset[str] = frozenset()
    ) -> Decimal:
        """Return the quota of ``node`` and of all below it, less what these do not lend."""
        own = _amount(node.quotas.get(key, {}).get("nominalQuota"))
        if node.cohort is None or node.cohort in above:
            return own
        above = above | {node.cohort}
        return own + sum(
            (
                self._subtree(member, key, above) - self._guaranteed(member, key, above)
                for member in [*self.queues.values(), *self._cohorts.values()]
                if member.parent == node.cohort
            ),
            _ZERO,
        )

    def _guaranteed(
        self, node: _Node, key: FlavorResource, above: frozenset[str] = frozenset()
    ) -> Decimal:
        """Return what ``node`` keeps for itself: its quota above its lending limit."""
        lending = node.quotas.get(key, {}).get("lendingLimit")
        if lending is None:
            return _ZERO
        return max(_ZERO, self._subtree(node, key, above) - _amount(lending))


def _entries(item: Json) -> Iterator[tuple[FlavorResource, Json]]:
    for group in item["spec"].get("resourceGroups") or []:
        for flavor in group.get("flavors", []):
            for resource in flavor.get("resources", []):
                yield (flavor["name"], resource["name"]), resource


def _amount(quantity: str | int | None) -> Decimal:
    return _ZERO if quantity is None else quantities.reported(quantity)
