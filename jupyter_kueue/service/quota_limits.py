"""How much of each resource a ClusterQueue owns, and how much it could have with borrowing.

Pure; ``service.queues`` calls it with raw ClusterQueues and Cohorts. The rules are Kueue's:
pkg/cache/scheduler/resource_node.go (v0.19).
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """A ClusterQueue or a Cohort in the tree of quotas; ``parent`` is the cohort's name."""

    parent: str | None
    quotas: Mapping[FlavorResource, Json]
    members: list[_Node] = field(default_factory=list)


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
    """The cohorts with their members. Each amount of a resource takes one pass, however deep."""

    def __init__(self, cluster_queues: Iterable[Json], cohorts: Iterable[Json]) -> None:
        self.queues = {
            item["metadata"]["name"]: _Node(
                item["spec"].get("cohortName") or None, dict(_entries(item))
            )
            for item in cluster_queues
        }
        self._cohorts = {
            item["metadata"]["name"]: _Node(
                item["spec"].get("parentName") or None, dict(_entries(item))
            )
            for item in cohorts
        }
        for node in [*self.queues.values(), *self._cohorts.values()]:
            if node.parent is not None:
                # A cohort that is only named by its members has no object, quota or parent.
                parent = self._cohorts.setdefault(node.parent, _Node(None, {}))
                parent.members.append(node)

    def available(self, queue: _Node, key: FlavorResource) -> Decimal:
        """Return what ``queue`` could use at most if nobody else used anything."""
        way = self._way_up(queue)
        subtrees = _subtrees(way[-1], key)
        available = subtrees[id(way[-1])]
        for node in reversed(way[:-1]):
            subtree = subtrees[id(node)]
            most = subtree - _lent(node, key, subtree) + available
            borrowing = node.quotas.get(key, {}).get("borrowingLimit")
            available = most if borrowing is None else min(most, subtree + _amount(borrowing))
        return available

    def _way_up(self, queue: _Node) -> list[_Node]:
        """Return the queue and the cohorts above it.

        Kueue stops the queues of cohorts that form a ring; here it only must not go round for ever.
        """
        way, seen = [queue], set()
        while (parent := way[-1].parent) is not None and parent not in seen:
            seen.add(parent)
            way.append(self._cohorts[parent])
        return way


def _subtrees(top: _Node, key: FlavorResource) -> dict[int, Decimal]:
    """Return the quota of each node below ``top``, and all below that lend to it, by its id()."""
    order, seen = [top], {id(top)}
    for node in order:  # it grows
        fresh = [member for member in node.members if id(member) not in seen]
        seen.update(map(id, fresh))
        order.extend(fresh)
    found: dict[int, Decimal] = {}
    for node in reversed(order):
        own = _amount(node.quotas.get(key, {}).get("nominalQuota"))
        lent = (
            # Not there yet: a member that is above it too, in a ring.
            _lent(member, key, found.get(id(member), _ZERO))
            for member in node.members
        )
        found[id(node)] = own + sum(lent, _ZERO)
    return found


def _lent(node: _Node, key: FlavorResource, subtree: Decimal) -> Decimal:
    """Return what ``node`` lends of its subtree's quota: all, up to its lending limit."""
    lending = node.quotas.get(key, {}).get("lendingLimit")
    return subtree if lending is None else min(subtree, _amount(lending))


def _entries(item: Json) -> Iterator[tuple[FlavorResource, Json]]:
    for group in item["spec"].get("resourceGroups") or []:
        for flavor in group.get("flavors", []):
            for resource in flavor.get("resources", []):
                yield (flavor["name"], resource["name"]), resource


def _amount(quantity: str | int | None) -> Decimal:
    return _ZERO if quantity is None else quantities.reported(quantity)
