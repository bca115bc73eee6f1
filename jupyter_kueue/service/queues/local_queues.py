"""The team's queues: which there are, how full they are, who stands where in them.

LocalQueues and Workloads come from the watches; quotas and Kueue's own order are read only while
somebody asks, at most every few seconds for all who ask together.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from jupyter_kueue import patience
from jupyter_kueue.cluster import resources
from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import (
    errors,
    kubernetes_objects,
    kueue_conditions,
    quantities,
    text_rules,
)
from jupyter_kueue.domain.names import MAX_NAME_LENGTH
from jupyter_kueue.service.queues import quota_limits
from jupyter_kueue.service.short_lived_cache import Cached

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain import local_queue_row
    from jupyter_kueue.domain.kubernetes_objects import (
        ClusterQueue,
        Cohort,
        FlavorReservation,
        LocalQueue,
        Workload,
    )
    from jupyter_kueue.domain.parsing import Kind
    from jupyter_kueue.service.cluster_state import ClusterView

Json = dict[str, Any]
T = TypeVar("T")

# Usage is looked at while runs come and go; the lists are small.
_QUOTA_SECONDS = 1.0
# Quotas change seldom; a run that asks for too much is told so within this time.
_LIMITS_SECONDS = 15.0
# Kueue's default page is 1,000 Workloads; its cap is 100,000.
_MOST_PENDING = 10_000

# Held back by its creator: in no queue (the reason of QuotaReserved, pkg/workload).
_GATED = "AdmissionGated"
# Evicted for these reasons, a Workload goes to the end of its queue (pkg/workload/workload.go).
_BACK_IN_LINE = ("PodsReadyTimeout", "AdmissionCheck")

log = logging.getLogger(__name__)


class _Quotas(NamedTuple):
    """All ClusterQueues and Cohorts of the cluster; None where this user may not read them."""

    cluster_queues: list[ClusterQueue] | None
    cohorts: list[Cohort] | None


class Queues:
    """The LocalQueues of one namespace. Make one per connection: it remembers answers."""

    def __init__(self, connection: Connection, view: ClusterView) -> None:
        self._connection = connection
        self._view = view
        self._quotas = Cached(self._read_quotas, _QUOTA_SECONDS)
        self._pending: dict[str, Cached[Mapping[str, int] | None]] = {}
        self._places: dict[str, Mapping[str, int]] = {}
        self._places_since = 0
        self._strict: set[str] = set()

    async def list_local_queues(self) -> list[local_queue_row.LocalQueue]:
        """Return all LocalQueues as REST shows them, by name.

        Raises:
            ClusterUnavailableError: the LocalQueues are not known at present.
            NotConfiguredError: Kueue is not installed.
        """
        found = self._all()
        quotas = await self._quotas.get() if found else _Quotas(None, None)
        return [
            _shown_or_named(item, quotas)
            for item in sorted(found, key=lambda item: str(item["metadata"]["name"]))
        ]

    def resolve(self, asked: str | None, configured: str | None) -> str:
        """Return the LocalQueue that a run goes to, and check that it takes runs.

        ``asked`` is the user's word; without it the ``configured`` one, else ``default``, else the
        first active one by name.

        Raises:
            InvalidRequestError: on ``local_queue``: there is no such queue, or it is stopped.
            NotConfiguredError: the configured queue, or any queue at all, is missing.
            ClusterUnavailableError: the LocalQueues are not known at present.
        """
        by_name = {item["metadata"]["name"]: item for item in self._all()}
        namespace = self._view.namespace
        if not by_name:
            raise errors.NotConfiguredError(
                say(
                    "no-local-queue-ask-admin",
                    "There is no LocalQueue in the namespace {namespace}: ask an admin to "
                    "create one.",
                    namespace=namespace,
                )
            )
        name = asked or configured
        if name is None:
            active = sorted(name for name, item in by_name.items() if _why_inactive(item) is None)
            name = "default" if "default" in active or not active else active[0]
            if name not in by_name:
                name = min(by_name)
        if name not in by_name:
            message = say(
                "unknown-queue",
                "there is no queue {queue} in the namespace {namespace}; available: {queues}",
                queue=name,
                namespace=namespace,
                queues=sorted(by_name),
            )
            if asked:
                raise errors.InvalidRequestError({"local_queue": message})
            raise errors.NotConfiguredError(
                say("setting-local-queue", "The setting local_queue: {problem}.", problem=message)
            )
        why = _why_inactive(by_name[name])
        if why is not None:
            raise errors.InvalidRequestError(
                {
                    "local_queue": say(
                        "queue-takes-no-runs-now",
                        "{queue} is not accepting runs: {why} Choose another queue",
                        queue=name,
                        why=why,
                    )
                }
            )
        return name

    async def cluster_positions(self, local_queue: str) -> Mapping[str, int] | None:
        """Return the positions in the ClusterQueue (from 0) of a LocalQueue's pending runs.

        Keys are the uids of their Jobs. None where Kueue does not tell: its position API is off,
        not allowed, or the queue is stopped. Up to 15 s old.
        """
        cached = self._pending.setdefault(
            local_queue, Cached(lambda: self._read_pending(local_queue))
        )
        return await cached.get()

    def places(self, local_queue: str) -> Mapping[str, int]:
        """Return the place in line (from 0) of a LocalQueue's pending Workloads, by their uids.

        Worked out again only when a Workload has changed: every list of runs asks.
        """
        if self._places_since != self._view.workload_changes:
            self._places.clear()
            self._places_since = self._view.workload_changes
        if local_queue not in self._places:
            self._places[local_queue] = positions(self._in_line(local_queue), local_queue)
        return self._places[local_queue]

    def _in_line(self, local_queue: str) -> list[Workload]:
        """Return the Workloads that wait in a LocalQueue, without those that hold up nobody.

        One that can never start is passed over, except in a ClusterQueue that is StrictFIFO.
        """
        pending = [
            item
            for item in self._view.pending_workloads()
            if item["spec"].get("queueName") == local_queue
        ]
        cluster_queue = self._view.cluster_queue_of(local_queue)
        if cluster_queue in self._strict:
            return pending
        most = self._view.most_of(cluster_queue)
        return [
            item for item in pending if kueue_conditions.blocked(item, local_queue, most) is None
        ]

    async def covered_resources(self, cluster_queue: str) -> frozenset[str] | None:
        """Return the resources that a ClusterQueue has quota for, None where it is not readable."""
        for item in (await self._quotas.get()).cluster_queues or ():
            if item["metadata"]["name"] == cluster_queue:
                return quota_limits.covered_resources(item)
        return None

    def _all(self) -> list[LocalQueue]:
        watched = self._view.local_queues
        error = self._view.hangs or watched.error
        if error is not None:
            # Anew each time: the one object would collect the frames of every request.
            raise error.with_traceback(None)
        if not watched.synced.is_set():
            raise errors.ClusterUnavailableError(
                say(
                    "queues-not-known-yet",
                    "The queues are not known yet. Try again in a moment.",
                )
            )
        return list(watched.items.values())

    async def watch_limits(self) -> None:
        """Keep what runs could ever have known while any waits, until cancelled."""
        while True:
            if self._view.is_synced and self._view.pending_workloads():
                try:
                    await self._quotas.get()
                except errors.JupyterKueueError as error:
                    log.warning("the quotas could not be read, tried again: %s", error)
            await asyncio.sleep(_LIMITS_SECONDS)

    async def _read_quotas(self) -> _Quotas:
        cluster_queues = await self._read_all(
            resources.cluster_queues(), kubernetes_objects.CLUSTER_QUEUE
        )
        cohorts = (
            await self._read_all(resources.cohorts(), kubernetes_objects.COHORT)
            if cluster_queues
            else None
        )
        self._strict = {
            item["metadata"]["name"]
            for item in cluster_queues or ()
            if item["spec"].get("queueingStrategy") == "StrictFIFO"
        }
        self._view.take_quota_limits(_most(cluster_queues or [], cohorts))
        return _Quotas(cluster_queues, cohorts)

    async def _read_all(self, path: str, kind: Kind[T]) -> list[T] | None:
        try:
            answer = await self._connection.get(
                path, timeout_seconds=patience.CLUSTER_DETAIL_SECONDS
            )
        except (errors.ForbiddenError, errors.NotFoundError):
            return None
        return [item for served in answer["items"] if (item := _readable(served, kind))]

    async def _read_pending(self, local_queue: str) -> Mapping[str, int] | None:
        path = resources.pending_workloads(self._view.namespace, local_queue)
        try:
            answer = await self._connection.get(
                path, {"limit": _MOST_PENDING}, timeout_seconds=patience.CLUSTER_DETAIL_SECONDS
            )
        except (errors.ForbiddenError, errors.NotFoundError, errors.ClusterUnavailableError):
            return None
        return {
            owner["uid"]: item["positionInClusterQueue"]
            for item in answer.get("items") or []
            for owner in item["metadata"].get("ownerReferences", [])
        }


def _readable(served: Json, kind: Kind[T]) -> T | None:
    try:
        return kind.read_back(served)
    except ValueError as error:  # an odd one costs its own runs
        name = text_rules.shown_line(served.get("metadata", {}).get("name"), MAX_NAME_LENGTH)
        log.warning("%s cannot be understood: %s", name, error)
        return None


def positions(workloads: Iterable[Workload], local_queue: str) -> dict[str, int]:
    """Return the place in line (from 0) of each pending Workload of a LocalQueue, by its uid.

    It is Kueue's own order (pkg/cache/queue/cluster_queue.go), exact within a LocalQueue:
    Admission Fair Sharing orders LocalQueues, not what is inside one.
    """
    pending = [
        item
        for item in workloads
        if item["spec"].get("queueName") == local_queue
        and kueue_conditions.is_pending(item)
        and kueue_conditions.condition_of(item, "QuotaReserved").get("reason") != _GATED
    ]
    pending.sort(
        key=lambda item: (
            -(item["spec"].get("priority") or 0),
            _queued_since(item),
            item["metadata"]["uid"],
        )
    )
    return {item["metadata"]["uid"]: place for place, item in enumerate(pending)}


def _queued_since(workload: Workload) -> dt.datetime:
    evicted = kueue_conditions.conditions(workload).get("Evicted")
    since = workload["metadata"]["creationTimestamp"]
    if (
        evicted is not None
        and kueue_conditions.is_true(evicted)
        and evicted.get("reason") in _BACK_IN_LINE
    ):
        since = evicted.get("lastTransitionTime") or since
    return dt.datetime.fromisoformat(since)


def _why_inactive(local_queue: LocalQueue) -> Sentence | None:
    """Return why a LocalQueue takes no runs, a sentence; None if it does."""
    found = local_queue.get("status", {}).get("conditions", [])
    active = next((item for item in found if item["type"] == "Active"), None)
    if local_queue["spec"].get("stopPolicy", "None") != "None":
        return say("queue-paused", "an admin paused it.")
    if active is None:
        return say(
            "queue-not-looked-at", "Kueue has not noticed it yet; check that Kueue is running."
        )
    if active["status"] == "True":
        return None
    cluster_queue = local_queue["spec"]["clusterQueue"]
    match active.get("reason"):
        case "ClusterQueueDoesNotExist":
            return say(
                "queue-leads-nowhere",
                "it points to the ClusterQueue {cluster_queue}, which does not exist.",
                cluster_queue=cluster_queue,
            )
        case "ClusterQueueIsInactive":
            return say(
                "queue-cluster-queue-paused",
                "its ClusterQueue {cluster_queue} is paused, or not set up.",
                cluster_queue=cluster_queue,
            )
        case reason:
            return foreign(str(active.get("message") or reason))


def _most(
    cluster_queues: list[ClusterQueue], cohorts: list[Cohort] | None
) -> dict[str, dict[str, Decimal]]:
    """Return how much of each resource a run could ever have, by ClusterQueue; what can be told."""
    found = {}
    for name in (item["metadata"]["name"] for item in cluster_queues):
        try:
            quotas = quota_limits.quotas(name, cluster_queues, cohorts)
        except ValueError as error:  # an odd amount costs one queue
            log.warning("cluster_queue=%s has an odd quota: %s", name, error)
            continue
        found[name] = {
            resource: quota.largest
            for resource, quota in quotas.items()
            if quota.largest is not None
        }
    return found


def _shown_or_named(local_queue: LocalQueue, quotas: _Quotas) -> local_queue_row.LocalQueue:
    """Return what ``_shown`` does; of a queue in which something is odd, its name and what."""
    try:
        return _shown(local_queue, quotas)
    except Exception as error:
        # ClusterQueues, cohorts and statuses hold what an admin or a controller wrote: an amount
        # that is none must cost one queue.
        name = local_queue["metadata"]["name"]
        log.exception("local_queue=%s cannot be shown", name)
        why = say(
            "queue-not-understood",
            "The cluster's data about it cannot be understood ({error}: {message}).",
            error=type(error).__name__,
            message=text_rules.shown_line(error, 200),
        )
        return {
            "name": name,
            "cluster_queue": str(local_queue["spec"]["clusterQueue"]),
            "active": False,
            "message": why,
            "sentence": sentences.as_json(why),
            "pending": 0,
            "admitted": 0,
            "resources": {},
        }


def _shown(local_queue: LocalQueue, quotas: _Quotas) -> local_queue_row.LocalQueue:
    status = local_queue.get("status", {})
    name = local_queue["spec"]["clusterQueue"]
    why = _why_inactive(local_queue)
    used = _totals(status.get("flavorsReservation", []), "total")
    cluster_queues = quotas.cluster_queues or ()
    cluster_queue = next(
        (item for item in cluster_queues if item["metadata"]["name"] == name), None
    )
    in_all = borrowed = None
    if cluster_queue is not None:
        reserved = cluster_queue.get("status", {}).get("flavorsReservation", [])
        in_all, borrowed = _totals(reserved, "total"), _totals(reserved, "borrowed")
    of_resources = quota_limits.quotas(name, cluster_queues, quotas.cohorts)
    rows: dict[str, local_queue_row.ResourceUsage] = {}
    for resource in sorted({*used, *of_resources}):
        quota = of_resources.get(resource)
        rows[resource] = {
            "used": _number(used.get(resource, Decimal(0))),
            "cluster_queue_used": _in(in_all, resource),
            "nominal": None if quota is None else _number(quota.nominal),
            "borrowed": _in(borrowed, resource),
            "limit": None if quota is None else _known(quota.limit),
            "free": None if quota is None else _known(quota.free),
            "reclaimable": None if quota is None else _known(quota.reclaimable),
        }
    return {
        "name": local_queue["metadata"]["name"],
        "cluster_queue": name,
        "active": why is None,
        "message": None if why is None else sentences.capitalized(why),
        "sentence": sentences.as_json(why),
        "pending": status.get("pendingWorkloads", 0),
        "admitted": status.get("admittedWorkloads", 0),
        "resources": rows,
    }


def _totals(
    reserved: Iterable[FlavorReservation], field: Literal["total", "borrowed"]
) -> dict[str, Decimal]:
    """Sum a status's reservations over flavors: what is reserved is what nobody else can have."""
    totals: dict[str, Decimal] = {}
    for flavor in reserved:
        for resource in flavor.get("resources", []):
            amount = quantities.reported(resource.get(field) or "0")
            totals[resource["name"]] = totals.get(resource["name"], Decimal(0)) + amount
    return totals


def _in(totals: dict[str, Decimal] | None, resource: str) -> local_queue_row.Amount | None:
    return None if totals is None else _number(totals.get(resource, Decimal(0)))


def _known(value: Decimal | None) -> local_queue_row.Amount | None:
    return None if value is None else _number(value)


def _number(value: Decimal) -> local_queue_row.Amount:
    return int(value) if value == value.to_integral_value() else float(value)
