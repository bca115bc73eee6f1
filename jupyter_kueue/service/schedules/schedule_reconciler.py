"""Keeps the schedules in memory, and each one's CronJob in line with its definition.

The CronJobs' watch, users' verbs and a regular comparison mark a schedule; a worker of the queue
reads it from the bucket, finishes what a server that died left half done, and publishes what
changed. Entries are written by these workers alone. Every step may be repeated, by this server or
by another at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue import patience
from jupyter_kueue.backoff import Backoff
from jupyter_kueue.cluster import cron_jobs, resources
from jupyter_kueue.cluster.watching import Watched
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import (
    cron_job_manifest,
    errors,
    kubernetes_objects,
    names,
    text_rules,
)
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.service.schedules import schedule_view
from jupyter_kueue.service.schedules.schedule_view import ScheduleRuns
from jupyter_kueue.service.work_queue import WorkQueue
from jupyter_kueue.storage.unread_runs import Unread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.condition_variable import ConditionVariable
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_manifests import CronJobManifest
    from jupyter_kueue.domain.kubernetes_objects import CronJob
    from jupyter_kueue.domain.run_record import RunSpec
    from jupyter_kueue.domain.schedule_record import ScheduleRecord
    from jupyter_kueue.domain.schedule_row import ScheduleRow
    from jupyter_kueue.service.changes import Changes
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.reconciler import Reconciler, Timing
    from jupyter_kueue.service.runs.run_index import Index
    from jupyter_kueue.service.runs.submission import Submission
    from jupyter_kueue.storage.run_records import Records
    from jupyter_kueue.storage.schedule_records import LoadedSchedule, ScheduleRecords

Json = dict[str, Any]

_WORKERS = 8
_TAKING_IN_SECONDS = 2.0
_TOMBSTONE_LIFE = dt.timedelta(days=1)
# How long it holds that a schedule is not due any more.
_NEVER_TRUSTED = dt.timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass
class ScheduleEntry:
    """One schedule in memory.

    Attributes:
        problem: why its CronJob could not be brought in line, None if it is.
        next_run_at: when it is due next, as told last; None where it is not due any more.
        looked_at: when that was looked up.
    """

    record: ScheduleRecord
    runs_counted: int = 0
    problem: Sentence | None = None
    next_run_at: dt.datetime | None = None
    looked_at: dt.datetime | None = None

    def is_current(self, now: dt.datetime) -> bool:
        """Tell whether ``next_run_at`` still holds.

        That an expression is never due is found by going through five years: not at each look.
        """
        if self.next_run_at is not None:
            return self.next_run_at > now
        return self.looked_at is not None and now - self.looked_at < _NEVER_TRUSTED


class ScheduleKeeper:
    """The loop. ``mark`` may be called at any time; ``run`` works until cancelled.

    Attributes:
        records: the schedules in the bucket.
    """

    def __init__(
        self,
        *,
        connection: Connection,
        cluster: ClusterView,
        records: ScheduleRecords,
        run_records: Records,
        index: Index,
        reconciler: Reconciler,
        submission: Submission,
        changes: Changes,
        timing: Timing,
        changed: ConditionVariable,
    ) -> None:
        """``changed`` is notified when ``is_loaded`` or ``missing`` changes."""
        self.records = records
        self._state_changed = changed
        self._connection = connection
        self._cluster = cluster
        self._run_records = run_records
        self._index = index
        self._reconciler = reconciler
        self._submission = submission
        self._changes = changes
        self._timing = timing
        self._entries: dict[str, ScheduleEntry] = {}
        self._queue: WorkQueue[str] = WorkQueue()
        # Written just now, and not read again yet.
        self._written: dict[str, ScheduleRecord] = {}
        # By this server, perhaps without a tombstone: the bucket may be full.
        self._deleted: set[str] = set()
        self._published: dict[str, ScheduleRow] = {}
        self._may_work = asyncio.Event()
        self._is_loaded = asyncio.Event()
        self._problem: errors.JupyterKueueError | None = None
        self._uid_of: dict[str, str] = {}
        self._unread = Unread()
        labels = {names.LABEL_OWNER: records.owner_slug, names.LABEL_COMPONENT: "schedule"}
        self._watched = Watched(
            connection,
            resources.cron_jobs(cluster.namespace),
            on_change=self._on_cron_job,
            params={"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())},
            trim=_trim,
            changed=changed,
        )
        reconciler.tell_scheduled_runs(self.mark)

    # --- What is known ---------------------------------------------------------------------------

    @property
    def is_loaded(self) -> bool:
        """Whether all schedules are known."""
        return self._is_loaded.is_set()

    @property
    def missing(self) -> errors.JupyterKueueError | None:
        """Why the schedules cannot be read just now, None where they can."""
        error = self._watched.error or self._problem or self._cluster.hangs
        if isinstance(error, errors.ForbiddenError):
            return errors.ForbiddenError(
                say(
                    "may-not-use-schedules",
                    "You may not use schedules: {message}. Ask an admin to bind the "
                    "Role jupyter-kueue-user to you (docs/operations.md). Runs work "
                    "without it.",
                    message=error.message,
                )
            )
        return error

    def get(self, schedule_id: str) -> ScheduleEntry:
        """Return a schedule's entry.

        Raises:
            NotFoundError: there is no such schedule.
        """
        entry = self._entries.get(schedule_id)
        if entry is None:
            raise errors.NotFoundError(
                say(
                    "no-such-schedule-deleted",
                    "There is no schedule {schedule}. It may have been deleted.",
                    schedule=repr(schedule_id[:60]),
                )
            )
        return entry

    def unreadable(self) -> dict[str, Sentence]:
        """Return what cannot be understood: ``CronJob/<name>`` or a key -> why."""
        watched = {f"CronJob/{name}": why for name, why in self._watched.unreadable.items()}
        return {**watched, **self.records.unreadable}

    def runs_counted(self, schedule_id: str) -> int:
        """Return how many runs counted against ``max_runs``, as far as was read."""
        entry = self._entries.get(schedule_id)
        return entry.runs_counted if entry is not None else 0

    def cron_job(self, schedule_id: str) -> CronJob | None:
        """Return a schedule's CronJob as watched, None where there is none."""
        return self._watched.items.get(self._uid_of.get(schedule_id, ""))

    def rows(self, schedule_ids: Iterable[str] | None = None) -> list[ScheduleRow]:
        """Return the rows of these schedules, or of all."""
        now = dt.datetime.now(dt.UTC)
        wanted = self._entries if schedule_ids is None else schedule_ids
        return [self._row_or_named(self._entries[key], self._runs(key), now) for key in wanted]

    def _row_or_named(
        self, entry: ScheduleEntry, runs: ScheduleRuns, now: dt.datetime
    ) -> ScheduleRow:
        """Return a schedule's row; of one in which something is odd, its name and what."""
        try:
            return self._row(entry, runs, now)
        except Exception as error:
            record = entry.record
            log.exception("schedule_id=%s cannot be shown", record.schedule_id)
            placeholder = self.records.placeholder(record.schedule_id, now)
            problem = _in_words(error)
            message = schedule_view.build_message(
                placeholder, 0, ScheduleRuns(), None, problem, now
            )
            return schedule_view.build_row(placeholder, None, 0, ScheduleRuns(), None, message)

    def _row(self, entry: ScheduleEntry, runs: ScheduleRuns, now: dt.datetime) -> ScheduleRow:
        record = entry.record
        if entry.looked_at is None or not entry.is_current(now):
            entry.looked_at = now
            entry.next_run_at = schedule_view.next_run(record, now)
        message = schedule_view.build_message(
            record, entry.runs_counted, runs, entry.next_run_at, entry.problem, now
        )
        return schedule_view.build_row(
            record,
            self.cron_job(record.schedule_id),
            entry.runs_counted,
            runs,
            entry.next_run_at,
            message,
        )

    def _runs(self, schedule_id: str) -> ScheduleRuns:
        """Return a schedule's newest run, and its unfinished ones."""
        rows = self._index.of_schedule(schedule_id)
        return ScheduleRuns(
            rows[-1] if rows else None,
            # Only what the CronJob made holds it up, which a run on demand is not.
            tuple(
                row
                for row in rows
                if row["state"] not in FINISHED_STATES and row["run_id"] in self._cluster.jobs.items
            ),
        )

    # --- What happens ----------------------------------------------------------------------------

    def mark(self, schedule_id: str) -> None:
        """Have a schedule looked at soon."""
        self._queue.add(schedule_id)

    async def adopt(self, record: ScheduleRecord) -> ScheduleRow:
        """Show a schedule as it was just written, before it is read again; return its row.

        Raises:
            NotFoundError: it was deleted in this moment.
        """
        schedule_id = record.schedule_id
        self._written[schedule_id] = record
        # The same idempotency_key again, after it was deleted without a tombstone.
        self._deleted.discard(schedule_id)
        await self._queue.processed(schedule_id)
        self.get(schedule_id)
        [row] = self.rows([schedule_id])
        return row

    async def settle_deleted(self, schedule_id: str) -> None:
        """Show a deleted schedule no more, and begin to clean up behind it.

        Raises:
            UnavailableError: cluster or bucket do not answer; it is tried again.
        """
        self._deleted.add(schedule_id)
        await self._queue.processed(schedule_id)

    def _forget(self, schedule_id: str) -> None:
        """Stop showing a schedule that is not there any more."""
        if self._entries.pop(schedule_id, None) is not None:
            self._published.pop(schedule_id, None)
            self._changes.schedule_deleted(schedule_id)

    async def apply(
        self, schedule: ScheduleRecord, spec: RunSpec, runs_counted: int, *, dry_run: bool
    ) -> None:
        """Bring the CronJob in line with ``schedule``, whose runs are ``spec``; or only ask.

        Raises:
            InvalidRequestError: the API server refuses it.
        """
        there = self.cron_job(schedule.schedule_id)
        for is_last in (False, False, True):
            cron_job = self._cron_job_of(schedule, spec, runs_counted, there)
            try:
                applied = await cron_jobs.apply(self._connection, cron_job, dry_run=dry_run)
            except errors.ConflictError:
                # Changed since the watch showed it, by kubectl or by another server.
                if is_last:
                    raise
                there = await self._look_up_cron_job(schedule.schedule_id)
            else:
                break
        if not dry_run:
            # Before the watch shows it: whoever asks next sees what was answered.
            self._watched.note(applied)

    def _cron_job_of(
        self, schedule: ScheduleRecord, spec: RunSpec, runs_counted: int, there: CronJob | None
    ) -> CronJobManifest:
        """Return what ``there``, the CronJob as last seen, is to become."""
        over = schedule_view.is_over(schedule, runs_counted, dt.datetime.now(dt.UTC))
        is_active = schedule.request.active
        if there is not None and _definition_of(there) == schedule.digest:
            # Paused or resumed since with kubectl, whose word counts until the next edit.
            is_active = schedule_view.is_active(schedule, there)
        cron_job = cron_job_manifest.build_cron_job(
            schedule,
            spec,
            self._submission.policy(spec),
            suspend=over or not is_active,
        )
        if there is not None:
            cron_job["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        return cron_job

    async def _look_up_cron_job(self, schedule_id: str) -> CronJob | None:
        try:
            name = names.cron_job_name(schedule_id)
            found = await cron_jobs.get(self._connection, self._cluster.namespace, name)
        except errors.NotFoundError:
            return None
        self._watched.note(found)
        return _trim(found)

    def _publish(self, schedule_id: str) -> None:
        """Publish a schedule if it changed."""
        if schedule_id in self._entries:
            [row] = self.rows([schedule_id])
            # Runs have changes of their own, and time passes without one.
            compared: ScheduleRow = {**row, "last_run": None, "next_run_at": None}
            if self._published.get(schedule_id) != compared:
                self._published[schedule_id] = compared
                self._changes.schedule_changed(row)

    def _on_cron_job(self, item: CronJob, gone: bool) -> None:
        schedule_id = (item["metadata"].get("labels") or {}).get(names.LABEL_SCHEDULE_ID, "")
        uid = item["metadata"]["uid"]
        if not names.is_run_id(schedule_id):
            return
        if not gone:
            self._uid_of[schedule_id] = uid
        elif self._uid_of.get(schedule_id) == uid:
            del self._uid_of[schedule_id]
        self.mark(schedule_id)

    # --- The loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Load what there is, then keep it true until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watched.run())
            group.create_task(self._work())
            group.create_task(self._resync_for_ever())

    async def _resync_for_ever(self) -> None:
        await self._watched.synced.wait()
        await self._cluster.synced()
        backoff = Backoff(patience.LIST_FIRST_RETRY_SECONDS, patience.LIST_LONGEST_RETRY_SECONDS)
        while True:
            try:
                stored = set(await self.records.list_ids())
                if not self._is_loaded.is_set():
                    self._may_work.set()
                    await self._queue.process_all(stored | set(self._uid_of))
                    self._check_all_read()
                    self._is_loaded.set()
                    self._state_changed.notify_all()
                for schedule_id in stored | set(self._uid_of) | set(self._entries):
                    self.mark(schedule_id)
                self._note_problem(None)
                backoff.reset()
                pause = self._timing.resync_seconds
            except errors.JupyterKueueError as error:
                self._note_problem(error)
                log.warning("looking through the schedules failed, tried again: %s", error)
                pause = backoff.next()
            except Exception as error:
                # The loop must live, whatever bucket and cluster hold.
                log.exception("looking through the schedules failed, tried again")
                self._note_problem(errors.UnavailableError(_in_words(error)))
                pause = backoff.next()
            await asyncio.sleep(pause)

    def _note_problem(self, problem: errors.JupyterKueueError | None) -> None:
        self._problem = problem
        self._state_changed.notify_all()

    async def _work(self) -> None:
        await self._may_work.wait()
        await self._queue.run(self._look, _WORKERS)

    async def _look(self, schedule_id: str) -> None:
        """Look at a schedule.

        Raises:
            JupyterKueueError: why it has to be looked at again.
        """
        try:
            await self._reconcile(schedule_id)
            self._unread.note(schedule_id, None)
        except errors.JupyterKueueError as error:
            log.warning("schedule_id=%s looked at again: %s", schedule_id, error)
            if schedule_id not in self._entries:
                self._unread.note(schedule_id, error)
            raise
        except Exception as error:
            # The loop must live, whatever one schedule holds.
            log.exception("schedule_id=%s not looked at", schedule_id)
            self._show_odd(schedule_id, error)
        finally:
            self._publish(schedule_id)

    def _check_all_read(self) -> None:
        """Show what could not be read for long as such.

        Raises:
            JupyterKueueError: why another one could not be read, which may pass.
        """
        failed = {key: error for key in self._unread if (error := self._unread.find(key))}
        for error in failed.values():
            if not all(self._unread.is_given_up(key) for key in failed):
                raise error.with_traceback(None)
        for schedule_id, error in failed.items():
            record = self.records.placeholder(schedule_id, dt.datetime.now(dt.UTC))
            problem = say("read-again", "{problem} Retrying automatically.", problem=error.message)
            self._entries[schedule_id] = ScheduleEntry(record, problem=problem)

    def _show_odd(self, schedule_id: str, error: Exception) -> None:
        """Show a schedule in which something is as nobody foresaw: it can be deleted."""
        if schedule_id in self._deleted:
            return
        known = self._entries.get(schedule_id)
        record = (
            self.records.placeholder(schedule_id, dt.datetime.now(dt.UTC))
            if known is None
            else known.record
        )
        self._entries[schedule_id] = ScheduleEntry(record, problem=_in_words(error))

    async def _reconcile(self, schedule_id: str) -> None:
        written = self._written.pop(schedule_id, None)
        if schedule_id in self._deleted:
            self._forget(schedule_id)
        elif written is not None:
            counted = self.runs_counted(schedule_id)
            self._entries[schedule_id] = ScheduleEntry(written, counted)
            # What else is new has to be read all the same.
            self.mark(schedule_id)
            return
        loaded = await self.records.load(schedule_id)
        if loaded.deleted:
            self._forget(schedule_id)
            await self._clean_up(schedule_id, loaded)
            return
        record = loaded.record
        leftover = dt.timedelta(seconds=self._timing.leftover_seconds)
        is_old = loaded.age is not None and loaded.age > leftover
        if record is None:
            if schedule_id in self._entries:
                self._forget(schedule_id)
            elif self.cron_job(schedule_id) is not None and schedule_id in self._deleted:
                await self.delete_cron_job(schedule_id)
            elif self.cron_job(schedule_id) is not None:
                # Perhaps of another bucket: nothing of ours says that it may go.
                log.warning("schedule_id=%s has a CronJob and no definition", schedule_id)
            elif is_old:
                log.info("schedule_id=%s leftovers of a create removed", schedule_id)
                await self.records.forget(schedule_id)
            return
        if loaded.problem is not None:
            log.warning("schedule_id=%s %s", schedule_id, loaded.problem)
            self._entries[schedule_id] = ScheduleEntry(
                record, loaded.runs_counted, problem=loaded.problem
            )
            return
        if record.namespace != self._cluster.namespace:
            return
        entry = self._entries.get(schedule_id)
        if entry is None or entry.record != record:
            entry = self._entries[schedule_id] = ScheduleEntry(record)
        entry.runs_counted = loaded.runs_counted
        await self._bring_in_line(entry)
        if loaded.has_unused and is_old:
            jobs = self._cluster.scheduled_jobs(schedule_id)
            used = {item["metadata"]["labels"].get(names.LABEL_REVISION, "") for item in jobs}
            await self.records.sweep(record, used)

    async def _bring_in_line(self, entry: ScheduleEntry) -> None:
        record = entry.record
        cron_job = self.cron_job(record.schedule_id)
        if record.request.schedule is None:
            if cron_job is not None:
                await self.delete_cron_job(record.schedule_id)
            return
        over = schedule_view.is_over(record, entry.runs_counted, dt.datetime.now(dt.UTC))
        if cron_job is not None:
            # Whoever changed when it fires with kubectl would see another time shown than kept.
            timing = cron_job_manifest.build_timing(record)
            is_current = _definition_of(cron_job) == record.digest and cron_job_manifest.has_timing(
                cron_job, timing
            )
            if is_current and not (over and not cron_job["spec"]["suspend"]):
                entry.problem = None
                return
        try:
            revision = await self.records.read_revision(record.schedule_id, record.revision)
            await self.apply(record, revision.spec, entry.runs_counted, dry_run=False)
        except (
            errors.InvalidRequestError,
            errors.ForbiddenError,
            errors.NotFoundError,
            errors.UnreadableError,
        ) as error:
            # Waiting for a change on the other side: looked at again with the next resync.
            log.warning("schedule_id=%s its CronJob is refused: %s", record.schedule_id, error)
            entry.problem = error.message
        else:
            log.info("schedule_id=%s CronJob brought in line", record.schedule_id)
            entry.problem = None

    async def _clean_up(self, schedule_id: str, loaded: LoadedSchedule) -> None:
        """Remove what is left of a deleted schedule: CronJob, then the bucket's part."""
        cron_job = self.cron_job(schedule_id)
        if cron_job is not None:
            if "deletionTimestamp" not in cron_job["metadata"]:
                await self.delete_cron_job(schedule_id)
            return
        if loaded.has_more:
            # A run that exists must have its own inputs before the schedule's are gone.
            if await self._has_runs_to_take_in(schedule_id):
                self._queue.add_after(schedule_id, _TAKING_IN_SECONDS)
                return
            await self.records.purge(schedule_id)
        elif loaded.age is not None and loaded.age > _TOMBSTONE_LIFE:
            await self.records.forget(schedule_id)

    async def suspend_cron_job(self, schedule_id: str) -> None:
        """Have a schedule's CronJob fire no more, whatever becomes of its definition."""
        name = names.cron_job_name(schedule_id)
        await cron_jobs.suspend(self._connection, self._cluster.namespace, name)

    async def delete_cron_job(self, schedule_id: str) -> None:
        """Delete a schedule's CronJob; its Jobs stay."""
        name = names.cron_job_name(schedule_id)
        await cron_jobs.delete(self._connection, self._cluster.namespace, name)

    async def _has_runs_to_take_in(self, schedule_id: str) -> bool:
        jobs = self._cluster.scheduled_jobs(schedule_id)
        unknown = [uid for item in jobs if (uid := item["metadata"]["uid"]) not in self._index]
        there = await asyncio.gather(*(self._run_records.has_record(uid) for uid in unknown))
        missing = [uid for uid, is_there in zip(unknown, there, strict=True) if not is_there]
        for uid in missing:
            self._reconciler.mark(uid, reread=True)
        return bool(missing)


def _in_words(error: Exception) -> Sentence:
    return say(
        "schedule-not-understood",
        "the data about it in the cluster or the bucket cannot be understood "
        "({error}: {message}); see the server's log.",
        error=type(error).__name__,
        message=text_rules.shown_line(error, 200),
    )


def _trim(item: Json) -> CronJob:
    return kubernetes_objects.CRON_JOB.read_back(item)


def _definition_of(cron_job: CronJob) -> str | None:
    """Return the digest of the definition that a CronJob was brought in line with."""
    return cron_job["metadata"].get("annotations", {}).get(names.ANNOTATION_DEFINITION)
