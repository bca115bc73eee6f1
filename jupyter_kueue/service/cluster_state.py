"""What the cluster shows of this owner's runs: one watch per kind, found by run id.

Objects are kept without what nobody here reads, so that 1,000 runs cost little memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar, cast

from jupyter_kueue.cluster import resources
from jupyter_kueue.cluster.watching import Watched
from jupyter_kueue.condition_variable import ConditionVariable
from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import (
    errors,
    kubernetes_objects,
    kueue_conditions,
    names,
    workload_requests,
)
from jupyter_kueue.domain.run_facts import ClusterFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import (
        Job,
        LocalQueue,
        Object,
        Pod,
        Workload,
        WorkloadSpec,
    )
    from jupyter_kueue.domain.parsing import Kind

Json = dict[str, Any]
T = TypeVar("T")

log = logging.getLogger(__name__)


class ClusterView:
    """Watches the Jobs and Pods of one owner, and the Workloads and LocalQueues of a namespace.

    Attributes:
        hangs: why the API server accepts connections but never answers, None where it does.
        changed: is notified when ``error`` or ``is_synced`` changes.
        workload_changes: counts those that may move a Workload in its queue; what was derived of
            that holds while it stays.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        owner_slug: str,
        *,
        on_run_change: Callable[[str, bool], None],
        on_queues: Callable[[], None],
        changed: ConditionVariable | None = None,
    ) -> None:
        """``on_run_change(run_id, ended)`` is called when objects of a run change.

        ``ended`` tells that a pod ended or an object went away: the bucket may have news.
        ``changed`` is notified when ``error`` or ``is_synced`` changes.
        """
        mine = {"labelSelector": f"{names.LABEL_OWNER}={owner_slug}"}
        self.namespace = namespace
        self.hangs: errors.JupyterKueueError | None = None
        self.workload_changes = 0
        self._on_run_change = on_run_change
        self._on_queues = on_queues
        self.changed = changed or ConditionVariable()
        self._standings: dict[str, Json] = {}
        self._most: Mapping[str, Mapping[str, Decimal]] = {}
        self._run_id_of_job_uid: dict[str, str] = {}
        self._job_uid: dict[str, str] = {}
        self._pods: defaultdict[str, set[str]] = defaultdict(set)
        self._workload_of_job_uid: dict[str, str] = {}
        self.jobs = Watched(
            connection,
            resources.jobs(namespace),
            on_change=self._job,
            params=mine,
            trim=_trim_job,
            changed=self.changed,
        )
        self.pods = Watched(
            connection,
            resources.pods(namespace),
            on_change=self._pod,
            params=mine,
            trim=_trim_pod,
            changed=self.changed,
        )
        self.workloads = Watched(
            connection,
            resources.workloads(namespace),
            on_change=self._workload,
            trim=_trim_workload,
            changed=self.changed,
        )
        self.local_queues = Watched(
            connection,
            resources.local_queues(namespace),
            on_change=lambda _item, _gone: on_queues(),
            trim=_trim_local_queue,
            changed=self.changed,
        )

    @property
    def all(self) -> tuple[Watched[Job], Watched[Pod], Watched[Workload], Watched[LocalQueue]]:
        """The four watches."""
        return (self.jobs, self.pods, self.workloads, self.local_queues)

    @property
    def error(self) -> errors.JupyterKueueError | None:
        """Why the cluster does not answer just now, None where it does."""
        return self.hangs or next(
            (watched.error for watched in self.all if watched.error is not None), None
        )

    async def hanging(self) -> errors.JupyterKueueError:
        """Wait until the API server hangs; return the error that says so."""
        await self.changed.wait_for(lambda: self.hangs is not None)
        assert self.hangs is not None  # nothing else runs in between
        return self.hangs

    def note_pulse(self, error: errors.JupyterKueueError | None) -> None:
        """Note that the API server hangs, or with None that it answers."""
        self.hangs = error
        self.changed.notify_all()

    def unreadable(self) -> dict[str, Sentence]:
        """Return the objects that cannot be understood: ``<kind>/<name>`` -> why."""
        return {
            f"{kind}/{name}": why
            for kind, watched in (
                ("Job", self.jobs),
                ("Pod", self.pods),
                ("Workload", self.workloads),
                ("LocalQueue", self.local_queues),
            )
            for name, why in watched.unreadable.items()
        }

    @property
    def is_synced(self) -> bool:
        """Whether each kind was listed at least once: what is not here does not exist."""
        return all(watched.synced.is_set() for watched in self.all)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watched in self.all:
                group.create_task(watched.run())

    async def synced(self) -> None:
        """Wait until each kind was listed."""
        for watched in self.all:
            await watched.synced.wait()

    def facts(self, run_id: str) -> ClusterFacts:
        """Return what the cluster shows of a run."""
        job_uid = self._job_uid.get(run_id, "")
        workload = self.workloads.items.get(self._workload_of_job_uid.get(job_uid, ""))
        queue = workload["spec"].get("queueName") if workload is not None else None
        return ClusterFacts(
            job=self.jobs.items.get(job_uid),
            workload=workload,
            pods=tuple(self.pods.items[uid] for uid in self._pods.get(run_id, ())),
            known=self.is_synced,
            most=self.most_of(self.cluster_queue_of(queue)),
        )

    def take_quota_limits(self, most: Mapping[str, Mapping[str, Decimal]]) -> None:
        """Take how much a run could ever have, by ClusterQueue and resource, in base units.

        Whatever waits where that has changed is looked at again.
        """
        changed = {name for name in {*self._most, *most} if self._most.get(name) != most.get(name)}
        self._most = most
        self.workload_changes += bool(changed)
        for workload in self.pending_workloads() if changed else ():
            if self.cluster_queue_of(workload["spec"].get("queueName")) in changed:
                job_uid = (workload["metadata"].get("labels") or {}).get(names.KUEUE_JOB_UID, "")
                if (run_id := self._run_id_of_job_uid.get(job_uid)) is not None:
                    self._on_run_change(run_id, False)  # noqa: FBT003 - see __init__

    def most_of(self, cluster_queue: str | None) -> Mapping[str, Decimal] | None:
        """Return how much a run could ever have in a ClusterQueue, None if that is not known."""
        return self._most.get(cluster_queue or "")

    def cluster_queue_of(self, local_queue: str | None) -> str | None:
        """Return the ClusterQueue that a LocalQueue leads to, None where that is not known."""
        for item in self.local_queues.items.values():
            if item["metadata"]["name"] == local_queue:
                return str(item["spec"]["clusterQueue"])
        return None

    def run_ids(self) -> set[str]:
        """Return the ids of all runs that have a Job or a pod."""
        return {*self._job_uid, *self._pods}

    def pending_workloads(self) -> list[Workload]:
        """Return the namespace's Workloads that stand in a queue."""
        return [item for item in self.workloads.items.values() if kueue_conditions.is_pending(item)]

    def workload_uid(self, run_id: str) -> str | None:
        """Return the uid of a run's Workload, None where there is none."""
        return self._workload_of_job_uid.get(self._job_uid.get(run_id, ""))

    def job_name(self, run_id: str) -> str:
        """Return the name of a run's Job: the one it has, else the one that a submit would give."""
        job = self.jobs.items.get(self._job_uid.get(run_id, ""))
        return str(job["metadata"]["name"]) if job is not None else names.job_name(run_id)

    def scheduled_jobs(self, schedule_id: str) -> list[Job]:
        """Return the Jobs that a schedule's CronJob made."""
        return [
            item
            for item in self.jobs.items.values()
            if (labels := item["metadata"].get("labels") or {}).get(names.LABEL_SCHEDULE_ID)
            == schedule_id
            and names.LABEL_RUN_ID not in labels
        ]

    def _job(self, item: Job, gone: bool) -> None:
        run_id = run_id_of(item)
        if run_id is None:
            return
        uid = item["metadata"]["uid"]
        if gone:
            self._run_id_of_job_uid.pop(uid, None)
            if self._job_uid.get(run_id) == uid:
                del self._job_uid[run_id]
        else:
            self._run_id_of_job_uid[uid] = run_id
            self._job_uid[run_id] = uid
        self._on_run_change(run_id, gone or _has_finished(item))

    def _pod(self, item: Pod, gone: bool) -> None:
        run_id = run_id_of(item)
        if run_id is None:
            return
        uid = item["metadata"]["uid"]
        if gone:
            self._pods[run_id].discard(uid)
            if not self._pods[run_id]:
                del self._pods[run_id]
        else:
            self._pods[run_id].add(uid)
        self._on_run_change(run_id, gone or _notebook_has_ended(item))

    def _workload(self, item: Workload, gone: bool) -> None:
        uid = item["metadata"]["uid"]
        standing = None if gone else _standing(item)
        if self._standings.pop(uid, None) != standing:
            self.workload_changes += 1
        if standing is not None:
            self._standings[uid] = standing
        job_uid = (item["metadata"].get("labels") or {}).get(names.KUEUE_JOB_UID, "")
        if not gone:
            self._workload_of_job_uid[job_uid] = uid
        elif self._workload_of_job_uid.get(job_uid) == uid:
            del self._workload_of_job_uid[job_uid]
        run_id = self._run_id_of_job_uid.get(job_uid)
        if run_id is not None:
            self._on_run_change(run_id, False)  # noqa: FBT003 - see __init__
        self._on_queues()


