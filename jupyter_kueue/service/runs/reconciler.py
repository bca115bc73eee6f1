"""Makes what is shown of the runs true, and finishes what a server that died left half done.

The cluster's watches, users' verbs and a regular comparison mark a run; a worker takes it, collects
what is known of it, decides (``domain.run_decisions``), shows the status and carries the actions
out, and decides again for as long as these found out something new. Every step is keyed by the
run's id and may be repeated, by this server or by another at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import gc
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue import patience
from jupyter_kueue.backoff import Backoff
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, text_rules
from jupyter_kueue.domain.run_decisions import GONE, FindJob, Rules, RunFacts, Stored, decide
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Limits, Status
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.service.runs import results_during_outage, run_view
from jupyter_kueue.service.runs.leftovers import OwedTombstones
from jupyter_kueue.service.runs.loading import Loading, list_runs
from jupyter_kueue.service.runs.resync import Resync
from jupyter_kueue.service.runs.run_actions import Executor
from jupyter_kueue.service.runs.start_events import StartEvents

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.condition_variable import ConditionVariable
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Job
    from jupyter_kueue.domain.run_documents import Meta, Stop
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.known_runs import KnownRuns
    from jupyter_kueue.storage.open_runs import OpenRuns
    from jupyter_kueue.storage.run_records import Records
    from jupyter_kueue.storage.summaries import Summaries
    from jupyter_kueue.storage.unread_runs import Unread

Json = dict[str, Any]

WORKERS = 16
# No run has so much to find out: whatever goes on is an error of ours.
_MOST_DECISIONS = 20

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

    @property
    def rules(self) -> Rules:
        """What of it decisions depend on."""
        return Rules(
            self.limits,
            finished_job=dt.timedelta(seconds=self.finished_job_seconds),
            leftovers=dt.timedelta(seconds=self.leftover_seconds),
        )


class Reconciler:
    """The loop; ``run`` works until cancelled.

    Attributes:
        is_complete: set once all that the bucket listed at the start was read.
        problem: why the last look through the bucket failed, None if it did not.
    """

    def __init__(
        self,
        connection: Connection,
        records: Records,
        summaries: Summaries,
        open_runs: OpenRuns,
        known: KnownRuns,
        cluster: ClusterView,
        timing: Timing,
        changed: ConditionVariable,
    ) -> None:
        """``changed`` is notified when ``is_complete`` or ``problem`` changes."""
        self._state_changed = changed
        self._records = records
        self._known = known
        self._cluster = cluster
        self._rules = timing.rules
        self._resync_seconds = timing.resync_seconds
        self._on_scheduled_run: Callable[[str], None] = lambda _schedule_id: None
        self._start_events = StartEvents(connection)
        self._owed = OwedTombstones(records)
        self._may_work = asyncio.Event()
        # Shown without their records, until these can be read.
        self._given_up: set[str] = set()
        self._executor = Executor(
            connection,
            records,
            self._start_events,
            cluster.namespace,
            look_again=known.mark_later,
            on_scheduled_run=self._tell_scheduled_run,
        )
        self._loading = Loading(
            records,
            summaries,
            open_runs,
            known,
            cluster,
            begin=self._may_work.set,
            give_up=self._given_up.update,
        )
        self._resync = Resync(records, summaries, open_runs, known, cluster, self._owed)
        self.is_complete = asyncio.Event()
        self.problem: errors.JupyterKueueError | None = None

    @property
    def unread(self) -> Unread:
        """The runs that the bucket lists and that could not be read."""
        return self._known.unread

    def tell_scheduled_runs(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(schedule_id)`` for each run of a CronJob that is seen first."""
        self._on_scheduled_run = listener

    def _tell_scheduled_run(self, schedule_id: str) -> None:
        self._on_scheduled_run(schedule_id)

    def unreadable(self) -> dict[str, Sentence]:
        """Return what cannot be understood: a key of the bucket, or ``run <id>`` -> why."""
        found = dict(self._records.unreadable)
        for run_id, why in self._known.unreadable().items():
            if not any(run_id in key for key in self._records.unreadable):
                found[f"run {run_id}"] = why
        return found

    # --- What users do ----------------------------------------------------------------------------

    def mark(self, run_id: str, reread: bool = False) -> None:
        """Have a run looked at soon; ``reread`` when the bucket may know something new."""
        self._known.mark(run_id, reread)

    async def settle(
        self, run_id: str, *, stop: Stop | None = None, meta: Meta | None = None
    ) -> None:
        """Wait until a run is shown as it is now, and what is due was done.

        ``stop`` and ``meta`` are what was just written to its stop.json and meta.json.

        Raises:
            UnavailableError: bucket or cluster do not answer; it is tried again.
        """
        if stop is not None or meta is not None:
            self._known.note_written(run_id, stop=stop, meta=meta)
        await self._known.looked_at(run_id)

    async def adopt(self, facts: BucketFacts, job: Job | None) -> RunRow:
        """Show a run that was submitted just now, before any watch shows it; return its row.

        ``job`` is None where the API server was not asked for it again.
        """
        run_id = facts.record.run_id
        self._known.note_submitted(facts, job)
        look = self._known.looked_at(run_id, reread=False)
        hanging = asyncio.ensure_future(self._cluster.hanging())
        either: list[asyncio.Future[Any]] = [look, hanging]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hanging.cancel()
        if look.done() and (error := look.exception()) is not None:
            log.warning("run_id=%s submitted, and not looked at yet: %s", run_id, error)
        look.cancel()
        entry = self._known.index.find(run_id)
        if entry is not None:
            return entry.row
        # Deleted in this moment, or nobody answers any more: it was accepted all the same.
        blind = RunFacts(run_id, Stored.RECORDED, ClusterFacts(known=False), bucket=facts)
        status = decide(blind, dt.datetime.now(dt.UTC), self._rules).status
        assert isinstance(status, Status)
        return run_view.build_row(facts, status)

    async def settle_deleted(self, run_id: str) -> None:
        """Show a deleted run no more, and begin to clean up behind it.

        Raises:
            UnavailableError: cluster or bucket do not answer; it is tried again.
        """
        self._known.note_deleted(run_id)
        await self._known.looked_at(run_id)

    async def owe_tombstone(self, run_id: str, by: str) -> None:
        """Write the tombstone of a run that ``by`` deleted, as soon as there is room for it."""
        self._owed.owe(run_id, by)
        self._known.note_deleted(run_id)
        await self._owed.write()

    # --- The loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Load what there is, then keep it true until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            group.create_task(self._compare_for_ever())
            group.create_task(self._look_for_results())

    async def _work(self) -> None:
        await self._may_work.wait()
        await self._known.queue.run(self.look, WORKERS)

    async def _look_for_results(self) -> None:
        await self.is_complete.wait()
        await results_during_outage.look_for_ever(self._records, self._known, self._cluster)

    async def _compare_for_ever(self) -> None:
        backoff = Backoff(patience.LIST_FIRST_RETRY_SECONDS, patience.LIST_LONGEST_RETRY_SECONDS)
        while True:
            try:
                await self.compare()
            except errors.JupyterKueueError as error:
                log.warning("looking through the bucket failed, tried again: %s", error)
                self._note_problem(error)
                await asyncio.sleep(backoff.next())
            except Exception as error:
                # The loop must live, whatever the bucket holds.
                log.exception("looking through the bucket failed, tried again")
                unforeseen = say(
                    "runs-not-read",
                    "The runs could not be read ({error}); see the server's log.",
                    error=type(error).__name__,
                )
                self._note_problem(errors.UnavailableError(unforeseen))
                await asyncio.sleep(backoff.next())
            else:
                self._note_problem(None)
                backoff.reset()
                await asyncio.sleep(self._resync_seconds)

    def _note_problem(self, problem: errors.JupyterKueueError | None) -> None:
        self.problem = problem
        self._state_changed.notify_all()

    async def compare(self) -> None:
        """Have all that may differ from what bucket and cluster hold looked at; first, load it.

        Raises:
            JupyterKueueError: why not all of it could be read.
        """
        if self.is_complete.is_set():
            listing = await list_runs(self._records)
        else:
            listing = await self._loading.load()
            # As with the finished ones' rows (storage.summaries).
            gc.freeze()
            self.is_complete.set()
            self._state_changed.notify_all()
        await self._resync.compare(listing)

    async def look(self, run_id: str) -> None:
        """Look at a run; one that cannot be read is shown all the same if that lasts.

        Raises:
            JupyterKueueError: why it has to be looked at again.
        """
        facts = self._with_most(self._known.take_facts(run_id, self._cluster.facts(run_id)))
        try:
            await self._reconcile(facts)
        except errors.JupyterKueueError as error:
            log.warning("run_id=%s not reconciled, tried again: %s", run_id, error)
            self._known.give_back(facts)
            if self._known.is_shown(run_id):
                raise
            self.unread.note(run_id, error)
            is_held_up = not self.is_complete.is_set() and run_id not in self._given_up
            if is_held_up or not self.unread.is_given_up(run_id):
                raise
            # Looked at again with the next resync.
            await self._reconcile(await self._without_records(facts, error))
        except Exception as error:
            # The loop must live, whatever one run holds.
            log.exception("run_id=%s not reconciled", run_id)
            if not self._known.is_over(run_id):
                await self._reconcile(self._odd(facts, error))
        else:
            self.unread.note(run_id, None)
            self._given_up.discard(run_id)

    def _with_most(self, facts: RunFacts) -> RunFacts:
        """Return facts with how much a run could ever have, before Kueue has made its Workload."""
        if facts.cluster.workload is not None or facts.bucket is None:
            return facts
        queue = self._cluster.cluster_queue_of(facts.bucket.record.local_queue)
        cluster = dataclasses.replace(facts.cluster, most=self._cluster.most_of(queue))
        return dataclasses.replace(facts, cluster=cluster)

    async def _reconcile(self, facts: RunFacts) -> None:
        for _ in range(_MOST_DECISIONS):
            decided_on = facts
            decision = decide(facts, dt.datetime.now(dt.UTC), self._rules)
            if decision.status is not None:
                self._known.show(facts, decision.status)
                if decision.status is GONE or decision.status.state in FINISHED_STATES:
                    self._start_events.forget(facts.run_id)
            for action in decision.actions:
                facts = await self._executor.act(action, facts)
            if facts is decided_on:
                break
        else:
            raise RuntimeError(f"no end of decisions on {facts}")
        if decision.status is GONE and not decision.actions:
            self._known.note_clean(facts.run_id, is_owed=facts.run_id in self._owed)

    async def _without_records(self, facts: RunFacts, error: errors.JupyterKueueError) -> RunFacts:
        """Return what the cluster alone knows of a run whose records cannot be read."""
        log.warning("run_id=%s shown without its records: %s", facts.run_id, error)
        nothing = self._records.placeholder(facts.run_id, dt.datetime.now(dt.UTC))
        facts = dataclasses.replace(facts, stored=Stored.LOST, bucket=None, lost=error.message)
        if (job := facts.cluster.job) is not None:
            with contextlib.suppress(errors.JupyterKueueError):
                facts = await self._executor.act(FindJob(job["metadata"]["name"]), facts)
        known = facts.bucket or BucketFacts(nothing, is_recorded=False)
        return dataclasses.replace(facts, bucket=known)

    def _odd(self, facts: RunFacts, error: Exception) -> RunFacts:
        """Return facts that show a run in which something is as nobody foresaw.

        It is there, and can be deleted.
        """
        known = facts.bucket
        if known is None or not known.is_recorded:
            nothing = self._records.placeholder(facts.run_id, dt.datetime.now(dt.UTC))
            known = BucketFacts(nothing)
        problem = say(
            "run-not-understood",
            "The data about this run in the cluster or the bucket cannot be "
            "understood ({error}: {message}); see the server's log.",
            error=type(error).__name__,
            message=text_rules.shown_line(error, 200),
        )
        return dataclasses.replace(
            facts, stored=Stored.RECORDED, bucket=dataclasses.replace(known, problem=problem)
        )
