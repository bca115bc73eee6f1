"""Makes the index true, and finishes what a server that died left half done.

The cluster's watches and the users' actions mark a run; one worker at a time looks at it, derives
its status from cluster and bucket, publishes what changed, and does the next step that is due.
Every step is keyed by the run's id and may be repeated, by this server or by another at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import gc
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.cluster import jobs as cluster_jobs
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors, names, run_facts, run_status, text_rules, times
from jupyter_kueue.domain.run_facts import BucketFacts, Limits, Status
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.domain.times import parse_time
from jupyter_kueue.service.runs import ending, jobs_without_record, run_view
from jupyter_kueue.service.runs.run_index import Entry
from jupyter_kueue.service.runs.start_events import StartEvents
from jupyter_kueue.storage import scheduled_runs
from jupyter_kueue.storage.run_records import DELETED
from jupyter_kueue.storage.scheduled_runs import ScheduledRun
from jupyter_kueue.storage.unread_runs import Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.condition_variable import ConditionVariable
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.run_documents import Accepted
    from jupyter_kueue.domain.run_facts import ClusterFacts
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.service.changes import Changes
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.run_index import Index
    from jupyter_kueue.storage.bucket import ObjectMeta
    from jupyter_kueue.storage.open_runs import OpenRuns
    from jupyter_kueue.storage.run_records import Records
    from jupyter_kueue.storage.summaries import Summaries

Json = dict[str, Any]

WORKERS = 8
# How often, and of how many runs, the bucket is asked while the cluster is away.
AWAY_LOOK_SECONDS = 15.0
_MOST_LOOKED_AT = 500
_RETRY_SECONDS = 2.0
# Thousands are read beside users' requests, not before them.
_PACE_SECONDS = 0.02
_FIRST_LOOK_SECONDS = 0.25
_LONGEST_LOOK_SECONDS = 5.0
# Any server has written a change this long after it marked it; clocks differ, too.
_CHANGE_SETTLED = dt.timedelta(minutes=2)
_TOMBSTONE_LIFE = dt.timedelta(days=1)
# In these the cluster may have forgotten when a run began. One that waits again has not begun, and
# of one that has ended the bucket says it: each server shows the same.
_KEEPS_TIMES = ("starting", "running", "stopping")
# In accepted.json, why there will be no Job.
_LEFTOVERS = "leftovers"
# Whoever decided that they go has removed them by then, or was killed.
_CLEARING_SECONDS = 60.0
# How long a prefix that was found clean is not looked at again.
_PURGED_TRUSTED = dt.timedelta(hours=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """When things are due.

    Attributes:
        finished_job_seconds: how long a finished Job stays in the cluster, for kubectl's eyes.
        leftover_seconds: how old the leftovers of a submit that never ended must be to go.
        resync_seconds: between two looks at the whole bucket, for what no watch shows.
        limits: what may go wrong before a run fails.
    """

    finished_job_seconds: float = 3600
    leftover_seconds: float = 900
    resync_seconds: float = 60
    limits: Limits = Limits()  # noqa: RUF009 - frozen itself


class Reconciler:
    """The loop. ``mark`` may be called at any time; ``run`` works until cancelled.

    Attributes:
        is_complete: set once all that the bucket listed at the start was read.
        problem: why the last look through the bucket failed, None if it did not.
        unread: the runs that the bucket lists and that could not be read; where that lasts, they
            are shown as far as the cluster knows them.
    """

    def __init__(
        self,
        connection: Connection,
        records: Records,
        summaries: Summaries,
        open_runs: OpenRuns,
        index: Index,
        changes: Changes,
        timing: Timing,
        changed: ConditionVariable,
    ) -> None:
        """``changed`` is notified when ``is_complete`` or ``problem`` changes."""
        self._state_changed = changed
        self._connection = connection
        self._records = records
        self._summaries = summaries
        self._open_runs = open_runs
        self._index = index
        self._changes = changes
        self._timing = timing
        self._on_scheduled_run: Callable[[str], None] = lambda _schedule_id: None
        self._cluster: ClusterView | None = None
        self._marked: dict[str, bool] = {}
        self._busy: set[str] = set()
        self._has_work = asyncio.Semaphore(0)
        self._deleting: set[str] = set()
        self._purged: set[str] = set()
        self._purged_since = dt.datetime.now(dt.UTC)
        self._start_events = StartEvents(connection, self.mark)
        # Looked at again soon, because their inputs are being fetched.
        self._staging: set[str] = set()
        # Shown without a record that could be read: looked at anew each time, and never stored.
        self._provisional: set[str] = set()
        # Deleted without a tombstone, and by whom: the bucket was full.
        self._owed: dict[str, str] = {}
        # Finished, and changed by another server; and which marks of changes are dealt with.
        self._changed: set[str] = set()
        self._changes_seen: dict[str, tuple[str | None, dt.datetime]] = {}
        self.is_complete = asyncio.Event()
        self.problem: errors.JupyterKueueError | None = None
        self.unread = Unread()

    def attach(self, cluster: ClusterView) -> None:
        """Read the cluster's side of the facts from ``cluster``."""
        self._cluster = cluster

    def tell_scheduled_runs(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(schedule_id)`` for each run of a CronJob that is seen first."""
        self._on_scheduled_run = listener

    @property
    def cluster(self) -> ClusterView:
        """The cluster's side of the facts."""
        if self._cluster is None:
            raise RuntimeError("attach() comes first")
        return self._cluster

    def unreadable(self) -> dict[str, Sentence]:
        """Return what cannot be understood: a key of the bucket, or ``run <id>`` -> why."""
        found = dict(self._records.unreadable)
        for row in self._index.rows():
            if row["reason"] == run_status.UNREADABLE:
                known = any(row["run_id"] in key for key in self._records.unreadable)
                if not known:
                    why = run_facts.stored_sentence(row["message"], row["sentence"])
                    found[f"run {row['run_id']}"] = why or foreign("")
        return found

    def mark(self, run_id: str, reload: bool = False) -> None:
        """Have a run looked at soon; ``reload`` when the bucket may know something new."""
        if run_id not in self._marked:
            self._has_work.release()
        self._marked[run_id] = self._marked.get(run_id, False) or reload

    def adopt(self, facts: BucketFacts, job: Json | None) -> RunRow:
        """Show a run whose Job was created just now, before any watch shows it; return its row.

        ``job`` is None where the API server was not asked for it again.
        """
        run_id = facts.record.run_id
        cluster = self.cluster.facts(run_id)
        if cluster.job is None:
            cluster = dataclasses.replace(cluster, job=job)
        row = self._show(facts, cluster)
        self.mark(run_id)
        return row

    def update(self, run_id: str, **changed: Any) -> None:
        """Note what this server itself wrote to the bucket of an open run."""
        entry = self._index.find(run_id)
        if entry is not None and entry.facts is not None:
            entry.facts = dataclasses.replace(entry.facts, **changed)
        # A worker may hold older facts just now: what is in the bucket decides.
        self.mark(run_id, reload=True)

    async def refresh(self, run_id: str) -> None:
        """Show a finished run again as the bucket has it, because somebody changed it.

        Raises:
            UnavailableError: the bucket does not answer; what is shown stays.
        """
        self._changed.discard(run_id)
        loaded = await self._records.load(run_id)
        if loaded.deleted:
            self.drop(run_id)
        elif loaded.facts is not None:
            self._show(loaded.facts, self.cluster.facts(run_id))

    async def settle(self, run_id: str) -> None:
        """Look at a run now, so that its row shows what was just done to it."""
        try:
            await self._reconcile(run_id, reload=False)
        except errors.JupyterKueueError as error:
            log.warning("run_id=%s shown as it was: %s", run_id, error)

    def drop(self, run_id: str) -> None:
        """Stop showing a run whose tombstone is written, and clean up behind it."""
        self._deleting.add(run_id)
        self._forget(run_id)
        self.mark(run_id)

    async def owe_tombstone(self, run_id: str, by: str) -> None:
        """Write the tombstone of a run that ``by`` deleted, as soon as there is room for it."""
        self._owed[run_id] = by
        await self._write_owed()

    async def _write_owed(self) -> None:
        for run_id, by in list(self._owed.items()):
            with contextlib.suppress(errors.BucketUnavailableError):
                await self._records.write_tombstone(run_id, DELETED, by)
                del self._owed[run_id]

    async def run(self) -> None:
        """Load what there is, then keep it true until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
            group.create_task(self._resync_for_ever())
            group.create_task(self._look_for_results_for_ever())

    async def _look_for_results_for_ever(self) -> None:
        """While the cluster is away, ask the bucket whether runs have come to their end."""
        await self.is_complete.wait()
        while True:
            await asyncio.sleep(AWAY_LOOK_SECONDS)
            if self.cluster.error is None:
                continue
            running = [
                facts.record.run_id
                for facts in self._index.open_facts()
                if (entry := self._index.find(facts.record.run_id)) is not None
                and entry.row["state"] in _KEEPS_TIMES
            ]
            try:
                await few_at_once(WORKERS, running[:_MOST_LOOKED_AT], self._look_for_result)
            except errors.JupyterKueueError as error:
                log.warning("looking for results failed, tried again: %s", error)

    async def _look_for_result(self, run_id: str) -> None:
        if await self._records.has_result(run_id):
            self.mark(run_id, reload=True)

    async def _work(self) -> None:
        # The cluster's first lists mark all that they show, which the first look reads at once.
        await self.is_complete.wait()
        while True:
            await self._has_work.acquire()
            run_id, reload = self._next()
            if run_id is None:
                continue
            self._busy.add(run_id)
            try:
                await self._look(run_id, reload=reload)
            finally:
                self._busy.discard(run_id)
                if run_id in self._marked:
                    self._has_work.release()
            # A look that needs no request lets nobody else run, and there may be thousands.
            await asyncio.sleep(0)

    async def _look(self, run_id: str, *, reload: bool) -> None:
        """Look at a run; one that cannot be read is looked at again, and shown if that lasts."""
        try:
            await self._reconcile(run_id, reload=reload)
            self.unread.note(run_id, None)
        except errors.JupyterKueueError as error:
            log.warning("run_id=%s not reconciled, tried again: %s", run_id, error)
            is_shown = run_id in self._index and run_id not in self._provisional
            if not is_shown and run_id not in self._deleting:
                self.unread.note(run_id, error)
                if self.unread.is_given_up(run_id):
                    # Looked at again with the next resync.
                    await self._show_unread(run_id)
                    return
            self._mark_later(run_id, reload=reload)
        except Exception as error:
            # The loop must live, whatever one run holds.
            log.exception("run_id=%s not reconciled", run_id)
            self._show_odd(run_id, error)

    def _next(self) -> tuple[str | None, bool]:
        """Take a marked run that no other worker holds; one that is held comes back after it."""
        for run_id in self._marked:
            if run_id not in self._busy:
                return run_id, self._marked.pop(run_id)
        return None, False

    def _mark_later(self, run_id: str, *, reload: bool) -> None:
        asyncio.get_running_loop().call_later(_RETRY_SECONDS, self.mark, run_id, reload)

    async def _resync_for_ever(self) -> None:
        pause = 1.0
        while True:
            try:
                await self._resync()
                pause = self._timing.resync_seconds
                self._note_problem(None)
            except errors.JupyterKueueError as error:
                self._note_problem(error)
                log.warning("looking through the bucket failed, tried again: %s", error)
                pause = min(pause * 2, 10.0)
            except Exception as error:
                # The loop must live, whatever the bucket holds.
                log.exception("looking through the bucket failed, tried again")
                self._note_problem(
                    errors.UnavailableError(
                        say(
                            "runs-not-read",
                            "The runs could not be read ({error}); see the server's log.",
                            error=type(error).__name__,
                        )
                    )
                )
                pause = min(pause * 2, 10.0)
            await asyncio.sleep(pause)

    def _note_problem(self, problem: errors.JupyterKueueError | None) -> None:
        self.problem = problem
        self._state_changed.notify_all()

    async def _resync(self) -> None:
        """Compare the whole bucket and cluster with the index, and mark what differs."""
        known: dict[str, BucketFacts] = {}
        if not self.is_complete.is_set():
            # All at once: cluster and bucket each take their time with thousands.
            rows, known, listed, tombstones, changed, _ = await asyncio.gather(
                self._summaries.load(),
                self._open_runs.load(),
                self._records.list_ids(),
                self._records.list_deleted(),
                self._records.list_changed(),
                self.cluster.synced(),
            )
            for row in rows:
                # Its own records say more than a row that may be older than the last change.
                if row["run_id"] not in changed:
                    self._index.put(Entry(row, None))
        else:
            listed = await self._records.list_ids()
            tombstones = await self._records.list_deleted()
            changed = await self._records.list_changed()
        stored, deleted = set(listed), set(tombstones)
        # No watch shows it when another server deletes a finished run.
        for run_id in deleted & self._index.ids():
            self.drop(run_id)
        if dt.datetime.now(dt.UTC) - self._purged_since > _PURGED_TRUSTED:
            self._purged.clear()
            self._purged_since = dt.datetime.now(dt.UTC)
        for run_id in self._index.ids() - stored - self._provisional:
            # It may have been submitted since the listing began.
            if (await self._records.load(run_id)).is_empty:
                self._forget(run_id)
        for run_id in set(self.unread) - stored:
            self.unread.note(run_id, None)
        new = stored - self._index.ids() - self._purged
        if self.is_complete.is_set():
            for run_id in new:
                self.mark(run_id, reload=True)
        else:
            await self._load_all(new - await self._show_waiting(new - deleted, known))
            # As with the finished ones' rows (storage.summaries).
            gc.freeze()
            self.is_complete.set()
            self._state_changed.notify_all()
        await self._write_owed()
        await self._look_at_changes(changed)
        for run_id in self._index.open_ids() | self._deleting | self._provisional:
            self.mark(run_id)
        for run_id in self.cluster.run_ids():
            self.mark(run_id)
        await self._summaries.store(
            row for row in self._index.rows() if row["run_id"] not in self._provisional
        )
        await self._open_runs.store(
            facts for facts in self._index.open_facts() if not _is_provisional(facts)
        )

    async def _look_at_changes(self, changed: Mapping[str, ObjectMeta]) -> None:
        """Have the runs that some server changed of late read again, and drop old marks."""
        now = dt.datetime.now(dt.UTC)
        self._changes_seen = {
            run_id: seen for run_id, seen in self._changes_seen.items() if run_id in changed
        }
        for run_id, mark in changed.items():
            entry = self._index.find(run_id)
            stamp = (mark.etag, mark.last_modified)
            if entry is not None and self._changes_seen.get(run_id) != stamp:
                if entry.is_finished:
                    self._changed.add(run_id)
                self.mark(run_id, reload=True)
            age = now - mark.last_modified
            if age > _CHANGE_SETTLED:
                # The mark comes before the change, which is there by now.
                self._changes_seen[run_id] = stamp
            is_stored = entry is None or self._summaries.is_stored(entry.row)
            if age > _TOMBSTONE_LIFE and is_stored and run_id not in self._changed:
                await self._records.forget_change(run_id)

    async def _show_waiting(self, run_ids: set[str], known: dict[str, BucketFacts]) -> set[str]:
        """Show those of the runs that wait in the cluster, as ``known``; return their ids.

        Their records, which may tell of a stop or another name, are read after that, one by one.
        """
        shown: set[str] = set()
        for run_id in run_ids & set(known):
            cluster = self.cluster.facts(run_id)
            if cluster.job is not None and _waits(cluster.job) and not cluster.pods:
                self._show(known[run_id], cluster)
                look = functools.partial(self.mark, run_id, reload=True)
                asyncio.get_running_loop().call_later(len(shown) * _PACE_SECONDS, look)
                shown.add(run_id)
            # There may be thousands, and others have requests.
            await asyncio.sleep(0)
        return shown

    async def _load_all(self, run_ids: set[str]) -> None:
        """Read the records of these runs.

        Raises:
            JupyterKueueError: why one of them could not be read; those that were read are shown.
        """
        limit = asyncio.Semaphore(16)

        async def load(run_id: str) -> None:
            async with limit:
                try:
                    await self._reconcile(run_id, reload=True)
                    self.unread.note(run_id, None)
                except errors.JupyterKueueError as error:
                    if run_id in self._deleting:
                        self._mark_later(run_id, reload=False)
                    else:
                        self.unread.note(run_id, error)
                except Exception as error:
                    # The others must be loaded, whatever one run holds.
                    log.exception("run_id=%s not loaded", run_id)
                    self._show_odd(run_id, error)

        await asyncio.gather(*(load(run_id) for run_id in run_ids))
        for run_id in set(self.unread) - run_ids:
            # Deleted since it was listed.
            self.unread.note(run_id, None)
        failed = {run_id: error for run_id in self.unread if (error := self.unread.find(run_id))}
        for error in failed.values():
            if not all(self.unread.is_given_up(run_id) for run_id in failed):
                raise error.with_traceback(None)
        if failed:
            # Each of them alone, or the bucket as a whole?
            await self._records.bucket.check(f"{self._records.owner_slug}/")
        for run_id in failed:
            await self._show_unread(run_id)

    async def _show_unread(self, run_id: str) -> None:
        """Show a run whose records cannot be read, as far as the cluster knows it."""
        error = self.unread.find(run_id)
        cluster = self.cluster.facts(run_id)
        facts: BucketFacts | None = None
        derived: Status | None = None
        if cluster.job is not None:
            with contextlib.suppress(errors.JupyterKueueError):
                facts = await self._look_at_unrecorded(run_id, cluster.job)
        now = dt.datetime.now(dt.UTC)
        if facts is None:
            facts = BucketFacts(self._records.placeholder(run_id, now), is_recorded=False)
        # How it ended only the bucket knows; and it may have been stopped.
        is_guess = (
            run_status.derive(facts, cluster, now, self._timing.limits).state in FINISHED_STATES
        )
        if cluster.job is None or is_guess:
            derived = Status(
                "queued",
                "unknown",
                say(
                    "records-not-read",
                    "Its records cannot be read right now. Retrying automatically.",
                ),
                error.message if error is not None else None,
            )
        log.warning("run_id=%s shown without its records: %s", run_id, error)
        self._show(facts, cluster, derived)

    async def _reconcile(self, run_id: str, *, reload: bool) -> None:
        if run_id in self._deleting:
            await self._clean_up(run_id)
            return
        entry = self._index.find(run_id)
        before = entry.facts if entry is not None else None
        cluster = self.cluster.facts(run_id)
        is_provisional = run_id in self._provisional
        if entry is not None and entry.is_finished and not is_provisional:
            if run_id in self._changed:
                await self.refresh(run_id)
            await self._remove_finished(run_id, entry, cluster)
            return
        facts = entry.facts if entry is not None and not is_provisional else None
        if facts is None or reload:
            facts = await self._load(run_id, cluster, facts)
            if facts is None:
                return
            cluster = self.cluster.facts(run_id)
        if _is_provisional(facts):
            self._show(facts, cluster)
            return
        facts = await self._accept(facts, cluster)
        if facts is None:
            return
        if _ends(facts, cluster):
            # The cluster shows an end: what the bucket says of it must be read after that, also
            # where it was read just now. A stop may have been asked in between.
            reloaded = await self._load(run_id, cluster, facts)
            if reloaded is None:
                return
            facts = reloaded
        cluster = await self._confirmed(facts, cluster)
        now = dt.datetime.now(dt.UTC)
        if facts.result is None and facts.final is None and facts.stop is None:
            namespace = facts.record.namespace
            cluster = await self._start_events.add_to(run_id, namespace, cluster, now)
        derived = run_status.derive(facts, cluster, now, self._timing.limits)
        if derived.state in FINISHED_STATES and not _ends(facts, cluster):
            # A pod says so, whose result may have come up a moment before.
            reloaded = await self._load(run_id, cluster, facts)
            if reloaded is None:
                return
            facts = reloaded
            derived = run_status.derive(facts, cluster, now, self._timing.limits)
        if derived.state in FINISHED_STATES:
            self._start_events.forget(run_id)
            facts = await self._record_end(facts, derived)
        now_known = self._index.find(run_id)
        if (now_known.facts if now_known is not None else None) is not before:
            # A user changed it during this look, whose facts may be older: what is shown now stays,
            # and the bucket decides.
            self.mark(run_id, reload=True)
            return
        self._show(facts, cluster, derived)
        await self._enforce(facts, derived, cluster)
        pod = run_status.current_pod(cluster)
        if pod is not None and run_status.is_staging(pod, facts):
            self._look_for_inputs(run_id, now - parse_time(pod["metadata"]["creationTimestamp"]))

    def _show_odd(self, run_id: str, error: Exception) -> None:
        """Show a run in which something is as nobody foresaw: it is there, and can be deleted."""
        entry = self._index.find(run_id)
        if entry is not None and entry.is_finished and run_id not in self._provisional:
            return
        facts = entry.facts if entry is not None else None
        if facts is None or not facts.is_recorded:
            facts = BucketFacts(self._records.placeholder(run_id, dt.datetime.now(dt.UTC)))
        problem = say(
            "run-not-understood",
            "The data about this run in the cluster or the bucket cannot be "
            "understood ({error}: {message}); see the server's log.",
            error=type(error).__name__,
            message=text_rules.shown_line(error, 200),
        )
        self._show(dataclasses.replace(facts, problem=problem), self.cluster.facts(run_id))

    def _look_for_inputs(self, run_id: str, age: dt.timedelta) -> None:
        """Look again soon whether a pod's inputs are there: only the bucket knows.

        The more seldom the longer it takes: large inputs take minutes.
        """

        def look() -> None:
            self._staging.discard(run_id)
            self.mark(run_id, reload=True)

        if run_id not in self._staging:
            self._staging.add(run_id)
            pause = min(max(age.total_seconds() / 4, _FIRST_LOOK_SECONDS), _LONGEST_LOOK_SECONDS)
            asyncio.get_running_loop().call_later(pause, look)

    async def _load(
        self, run_id: str, cluster: ClusterFacts, known: BucketFacts | None
    ) -> BucketFacts | None:
        """Read the bucket's facts; None where there is no run to show (any more)."""
        loaded = await self._records.load(run_id, known)
        if loaded.deleted:
            self.drop(run_id)
            return None
        if loaded.is_cleared:
            await self._finish_clearing(run_id, cluster)
            return None
        if loaded.facts is not None:
            return loaded.facts
        if cluster.job is not None:
            is_scheduled = _is_scheduled(cluster.job)
            look = self._take_in if is_scheduled else self._look_at_unrecorded
            if (facts := await look(run_id, cluster.job)) is not None:
                return facts
        self._forget(run_id)
        if loaded.is_empty:
            # Some stores show the folder of deleted objects for a while.
            self._purged.add(run_id)
            return None
        # A submit that died before its record: nobody was told that this run exists.
        if cluster.job is None and await self._is_old(run_id):
            accepted = await self._records.clear(run_id, _LEFTOVERS)
            # Of a run whose Job went while it was taken in, that mark comes before the record.
            if accepted is None or not await self._records.has_record(run_id):
                log.info("run_id=%s leftovers of a submit removed", run_id)
                await self._records.forget(run_id)
        return None

    async def _finish_clearing(self, run_id: str, cluster: ClusterFacts) -> None:
        """Remove the rest of what was decided to be leftovers, if whoever began that has not."""
        self._forget(run_id)
        if (job := cluster.job) is not None and "deletionTimestamp" not in job["metadata"]:
            await self._delete_job(self.cluster.namespace, job)
        if await self._is_old(run_id, min(self._timing.leftover_seconds, _CLEARING_SECONDS)):
            log.info("run_id=%s leftovers of a submit removed", run_id)
            await self._records.forget(run_id)

    async def _take_in(self, run_id: str, job: Json) -> BucketFacts | None:
        """Give a run that a CronJob made its records; None, and no Job, where it must not be."""
        metadata = job["metadata"]
        schedule_id = metadata["labels"][names.LABEL_SCHEDULE_ID]
        run = ScheduledRun(
            owner_slug=self._records.owner_slug,
            schedule_id=schedule_id,
            revision=metadata["labels"][names.LABEL_REVISION],
            run_id=run_id,
            job_name=metadata["name"],
            created_at=times.rfc3339(parse_time(metadata["creationTimestamp"])),
        )
        try:
            record = await scheduled_runs.take_in(self._records.bucket, run)
        except (errors.NotFoundError, errors.UnreadableError) as error:
            # Its own stage-in will say so. Nothing is deleted: this may be the wrong bucket.
            log.warning("run_id=%s is of an unknown schedule: %s", run_id, error)
            return await self._look_at_unrecorded(run_id, job)
        self._on_scheduled_run(schedule_id)
        if record is None:
            log.info("run_id=%s schedule_id=%s is none of the schedule's runs", run_id, schedule_id)
            await self._delete_job(self.cluster.namespace, job)
            return None
        return (await self._records.load(run_id)).facts

    async def _look_at_unrecorded(self, run_id: str, job: Json) -> BucketFacts | None:
        """Return what a Job without a record says of itself, None where it is going or gone.

        A record is written before its Job and outlives it, so the Job is nobody's submit.
        """
        name = job["metadata"]["name"]
        found = await cluster_jobs.find(self._connection, self.cluster.namespace, name)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return None
        return jobs_without_record.facts_of(found, run_id)

    def _forget(self, run_id: str) -> None:
        """Stop showing a run that is not there any more."""
        self._provisional.discard(run_id)
        self._start_events.forget(run_id)
        self.unread.note(run_id, None)
        if self._index.remove(run_id):
            self._changes.publish({"type": "run-deleted", "run_id": run_id, "run": None})

    async def _is_old(self, run_id: str, seconds: float | None = None) -> bool:
        listed = await self._records.bucket.list(self._records.prefix(run_id))
        newest = max((item.last_modified for item in listed), default=None)
        limit = dt.timedelta(seconds=self._timing.leftover_seconds if seconds is None else seconds)
        return newest is not None and dt.datetime.now(dt.UTC) - newest > limit

    async def _accept(self, facts: BucketFacts, cluster: ClusterFacts) -> BucketFacts | None:
        """Finish a submit that died after its record; None where there was nothing to finish."""
        run_id = facts.record.run_id
        if facts.accepted is not None or facts.result is not None or facts.final is not None:
            return facts
        if cluster.job is not None:
            accepted: Accepted = {
                "job_name": cluster.job["metadata"]["name"],
                "uid": cluster.job["metadata"]["uid"],
            }
            decided = await self._records.accept(run_id, accepted)
            if decided is None:
                await self._finish_clearing(run_id, cluster)
                return None
            return dataclasses.replace(facts, accepted=decided)
        age = dt.datetime.now(dt.UTC) - parse_time(facts.record.created_at)
        if cluster.known and age.total_seconds() > self._timing.leftover_seconds:
            # The watch may lag behind: the last word is the API server's.
            name = names.job_name(run_id)
            namespace = facts.record.namespace
            if await cluster_jobs.find(self._connection, namespace, name) is None:
                # Another server may be finishing it this moment: one of the two is too late.
                decided = await self._records.clear(run_id, _LEFTOVERS)
                if decided is not None:
                    return dataclasses.replace(facts, accepted=decided)
                log.info("run_id=%s never reached the cluster, leftovers removed", run_id)
                self._forget(run_id)
                await cluster_jobs.delete(self._connection, namespace, name)
                await self._records.forget(run_id)
                return None
        return facts

    async def _confirmed(self, facts: BucketFacts, cluster: ClusterFacts) -> ClusterFacts:
        """Ask the API server itself before a run whose Job no watch shows is said to have ended.

        A run that is stopped right after its submit has a Job that the watch has not shown yet.
        """
        if facts.accepted is None or cluster.job is not None or not cluster.known:
            return cluster
        if facts.result is not None or facts.final is not None:
            return cluster
        job = await cluster_jobs.find(
            self._connection, facts.record.namespace, facts.accepted["job_name"]
        )
        return dataclasses.replace(cluster, job=job)

    async def _record_end(self, facts: BucketFacts, derived: Status) -> BucketFacts:
        """Write final.json, so that the end outlives the cluster's objects."""
        if facts.final is not None:
            return facts
        ended = derived.final()
        ended["finished_at"] = derived.finished_at or times.now()
        ended["admitted_at"] = derived.admitted_at or self._shown(facts, "admitted_at")
        ended["started_at"] = derived.started_at or self._shown(facts, "started_at")
        return dataclasses.replace(
            facts, final=await self._records.write_end(facts.record.run_id, ended)
        )

    def _shown(self, facts: BucketFacts, field: Literal["admitted_at", "started_at"]) -> str | None:
        entry = self._index.find(facts.record.run_id)
        return entry.row[field] if entry is not None else None

    def _show(
        self, facts: BucketFacts, cluster: ClusterFacts, derived: Status | None = None
    ) -> RunRow:
        """Put a run's row into the index and publish it if it changed; return the row."""
        now = dt.datetime.now(dt.UTC)
        if derived is None or facts.final is not None:
            derived = run_status.derive(facts, cluster, now, self._timing.limits)
        row = run_view.build_row(facts, derived)
        if row["run_id"] in self._deleting:
            # Deleted while a worker was looking at it: it must not come back.
            return row
        before = self._index.find(facts.record.run_id)
        if before is not None and row["state"] in _KEEPS_TIMES:
            row["admitted_at"] = row["admitted_at"] or before.row["admitted_at"]
            row["started_at"] = row["started_at"] or before.row["started_at"]
        is_final = row["state"] in FINISHED_STATES and not _is_provisional(facts)
        if _is_provisional(facts):
            self._provisional.add(row["run_id"])
        else:
            self._provisional.discard(row["run_id"])
        self._index.put(Entry(row, None if is_final else facts))
        if before is None or before.row != row:
            if before is None or before.row["state"] != row["state"]:
                log.info("run_id=%s state=%s reason=%s", row["run_id"], row["state"], row["reason"])
            self._changes.publish({"type": "run", "run_id": row["run_id"], "run": row})
        return row

    async def _enforce(self, facts: BucketFacts, derived: Status, cluster: ClusterFacts) -> None:
        """End what goes on in the cluster of a run that was stopped or has ended."""
        job = cluster.job
        must_end = facts.stop is not None
        if derived.state in FINISHED_STATES and job is not None:
            # A result of a Job that runs is about to be counted; one that was suspended after its
            # result (preempted in its last second) would run again.
            must_end = not _is_ended(job) and (facts.result is None or job["spec"]["suspend"])
        if must_end:
            await self._end(facts.record.namespace, cluster)

    async def _remove_finished(self, run_id: str, entry: Entry, cluster: ClusterFacts) -> None:
        """Delete the Job of a finished run once it was there to be seen for long enough."""
        job = cluster.job
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        finished_at = entry.row["finished_at"]
        age = dt.datetime.now(dt.UTC) - parse_time(finished_at) if finished_at else None
        is_due = age is None or age.total_seconds() > self._timing.finished_job_seconds
        if is_due or (job["spec"]["suspend"] and not _is_ended(job)):
            log.info("run_id=%s finished Job removed", run_id)
            await self._delete_job(self.cluster.namespace, job)

    async def _clean_up(self, run_id: str) -> None:
        """Remove what is left of a deleted run, in the cluster and then in the bucket."""
        cluster = self.cluster.facts(run_id)
        await self._end(self.cluster.namespace, cluster)
        if cluster.job is not None:
            return
        if not cluster.known or run_status.remaining_pods(cluster, dt.datetime.now(dt.UTC)):
            return
        loaded = await self._records.load(run_id)
        if not loaded.is_empty:
            await self._records.purge(run_id)
        tombstone = await self._records.bucket.head(
            f"{self._records.prefix(run_id)}{pod_contract.DELETED_KEY}"
        )
        if tombstone is not None:
            age = dt.datetime.now(dt.UTC) - tombstone.last_modified
            if age > _TOMBSTONE_LIFE:
                await self._records.forget(run_id)
        self._deleting.discard(run_id)
        self._purged.add(run_id)

    async def _end(self, namespace: str, cluster: ClusterFacts) -> None:
        job = cluster.job
        is_there = job is not None and "deletionTimestamp" not in job["metadata"]
        name = str(job["metadata"]["name"]) if job is not None and is_there else None
        await ending.end(self._connection, namespace, name, cluster.pods)

    async def _delete_job(self, namespace: str, job: Json) -> None:
        await cluster_jobs.delete(self._connection, namespace, job["metadata"]["name"])


def _ends(facts: BucketFacts, cluster: ClusterFacts) -> bool:
    if facts.result is not None or facts.final is not None:
        return False
    job = cluster.job
    return (job is None and facts.accepted is not None) or (job is not None and _is_ended(job))


def _is_provisional(facts: BucketFacts) -> bool:
    return facts.problem is not None or not facts.is_recorded


def _is_scheduled(job: Json) -> bool:
    """Tell whether a CronJob made the Job, so that nobody submitted it."""
    labels = job["metadata"].get("labels") or {}
    own = (names.LABEL_SCHEDULE_ID, names.LABEL_REVISION)
    return names.LABEL_RUN_ID not in labels and all(label in labels for label in own)


def _waits(job: Json) -> bool:
    """Tell whether a Job is as its submit left it: nothing else can have happened to its run."""
    return (
        bool(job["spec"]["suspend"])
        and "deletionTimestamp" not in job["metadata"]
        and not _is_ended(job)
    )


def _is_ended(job: Json) -> bool:
    return any(
        item["type"] in ("Complete", "Failed") and item["status"] == "True"
        for item in job.get("status", {}).get("conditions") or []
    )