def _standing(workload: Workload) -> Json:
    """Return what a Workload's place in its queue depends on; Kueue writes much else into it."""
    spec, found = workload["spec"], kueue_conditions.conditions(workload)
    return {
        **{key: spec.get(key) for key in ("queueName", "priority", "active")},
        **{
            kind: [found[kind].get(key) for key in ("status", "reason", "lastTransitionTime")]
            for kind in ("Evicted", "Finished", "QuotaReserved")
            if kind in found
        },
    }


def run_id_of(item: Object) -> str | None:
    """Return which run a Job or a pod belongs to, None where it is none of ours."""
    labels = item["metadata"].get("labels") or {}
    run_id = labels.get(names.LABEL_RUN_ID) or labels.get(names.BATCH_JOB_UID)
    if run_id is None and names.LABEL_REVISION in labels:
        # A Job that a CronJob made: its uid, which its pods have as a label, is the run id.
        run_id = item["metadata"]["uid"]
    return run_id if run_id and names.is_run_id(run_id) else None


def _has_finished(job: Job) -> bool:
    found = job.get("status", {}).get("conditions") or []
    return any(
        item["type"] in ("Complete", "Failed") and item["status"] == "True" for item in found
    )


def _notebook_has_ended(pod: Pod) -> bool:
    status = pod.get("status", {})
    return status.get("phase") in ("Succeeded", "Failed") or any(
        "terminated" in item.get("state", {}) for item in status.get("containerStatuses") or []
    )


