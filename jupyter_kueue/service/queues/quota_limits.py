"""How much of each resource a ClusterQueue owns, could have with borrowing, and could have now.

Pure: from raw ClusterQueues and Cohorts. The rules are Kueue's:
pkg/cache/scheduler/resource_node.go (v0.19).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from jupyter_kueue.domain import quantities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jupyter_kueue.domain.kubernetes_objects import (
        ClusterQueue,
        Cohort,
        Quantity,
        ResourceQuota,
    )

FlavorResource = tuple[str, str]

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Quota:
    """A ClusterQueue's quota of one resource, in the resource's base unit.

    Attributes:
        nominal: what it owns, over all flavors.
        limit: what it could have at most if nobody else used anything, over all flavors. This and
            what follows is None where it cannot be told, because the cohorts are not readable.
        largest: the limit in the flavor that has most; a pod gets all it has from one flavor.
        free: what it could have now with nobody having to make room, over all flavors.
        reclaimable: what others use of what it owns, and it could take back; 0 where its
            ClusterQueue takes nothing back.
    """

    nominal: Decimal
    limit: Decimal | None
    largest: Decimal | None
    free: Decimal | None
    reclaimable: Decimal | None

    def plus(self, other: Quota) -> Quota:
        """Return the quota of two flavors."""
        return Quota(
            self.nominal + other.nominal,
            _sum(self.limit, other.limit),
            None
            if self.largest is None or other.largest is None
            else max(self.largest, other.largest),
            _sum(self.free, other.free),
            _sum(self.reclaimable, other.reclaimable),
        )


@dataclass(frozen=True)
class _Node:
    """A ClusterQueue or a Cohort in the tree of quotas; ``parent`` is the cohort's name."""

    parent: str | None
    quotas: Mapping[FlavorResource, ResourceQuota]
    used: Mapping[FlavorResource, Decimal] = field(default_factory=dict)  # a ClusterQueue's
    members: list[_Node] = field(default_factory=list)


class _Amounts(NamedTuple):
    """What a node and all below it own, less what these keep for themselves, and use of it."""

    quota: Decimal
    used: Decimal


def covered_resources(cluster_queue: ClusterQueue) -> frozenset[str]:
    """Return the resources that runs in this ClusterQueue may request at all."""
    groups = cluster_queue["spec"].get("resourceGroups", [])
    return frozenset(name for group in groups for name in group.get("coveredResources", []))


def quotas(
    name: str, cluster_queues: Iterable[ClusterQueue], cohorts: Iterable[Cohort] | None
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
    for key in queue.quotas:
        quota = tree.quota(queue, key) if is_known else _unknown(queue, key)
        resource = key[1]
        found[resource] = found[resource].plus(quota) if resource in found else quota
    return found


class _Tree:
    """The cohorts with their members. Each amount of a resource takes one pass, however deep."""

    def __init__(self, cluster_queues: Iterable[ClusterQueue], cohorts: Iterable[Cohort]) -> None:
        self.queues = {
            item["metadata"]["name"]: _Node(
                item["spec"].get("cohortName") or None, dict(_entries(item)), dict(_reserved(item))
            )
            for item in cluster_queues
        }
        self._reclaiming = {
            id(self.queues[item["metadata"]["name"]])
            for item in cluster_queues
            if item["spec"].get("preemption", {}).get("reclaimWithinCohort", "Never") != "Never"
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

    def quota(self, queue: _Node, key: FlavorResource) -> Quota:
        """Return the quota of one flavor's resource."""
        way = self._way_up(queue)
        amounts = _added_up(way[-1], key)
        limit, used = amounts[id(way[-1])]
        free = limit - used
        for node in reversed(way[:-1]):
            own = amounts[id(node)]
            lent = _lent(node, key, own.quota)
            kept = own.quota - lent
            beyond = free
            limit += kept
            borrowing = _quota(node, key).get("borrowingLimit")
            if borrowing is not None:
                limit = min(limit, own.quota + _amount(borrowing))
                used_in_parent = max(_ZERO, own.used - kept)
                beyond = min(beyond, lent - used_in_parent + _amount(borrowing))
            free = max(_ZERO, kept - own.used) + beyond
        free = max(_ZERO, free)
        nominal = _nominal(queue, key)
        reclaimable = _ZERO
        if id(queue) in self._reclaiming:
            reclaimable = max(_ZERO, nominal - amounts[id(queue)].used - free)
        return Quota(nominal, limit, limit, free, reclaimable)

    def _way_up(self, queue: _Node) -> list[_Node]:
        """Return the queue and the cohorts above it.

        Kueue stops the queues of cohorts that form a ring; here it only must not go round for ever.
        """
        way, seen = [queue], set()
        while (parent := way[-1].parent) is not None and parent not in seen:
            seen.add(parent)
            way.append(self._cohorts[parent])
        return way


def _unknown(queue: _Node, key: FlavorResource) -> Quota:
    return Quota(_nominal(queue, key), None, None, None, None)


def _added_up(top: _Node, key: FlavorResource) -> dict[int, _Amounts]:
    """Return the amounts of ``top`` and of each node below it, by its id()."""
    order, seen = [top], {id(top)}
    for node in order:  # it grows
        fresh = [member for member in node.members if id(member) not in seen]
        seen.update(map(id, fresh))
        order.extend(fresh)
    found: dict[int, _Amounts] = {}
    for node in reversed(order):
        quota, used = _nominal(node, key), node.used.get(key, _ZERO)
        for member in node.members:
            # Not there yet: a member that is above it too, in a ring.
            below = found.get(id(member), _Amounts(_ZERO, _ZERO))
            lent = _lent(member, key, below.quota)
            quota += lent
            used += max(_ZERO, below.used - (below.quota - lent))
        found[id(node)] = _Amounts(quota, used)
    return found


def _lent(node: _Node, key: FlavorResource, quota: Decimal) -> Decimal:
    """Return what ``node`` lends of its quota: all, up to its lending limit."""
    lending = _quota(node, key).get("lendingLimit")
    return quota if lending is None else min(quota, _amount(lending))


def _quota(node: _Node, key: FlavorResource) -> ResourceQuota:
    return node.quotas.get(key, {"name": key[1]})


def _nominal(node: _Node, key: FlavorResource) -> Decimal:
    return _amount(_quota(node, key).get("nominalQuota"))


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _reserved(cluster_queue: ClusterQueue) -> Iterator[tuple[FlavorResource, Decimal]]:
    """Yield what is reserved of each flavor: what is reserved is what nobody else can have."""
    for flavor in cluster_queue.get("status", {}).get("flavorsReservation", []):
        for resource in flavor.get("resources", []):
            yield (flavor["name"], resource["name"]), _amount(resource.get("total"))


def _entries(item: ClusterQueue | Cohort) -> Iterator[tuple[FlavorResource, ResourceQuota]]:
    for group in item["spec"].get("resourceGroups", []):
        for flavor in group.get("flavors", []):
            for resource in flavor.get("resources", []):
                yield (flavor["name"], resource["name"]), resource


def _amount(quantity: Quantity | None) -> Decimal:
    return _ZERO if quantity is None else quantities.reported(quantity)
