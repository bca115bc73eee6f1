"""What this server knows of each run, and which run is looked at next.

The index is written here alone, and only while a worker of the queue holds the run's key (before
the first worker, by ``service.runs.loading``). So no two writers ever meet, and whoever changes a
run in the bucket or in the cluster has it looked at and waits for that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import run_status
from jupyter_kueue.domain.run_decisions import GONE, RunFacts, Stored, is_provisional
from jupyter_kueue.domain.run_facts import stored_sentence
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.service.runs import run_view
from jupyter_kueue.service.runs.run_index import Entry
from jupyter_kueue.storage.unread_runs import Unread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Job
    from jupyter_kueue.domain.run_decisions import Gone
    from jupyter_kueue.domain.run_documents import Meta, Stop
    from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Status
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.service.changes import Changes
    from jupyter_kueue.service.runs.run_index import Index
    from jupyter_kueue.service.work_queue import WorkQueue

Json = dict[str, Any]

# How long it holds that nothing is left of a run.
_CLEAN_TRUSTED = dt.timedelta(hours=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Submitted:
    """What a submit knows of its run before any watch shows it."""

    facts: BucketFacts
    job: Job | None


@dataclass(frozen=True)
class _Written:
    """What was just written to the bucket of a run, None where it was something else."""

    stop: Stop | None
    meta: Meta | None


class KnownRuns:
    """The runs of one owner as this server knows them.

    Attributes:
        index: the rows.
        queue: the ids of the runs to be looked at.
        unread: the runs that the bucket lists and that could not be read; where that lasts, they
            are shown as far as the cluster knows them.
    """

    def __init__(self, index: Index, changes: Changes, queue: WorkQueue[str]) -> None:
        self.index = index
        self.queue = queue
        self.unread = Unread()
        self._changes = changes
        # The bucket may know something new of these.
        self._stale: set[str] = set()
        # And of these from a moment of the queue's clock on.
        self._stale_at: dict[str, float] = {}
        self._submitted: dict[str, _Submitted] = {}
        self._written: dict[str, _Written] = {}
        # Deleted, and not all of it is removed yet.
        self._deleted: set[str] = set()
        # Shown from other facts than a record: read again each time, and never stored.
        self._provisional: set[str] = set()
        self._clean: set[str] = set()
        self._clean_since = dt.datetime.now(dt.UTC)

    # --- What is looked at ------------------------------------------------------------------------

    def mark(self, run_id: str, reread: bool = False) -> None:
        """Have a run looked at soon; ``reread`` when the bucket may know something new."""
        if reread:
            self._stale.add(run_id)
        self.queue.add(run_id)

    def mark_later(self, run_id: str, seconds: float, reread: bool = False) -> None:
        """Have a run looked at in so many seconds; ``reread`` its records then.

        It is looked at before that if something happens to it, and its records are not read then.
        """
        if reread:
            due = self.queue.time() + seconds
            self._stale_at[run_id] = min(due, self._stale_at.get(run_id, due))
        self.queue.add_after(run_id, seconds)

    def looked_at(self, run_id: str, *, reread: bool = True) -> asyncio.Future[None]:
        """Have a run looked at before others; return when that has happened.

        The future raises what kept the run from being looked at.
        """
        if reread:
            self._stale.add(run_id)
        return self.queue.processed(run_id)

    def note_submitted(self, facts: BucketFacts, job: Job | None) -> None:
        """Note what a submit knows, so that its run need not be read to be shown.

        ``job`` is None where the API server was not asked for it again.
        """
        self._submitted[facts.record.run_id] = _Submitted(facts, job)

    def note_written(self, run_id: str, *, stop: Stop | None, meta: Meta | None) -> None:
        """Note what was just written to the bucket, so that it is shown before it is read."""
        before = self._written.get(run_id)
        if before is not None:
            stop, meta = stop or before.stop, meta or before.meta
        self._written[run_id] = _Written(stop, meta)

    def note_deleted(self, run_id: str) -> None:
        """Note that a run is deleted, whatever else the bucket says of it."""
        self._deleted.add(run_id)

    # --- What is known ----------------------------------------------------------------------------

    def take_facts(self, run_id: str, cluster: ClusterFacts) -> RunFacts:
        """Return what is known of a run without reading anything; news are taken into account."""
        entry = self.index.find(run_id)
        facts = RunFacts(
            run_id,
            Stored.UNREAD,
            cluster,
            admitted_at=None if entry is None else entry.row["admitted_at"],
            started_at=None if entry is None else entry.row["started_at"],
            finished_at=None if entry is None else entry.row["finished_at"],
        )
        submitted = self._submitted.pop(run_id, None)
        written = self._written.pop(run_id, None)
        if run_id in self._deleted:
            self._take_staleness(run_id)
            return dataclasses.replace(facts, stored=Stored.DELETED)
        if submitted is not None:
            if cluster.job is None:
                cluster = dataclasses.replace(cluster, job=submitted.job)
            if entry is not None and (entry.facts is None or entry.facts.stop is not None):
                # Stopped while it was submitted: its records know more than the submit does.
                return dataclasses.replace(facts, bucket=entry.facts, cluster=cluster)
            return dataclasses.replace(
                facts, stored=Stored.RECORDED, bucket=submitted.facts, cluster=cluster
            )
        if written is not None and entry is not None and entry.facts is not None:
            known = dataclasses.replace(
                entry.facts,
                stop=written.stop or entry.facts.stop,
                meta=written.meta or entry.facts.meta,
            )
            if not is_provisional(known):
                # What else is new has to be read all the same.
                self.queue.add(run_id)
                return dataclasses.replace(facts, stored=Stored.RECORDED, bucket=known)
        is_stale = self._take_staleness(run_id)
        if entry is None or run_id in self._provisional:
            return facts
        if is_stale:
            return dataclasses.replace(facts, bucket=entry.facts)
        stored = Stored.ENDED if entry.is_finished else Stored.RECORDED
        return dataclasses.replace(facts, stored=stored, bucket=entry.facts)

    def _take_staleness(self, run_id: str) -> bool:
        """Tell whether the records have to be read, which they are then."""
        is_due = self._stale_at.get(run_id, math.inf) <= self.queue.time()
        if run_id not in self._stale and not is_due:
            return False
        self._stale.discard(run_id)
        self._stale_at.pop(run_id, None)
        return True

    def give_back(self, facts: RunFacts) -> None:
        """Note that a run could not be looked at: what ``take_facts`` took is still new."""
        if facts.stored is Stored.UNREAD:
            self._stale.add(facts.run_id)

    def open_ids(self) -> set[str]:
        """Return the ids of the runs that are looked at with each resync, whatever is known."""
        return self.index.open_ids() | self._deleted | self._provisional

    def is_shown(self, run_id: str) -> bool:
        """Tell whether a run is shown as its records say, or is known to be deleted."""
        is_known = run_id in self.index and run_id not in self._provisional
        return is_known or run_id in self._deleted

    def is_over(self, run_id: str) -> bool:
        """Tell whether a run is shown with the end that its records say, or is deleted."""
        entry = self.index.find(run_id)
        return self.is_shown(run_id) and (entry is None or entry.is_finished)

    def is_stale(self, run_id: str) -> bool:
        """Tell whether the bucket knows something that is not shown yet."""
        return run_id in self._stale

    def provisional_ids(self) -> frozenset[str]:
        """Return the ids of the runs whose rows are not what their records say."""
        return frozenset(self._provisional)

    def clean_ids(self, now: dt.datetime) -> frozenset[str]:
        """Return the ids of which nothing was left lately; some stores show empty folders."""
        if now - self._clean_since > _CLEAN_TRUSTED:
            self._clean.clear()
            self._clean_since = now
        return frozenset(self._clean)

    def stored_rows(self) -> Iterator[RunRow]:
        """Return the rows that are what their records say."""
        return (row for row in self.index.rows() if row["run_id"] not in self._provisional)

    def stored_facts(self) -> Iterator[BucketFacts]:
        """Return what the records say of the runs that have not ended."""
        return (facts for facts in self.index.open_facts() if not is_provisional(facts))

    def unreadable(self) -> dict[str, Sentence]:
        """Return the runs that cannot be understood: their ids and why."""
        return {
            row["run_id"]: stored_sentence(row["message"], row["sentence"]) or foreign("")
            for row in self.index.rows()
            if row["reason"] == run_status.UNREADABLE
        }

    # --- What is shown ----------------------------------------------------------------------------

    def restore(self, row: RunRow) -> None:
        """Show the row of a finished run as it was stored, before the first worker."""
        if row["run_id"] not in self.index:
            self.index.put(Entry(row, None))

    def show(self, facts: RunFacts, status: Status | Gone) -> None:
        """Show where a run stands, or nothing where there is none, and publish what changed."""
        if status is GONE:
            self._hide(facts)
        elif facts.bucket is not None:
            self._put(facts.bucket, status)

    def note_clean(self, run_id: str, *, is_owed: bool) -> None:
        """Note that nothing is left to do for a run that is gone.

        ``is_owed`` says that it has no tombstone yet, so that it stays known as deleted.
        """
        self._clean.add(run_id)
        if not is_owed:
            self._deleted.discard(run_id)

    def _hide(self, facts: RunFacts) -> None:
        run_id = facts.run_id
        if facts.stored is Stored.DELETED:
            self._deleted.add(run_id)
        self._provisional.discard(run_id)
        if self.index.remove(run_id):
            self._changes.run_deleted(run_id)

    def _put(self, bucket: BucketFacts, status: Status) -> None:
        row = run_view.build_row(bucket, status)
        run_id = row["run_id"]
        self._clean.discard(run_id)
        if is_provisional(bucket):
            self._provisional.add(run_id)
        else:
            self._provisional.discard(run_id)
        is_final = row["state"] in FINISHED_STATES and run_id not in self._provisional
        before = self.index.find(run_id)
        self.index.put(Entry(row, None if is_final else bucket))
        if before is None or before.row != row:
            if before is None or before.row["state"] != row["state"]:
                log.info("run_id=%s state=%s reason=%s", run_id, row["state"], row["reason"])
            self._changes.run_changed(row)
