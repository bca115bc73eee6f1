"""Carries out what was decided on a run, in the bucket and in the cluster.

Each action may be repeated, by this server or by several at once: what is written once comes back
as whoever was first wrote it, and what is deleted may be gone already.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import jobs as cluster_jobs
from jupyter_kueue.domain import (
    errors,
    kubernetes_objects,
    names,
    run_decisions,
    run_status,
    times,
)
from jupyter_kueue.domain.run_decisions import RunFacts, Stored
from jupyter_kueue.service.runs import ending, jobs_without_record, leftovers
from jupyter_kueue.storage import scheduled_runs
from jupyter_kueue.storage.scheduled_runs import ScheduledRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.kubernetes_objects import Job
    from jupyter_kueue.domain.run_decisions import Action
    from jupyter_kueue.domain.run_documents import Accepted
    from jupyter_kueue.domain.run_facts import BucketFacts
    from jupyter_kueue.service.runs.start_events import StartEvents
    from jupyter_kueue.storage.run_records import Loaded, Records

log = logging.getLogger(__name__)


class Executor:
    """Acts for one owner in one namespace.

    Args:
        namespace: where Jobs are that no record tells of.
        look_again: has a run looked at in so many seconds, and its records read then.
        on_scheduled_run: is called with the schedule's id for each run that a CronJob made.
    """

    def __init__(
        self,
        connection: Connection,
        records: Records,
        start_events: StartEvents,
        namespace: str,
        *,
        look_again: Callable[[str, float, bool], None],
        on_scheduled_run: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._records = records
        self._start_events = start_events
        self._namespace = namespace
        self._look_again = look_again
        self._on_scheduled_run = on_scheduled_run

    async def act(self, action: Action, facts: RunFacts) -> RunFacts:
        """Carry an action out.

        Returns:
            ``facts`` with what is known now; the same object where that is nothing new.

        Raises:
            JupyterKueueError: it could not be done and may be tried again.
        """
        run_id, namespace = facts.run_id, self._namespace_of(facts)
        match action:
            case run_decisions.ReadRecords():
                return with_records(facts, await self._records.load(run_id, _known(facts)))
            case run_decisions.ReadAge():
                newest = await self._records.newest(run_id)
                if newest is None:
                    return dataclasses.replace(facts, stored=Stored.EMPTY)
                return dataclasses.replace(facts, newest_at=newest)
            case run_decisions.FindJob(name):
                return await self._find_job(name, namespace, facts)
            case run_decisions.ReadEvents(about, max_age_seconds):
                pod = run_status.current_pod(facts.cluster)
                read = await self._start_events.read(run_id, namespace, about, pod, max_age_seconds)
                return dataclasses.replace(
                    facts, cluster=dataclasses.replace(facts.cluster, events=read)
                )
            case run_decisions.Accept(job_name, job_uid):
                return await self._accept({"job_name": job_name, "uid": job_uid}, facts)
            case run_decisions.TakeIn(job):
                return await self._take_in(job, facts)
            case run_decisions.RemoveLeftovers(job_name):
                return await self._remove_leftovers(job_name, namespace, facts)
            case run_decisions.WriteEnd(status):
                final = await self._records.write_end(run_id, status.final())
                return _with_bucket(facts, dataclasses.replace(_bucket(facts), final=final))
            case run_decisions.DeleteJob(name):
                log.info("run_id=%s Job %s removed", run_id, name)
                await cluster_jobs.delete(self._connection, namespace, name)
            case run_decisions.EndInCluster():
                await ending.end(self._connection, namespace, action)
            case run_decisions.Purge():
                await self._records.purge(run_id)
                return dataclasses.replace(facts, has_more=False)
            case run_decisions.ForgetRecords():
                await self._records.forget(run_id)
                return dataclasses.replace(facts, stored=Stored.EMPTY, bucket=None)
            case run_decisions.LookAgain(seconds, reread):
                self._look_again(run_id, seconds, reread)
        return facts

    def _namespace_of(self, facts: RunFacts) -> str:
        known = facts.bucket
        return (known.record.namespace if known is not None else "") or self._namespace

    async def _find_job(self, name: str, namespace: str, facts: RunFacts) -> RunFacts:
        served = await cluster_jobs.find(self._connection, namespace, name)
        job = None if served is None else _job_of(served)
        facts = dataclasses.replace(
            facts, is_confirmed=True, cluster=dataclasses.replace(facts.cluster, job=job)
        )
        has_record = facts.stored not in (Stored.EMPTY, Stored.LEFTOVERS, Stored.LOST)
        if has_record or served is None or job is None or "deletionTimestamp" in job["metadata"]:
            return facts
        own_words = jobs_without_record.facts_of(served, facts.run_id)
        return dataclasses.replace(facts, bucket=own_words)

    async def _accept(self, accepted: Accepted, facts: RunFacts) -> RunFacts:
        decided = await self._records.accept(facts.run_id, accepted)
        if decided is None:
            return dataclasses.replace(facts, stored=Stored.CLEARED, bucket=None)
        return _with_bucket(facts, dataclasses.replace(_bucket(facts), accepted=decided))

    async def _take_in(self, job: Job, facts: RunFacts) -> RunFacts:
        metadata = job["metadata"]
        labels = metadata.get("labels", {})
        schedule_id = labels[names.LABEL_SCHEDULE_ID]
        run = ScheduledRun(
            owner_slug=self._records.owner_slug,
            schedule_id=schedule_id,
            revision=labels[names.LABEL_REVISION],
            run_id=facts.run_id,
            job_name=metadata["name"],
            created_at=times.rfc3339(times.parse_time(metadata["creationTimestamp"])),
        )
        try:
            record = await scheduled_runs.take_in(self._records.bucket, run)
        except (errors.NotFoundError, errors.UnreadableError) as error:
            # Its own stage-in will say so. Nothing is deleted: this may be the wrong bucket.
            log.warning("run_id=%s is of an unknown schedule: %s", facts.run_id, error)
            return dataclasses.replace(facts, has_unknown_schedule=True)
        self._on_scheduled_run(schedule_id)
        if record is None:
            log.info(
                "run_id=%s schedule_id=%s is none of the schedule's runs", facts.run_id, schedule_id
            )
            return dataclasses.replace(facts, is_refused=True)
        return with_records(facts, await self._records.load(facts.run_id))

    async def _remove_leftovers(self, job_name: str, namespace: str, facts: RunFacts) -> RunFacts:
        accepted = await leftovers.remove(
            self._connection, self._records, namespace, facts.run_id, job_name
        )
        # What is there of one that was accepted after all has to be read.
        stored = Stored.EMPTY if accepted is None else Stored.UNREAD
        return dataclasses.replace(facts, stored=stored, bucket=None)


def _job_of(served: dict[str, Any]) -> Job:
    """Return a Job's fields in use; if one is odd, only those that its deletion needs."""
    try:
        return kubernetes_objects.JOB.read_back(served)
    except ValueError as error:
        found = kubernetes_objects.OBJECT.read_back(served)
        log.warning("Job %s cannot be understood: %s", found["metadata"]["name"], error)
        return {"metadata": found["metadata"], "spec": {}}