def _trimmed(kind: Kind[T], item: Json) -> T:
    """Return the fields of an object that are in use.

    Raises:
        UnreadableError: one of them is not as Kubernetes writes it.
    """
    try:
        return kind.read_back(item)
    except ValueError as error:
        raise errors.UnreadableError(foreign(f"{error}.")) from None


def _trim_job(item: Json) -> Job:
    return _trimmed(kubernetes_objects.JOB, item)


def _trim_pod(item: Json) -> Pod:
    return _trimmed(kubernetes_objects.POD, item)


def _trim_local_queue(item: Json) -> LocalQueue:
    return _trimmed(kubernetes_objects.LOCAL_QUEUE, item)


def _trim_workload(item: Json) -> Workload:
    """Return a Workload with its requests, where they are readable, in place of its templates."""
    served = _trimmed(kubernetes_objects.WORKLOAD, item)
    spec = cast("WorkloadSpec", {**served["spec"]})
    pod_sets = item["spec"].get("podSets") or []
    try:
        spec["requests"] = workload_requests.total(pod_sets)
        spec["asked"] = workload_requests.of_notebook(pod_sets)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("workload=%s has odd requests: %r", served["metadata"]["name"], error)
    return {"metadata": served["metadata"], "spec": spec, "status": served.get("status", {})}