def with_records(facts: RunFacts, loaded: Loaded) -> RunFacts:
    """Return the facts with what was just read from the bucket."""
    if facts.stored is Stored.DELETED or loaded.deleted:
        stored = Stored.DELETED
    elif loaded.is_cleared:
        stored = Stored.CLEARED
    elif loaded.facts is not None:
        stored = Stored.RECORDED
    else:
        stored = Stored.EMPTY if loaded.is_empty else Stored.LEFTOVERS
    # A Job may have come with the mark that it was accepted, since the API server was asked.
    was_accepted = facts.bucket is not None and facts.bucket.accepted is not None
    is_new = stored is Stored.RECORDED and not was_accepted
    return dataclasses.replace(
        facts,
        stored=stored,
        bucket=loaded.facts,
        is_current=True,
        is_confirmed=facts.is_confirmed and not is_new,
        has_more=not loaded.is_empty,
        tombstone_at=loaded.deleted_at,
    )


def _known(facts: RunFacts) -> BucketFacts | None:
    """Return what need not be read again."""
    known = facts.bucket
    return None if known is None or run_decisions.is_provisional(known) else known


def _bucket(facts: RunFacts) -> BucketFacts:
    if facts.bucket is None:
        raise ValueError(f"the run {facts.run_id} has no record")
    return facts.bucket


def _with_bucket(facts: RunFacts, bucket: BucketFacts) -> RunFacts:
    return dataclasses.replace(facts, bucket=bucket)
