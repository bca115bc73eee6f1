"""What users do with their schedules: create, list, look, change, delete, run now.

REST and jupyter-scheduler's backend call this and nothing below it. A schedule is a CronJob in the
cluster and fires with no server up; the bucket holds what its runs are made from. Whatever is done
is written to the bucket first and to the cluster second; what is left half done then is finished by
``service.schedules.schedule_reconciler``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import re
import uuid
from typing import TYPE_CHECKING, Any, cast

from jupyter_kueue import patience
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors, names, times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunSpec
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.schedule_record import ScheduleRecord, ScheduleRevision
from jupyter_kueue.service.paging import read_cursor, write_cursor
from jupyter_kueue.service.runs import run_view
from jupyter_kueue.service.schedules import schedule_view
from jupyter_kueue.storage.run_records import DELETED, FAILED_SUBMIT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.request_changes import RunNow, ScheduleChanges
    from jupyter_kueue.domain.run_row import LocatedFile, RunRow
    from jupyter_kueue.domain.schedule_query import ScheduleQuery, SortField
    from jupyter_kueue.domain.schedule_request import ScheduleRequest
    from jupyter_kueue.domain.schedule_row import ScheduleList, ScheduleRow
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.reconciler import Reconciler
    from jupyter_kueue.service.runs.submission import InputSource, Stage, Submission
    from jupyter_kueue.service.schedules.schedule_reconciler import ScheduleKeeper

Json = dict[str, Any]

_OF_RUNS = frozenset(item.name for item in dataclasses.fields(RunRequest))
_STAGED_ANEW = frozenset({"input_path", "include_folder"})
# How the API server calls what users call otherwise.
_FIELD_NAMES = {
    "spec.schedule": "schedule",
    "spec.timeZone": "timezone",
    "spec.concurrencyPolicy": "concurrency_policy",
    "spec.startingDeadlineSeconds": "starting_deadline_seconds",
}
# What an API server says before its reason (k8s.io/apimachinery, field.Error).
_INVALID_VALUE = re.compile(r'^Invalid value: "(?:[^"\\]|\\.)*": ')
_EXAMPLES = {
    "schedule": say(
        "example-of-schedule",
        "use five fields, for example 0 9 * * 1-5 (9:00, Monday to Friday)",
    ),
    "timezone": say("example-of-timezone", "use a name such as Europe/Berlin"),
}
_NEVER = say(
    "schedule-never-comes",
    "never runs, because that date does not exist; use for example 0 9 1 * * "
    "(9:00 on the first of each month)",
)

log = logging.getLogger(__name__)


class Schedules:
    """The schedules of one owner.

    A schedule is shown as ``schedule_id``, ``name``, ``owner``, ``active``, ``schedule``,
    ``timezone``, ``concurrency_policy``, ``starting_deadline_seconds``, ``end_date``, ``max_runs``,
    ``runs_counted`` (of max_runs; None without), ``tags``, ``local_queue``, ``created_at``,
    ``updated_at``, ``next_run_at`` (None where none is due), ``last_run`` (``{"run_id", "state",
    "reason", "created_at"}`` or None), ``message`` (why it does not fire, or None) and ``request``
    (the ScheduleRequest as JSON). Times are RFC 3339 in UTC.
    """

    def __init__(
        self,
        *,
        owner: Owner,
        cluster: ClusterView,
        keeper: ScheduleKeeper,
        submission: Submission,
        reconciler: Reconciler,
    ) -> None:
        self._owner = owner
        self._cluster = cluster
        self._keeper = keeper
        self._records = keeper.records
        self._submission = submission
        self._reconciler = reconciler

    @property
    def is_loaded(self) -> bool:
        """Whether all schedules are known."""
        return self._keeper.is_loaded

    @property
    def missing(self) -> errors.JupyterKueueError | None:
        """Why the schedules cannot be read just now, None where they can."""
        return self._keeper.missing

    def unreadable(self) -> dict[str, Sentence]:
        """Return what cannot be understood: ``CronJob/<name>`` or a key of the bucket -> why."""
        return self._keeper.unreadable()

    async def list(self, query: ScheduleQuery) -> ScheduleList:
        """Return a page of schedules, from memory alone."""
        query.check()
        field = cast("SortField", query.sort.removeprefix("-"))
        descending = query.sort.startswith("-")
        after = read_cursor(query.cursor, query.sort)
        rows = {
            (str(row[field] or ""), row["schedule_id"]): row
            for row in self._keeper.rows()
            if _matches(row, query)
        }
        left = [
            key
            for key in sorted(rows, reverse=descending)
            if after is None or (key < after if descending else key > after)
        ]
        page = left[: query.limit]
        more = len(left) > len(page) and page
        return {
            "items": [rows[key] for key in page],
            "total": len(rows),
            "next_cursor": write_cursor(page[-1], query.sort) if more else None,
        }

    async def get(self, schedule_id: str) -> ScheduleRow:
        """Return a schedule.

        Raises:
            NotFoundError: there is no such schedule.
        """
        self._keeper.get(schedule_id)
        [row] = self._keeper.rows([schedule_id])
        return row

    async def inputs(self, schedule_id: str) -> Sequence[LocatedFile]:
        """Return the files that its runs start from, the notebook first.

        Returns:
            ``{"path", "size_bytes", "sha256", "role", "url"}`` of each, as the files of a run,
            and where it lies in the bucket.

        Raises:
            NotFoundError: there is no such schedule.
            UnavailableError: the bucket does not answer.
        """
        schedule = self._keeper.get(schedule_id).record
        revision = await self._revision(schedule)
        prefix = self._records.input_prefix(schedule_id, revision.input_id)
        folder = f"{self._records.bucket.url.rstrip('/')}/{prefix}"
        return [
            {**run_view.input_file(item), "url": f"{folder}{item['path']}"}
            for item in revision.spec.input
        ]

    async def check(self, request: ScheduleRequest, source: InputSource | None = None) -> None:
        """Check a schedule as ``create`` does, and create nothing.

        Raises:
            InvalidRequestError: naming each bad field.
            UnavailableError: cluster or bucket do not answer.
        """
        self._check_cluster()
        schedule = self._draft(names.new_run_id(), request)
        await self._checked(schedule, self._submission.prepare(request.run_request(), "", source))

    async def create(
        self, request: ScheduleRequest, source: InputSource | None = None
    ) -> ScheduleRow:
        """Create a schedule and return it; the same ``idempotency_key`` gives the one there is.

        Its files are read at ``source`` if that is given, else where the request says.

        Raises:
            InvalidRequestError: naming each bad field; nothing was left behind.
            ConflictError: the idempotency_key stands for something else.
            UnavailableError: cluster or bucket do not answer; nothing was left behind.
        """
        self._check_cluster()
        schedule_id = names.new_run_id()
        if request.idempotency_key is not None:
            schedule_id = names.schedule_id_of_key(self._owner.slug, request.idempotency_key)
            if await self._find_repeated(schedule_id, request) is not None:
                return await self._repeated(schedule_id, request)
        schedule = self._draft(schedule_id, request)
        input_id = schedule.input_id
        prefix = self._records.input_prefix(schedule_id, input_id)
        record, stage = await self._checked(
            schedule, self._submission.prepare(request.run_request(), prefix, source)
        )
        try:
            record = await _staged(record, stage, schedule)
            revision = _revision_of(record, input_id, request)
            schedule = _with_revision(schedule, revision)
            await self._records.write_revision(schedule_id, revision)
            if not await self._records.create(schedule):
                # The same idempotency_key at the same moment; what was staged here is swept later.
                return await self._repeated(schedule_id, request)
            row = await self._keep(schedule, revision)
        except BaseException:
            await asyncio.shield(self._take_back(schedule))
            raise
        log.info("schedule_id=%s created", schedule_id)
        return row

    async def update(self, schedule_id: str, changes: ScheduleChanges) -> ScheduleRow:
        """Change fields of a schedule's request, from its next run on, and return it.

        The uploaded files stay as they are unless ``input_path`` or ``include_folder`` is among
        the changes.

        Raises:
            NotFoundError: there is no such schedule.
            InvalidRequestError: naming each bad field; nothing was changed.
            UnavailableError: bucket or cluster do not answer.
        """
        self._keeper.get(schedule_id)
        self._check_cluster()
        before = await self._read(schedule_id)
        old = await self._revision(before)
        request = self._changed(before, changes)
        schedule = dataclasses.replace(
            before, request=request, updated_at=times.now(), revision="none"
        )
        fields = set(changes.values)
        input_id = uuid.uuid4().hex if _STAGED_ANEW & fields else before.input_id
        spec, stage = await self._checked(schedule, self._next_spec(old, request, fields, input_id))
        spec = await _staged(spec, stage, schedule)
        revision = _revision_of(spec, input_id, request)
        schedule = _with_revision(schedule, revision)
        await self._records.write_revision(schedule_id, revision)
        await self._records.write(schedule)
        log.info("schedule_id=%s changed: %s", schedule_id, ", ".join(changes.values))
        return await self._keep(schedule, revision)

    async def delete(self, schedule_id: str, *, with_runs: bool = False) -> None:
        """Delete a schedule; its runs stay, those that go on too.

        ``with_runs`` says that they are deleted as well, by the caller: one that the cluster
        makes in the last moment and nobody knows of yet goes by itself then.

        Raises:
            NotFoundError: there is no such schedule.
            UnavailableError: cluster or bucket do not answer.
        """
        self._keeper.get(schedule_id)
        self._check_cluster()
        try:
            await self._records.write_tombstone(
                schedule_id, DELETED, self._owner.name, with_runs=with_runs
            )
        except errors.BucketUnavailableError as error:
            await self._delete_without_tombstone(schedule_id, error)
            return
        await self._settle_deleted(schedule_id)

    async def _settle_deleted(self, schedule_id: str) -> None:
        try:
            await self._keeper.settle_deleted(schedule_id)
        except errors.UnavailableError as error:
            # What the bucket says is the promise: the keeper goes on trying.
            log.warning("schedule_id=%s deletion is tried again: %s", schedule_id, error)

    async def _delete_without_tombstone(
        self, schedule_id: str, error: errors.BucketUnavailableError
    ) -> None:
        """Delete a schedule in a bucket that takes nothing, because it is full: to make room.

        The CronJob is suspended first: while there is a definition, any server would make a
        deleted one again, and once there is none, nobody would know of one that fires.

        Raises:
            UnavailableError: the cluster or the bucket does not answer at all; it stays.
        """
        await self._keeper.suspend_cron_job(schedule_id)
        try:
            await self._records.purge(schedule_id)
        except errors.BucketUnavailableError:
            raise error from None
        await self._settle_deleted(schedule_id)
        log.info("schedule_id=%s deleted without a tombstone: %s", schedule_id, error)

    async def run_now(self, schedule_id: str, asked: RunNow | None = None) -> RunRow:
        """Queue a run of it now and return the run; ``asked`` is what it has otherwise.

        It counts for neither ``concurrency_policy`` nor ``max_runs``.

        Raises:
            NotFoundError: there is no such schedule.
            InvalidRequestError: naming each bad field.
            UnavailableError: cluster or bucket do not answer.
        """
        self._keeper.get(schedule_id)
        self._check_cluster()
        schedule = await self._read(schedule_id)
        revision = await self._revision(schedule)
        request = revision.spec.request
        if asked is not None and asked.parameters is not None:
            request = dataclasses.replace(request, parameters=asked.parameters)
        spec = await self._submission.renew(revision.spec, request)
        source = self._records.input_prefix(schedule_id, revision.input_id)
        submitted = await self._submission.submit_staged(
            spec, source, schedule_revision=schedule.revision
        )
        return await self._reconciler.adopt(submitted.facts, submitted.job)

    def _draft(self, schedule_id: str, request: ScheduleRequest) -> ScheduleRecord:
        """Return a new schedule as it stands before its revision is known."""
        created_at = times.now()
        return ScheduleRecord(
            schedule_id=schedule_id,
            name=request.name or "schedule",
            owner=self._owner,
            namespace=self._cluster.namespace,
            created_at=created_at,
            updated_at=created_at,
            request=request,
            revision="none",
            input_id=uuid.uuid4().hex,
            local_queue="",
        )

    async def _find_repeated(
        self, schedule_id: str, request: ScheduleRequest
    ) -> ScheduleRecord | None:
        loaded = await self._records.load(schedule_id)
        if loaded.deleted:
            raise errors.ConflictError(
                say(
                    "schedule-key-deleted",
                    "The schedule of this idempotency_key was deleted. Use a new key.",
                )
            )
        if loaded.record is None:
            return None
        if loaded.record.request != request:
            raise errors.ConflictError(
                say(
                    "key-of-another-schedule",
                    "This idempotency_key was already used for a different schedule, "
                    "or for one that has changed since. Use a new key.",
                )
            )
        return loaded.record

    async def _repeated(self, schedule_id: str, request: ScheduleRequest) -> ScheduleRow:
        """Return the schedule that is there, finishing its creation if that was cut off."""
        there = await self._find_repeated(schedule_id, request)
        if there is None:
            raise errors.ConflictError(
                say(
                    "schedule-deleted-while-created",
                    "The schedule was deleted while it was being created.",
                )
            )
        return await self._keep(there, await self._revision(there))

    async def _read(self, schedule_id: str) -> ScheduleRecord:
        """Return the schedule as it stands now: another server may have changed it."""
        loaded = await self._records.load(schedule_id)
        if loaded.record is None or loaded.deleted:
            raise errors.NotFoundError(
                say(
                    "schedule-deleted", "The schedule {schedule} was deleted.", schedule=schedule_id
                )
            )
        if loaded.problem is not None:
            raise errors.UnreadableError(loaded.problem)
        return loaded.record

    async def _revision(self, schedule: ScheduleRecord) -> ScheduleRevision:
        return await self._records.read_revision(schedule.schedule_id, schedule.revision)

    def _changed(self, schedule: ScheduleRecord, changes: ScheduleChanges) -> ScheduleRequest:
        """Return the request with ``changes``; what kubectl paused stays paused."""
        request = schedule.request
        entry = self._keeper.get(schedule.schedule_id)
        cron_job = self._keeper.cron_job(schedule.schedule_id)
        is_over = schedule_view.is_over(schedule, entry.runs_counted, dt.datetime.now(dt.UTC))
        if cron_job is not None and not is_over:
            is_active = schedule_view.is_active(schedule, cron_job)
            request = dataclasses.replace(request, active=is_active)
        return changes.applied_to(request)

    async def _next_spec(
        self, old: ScheduleRevision, request: ScheduleRequest, changed: set[str], input_id: str
    ) -> tuple[RunSpec, Stage | None]:
        """Return what the runs to come are, and what stages their inputs if they change."""
        if _STAGED_ANEW & changed:
            prefix = self._records.input_prefix(str(old.spec.schedule_id), input_id)
            return await self._submission.prepare(request.run_request(), prefix)
        if _OF_RUNS & changed:
            return await self._submission.renew(old.spec, request.run_request()), None
        # A pause must not fail because a queue or a priority class is gone.
        return old.spec, None

    async def _checked(
        self,
        schedule: ScheduleRecord,
        work: Coroutine[Any, Any, tuple[RunSpec, Stage | None]],
    ) -> tuple[RunSpec, Stage | None]:
        """Return what ``work`` gives, once the API server would take the schedule's CronJob.

        Raises:
            InvalidRequestError: naming the bad fields of both.
        """
        wrong: dict[str, Sentence] = {}
        answer: tuple[RunSpec, Stage | None] = (_PLACEHOLDER, None)
        try:
            answer = await work
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
        spec = dataclasses.replace(
            answer[0],
            owner=schedule.owner,
            namespace=schedule.namespace,
            schedule_id=schedule.schedule_id,
        )
        if schedule.request.schedule is not None:
            try:
                await self._keeper.apply(schedule, spec, 0, dry_run=True)
            except errors.InvalidRequestError as error:
                for key, text in error.fields.items():
                    field = _FIELD_NAMES.get(key, key)
                    wrong[field] = _in_words(field, text)
            else:
                if schedule_view.never_fires(schedule, dt.datetime.now(dt.UTC)):
                    wrong["schedule"] = _NEVER
        if wrong:
            raise errors.InvalidRequestError(wrong)
        return answer

    async def _keep(self, schedule: ScheduleRecord, revision: ScheduleRevision) -> ScheduleRow:
        """Bring the cluster in line with what is written, now or as soon as it answers."""
        try:
            await self._apply(schedule, revision)
        except errors.UnavailableError as error:
            log.warning(
                "schedule_id=%s its CronJob is tried again: %s", schedule.schedule_id, error
            )
        return await self._keeper.adopt(schedule)

    async def _apply(self, schedule: ScheduleRecord, revision: ScheduleRevision) -> None:
        if schedule.request.schedule is None:
            await self._keeper.delete_cron_job(schedule.schedule_id)
            return
        counted = self._keeper.runs_counted(schedule.schedule_id)
        await self._keeper.apply(schedule, revision.spec, counted, dry_run=False)

    async def _take_back(self, schedule: ScheduleRecord) -> None:
        """Remove what a failed create did, under an id that nobody else knows; else nothing.

        Under an idempotency_key a repeat finishes it, on whichever server. What stays is found by
        the keeper.
        """
        if schedule.request.idempotency_key is not None:
            return
        schedule_id = schedule.schedule_id
        try:
            async with asyncio.timeout(patience.TAKE_BACK_SECONDS):
                await self._records.write_tombstone(schedule_id, FAILED_SUBMIT)
                await self._keeper.delete_cron_job(schedule_id)
                await self._records.forget(schedule_id)
        except (errors.JupyterKueueError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            log.warning("schedule_id=%s failed create not taken back yet: %s", schedule_id, why)

    def _check_cluster(self) -> None:
        """Raise at once, instead of after a time-out, while the cluster is known not to answer."""
        if self._cluster.error is not None:
            raise self._cluster.error.with_traceback(None)


# Stands for a run that cannot be, so that one answer names the schedule's bad fields too.
_PLACEHOLDER = RunSpec(
    name="schedule",
    owner=Owner("", ""),
    namespace="",
    request=RunRequest("none.ipynb"),
    local_queue="default",
    resources=Resources(),
    image="none",
    notebook="none.ipynb",
    input=(),
)


async def _staged(spec: RunSpec, stage: Stage | None, schedule: ScheduleRecord) -> RunSpec:
    """Return what a schedule's runs are, with the inputs in the bucket."""
    inputs = spec.input if stage is None else await stage()
    return dataclasses.replace(spec, schedule_id=schedule.schedule_id, input=inputs)


def _revision_of(spec: RunSpec, input_id: str, request: ScheduleRequest) -> ScheduleRevision:
    return ScheduleRevision(
        spec, input_id, request.concurrency_policy, request.end_date, request.max_runs
    )


def _with_revision(schedule: ScheduleRecord, revision: ScheduleRevision) -> ScheduleRecord:
    return dataclasses.replace(
        schedule,
        name=revision.spec.name,
        revision=revision.revision,
        input_id=revision.input_id,
        local_queue=revision.spec.local_queue,
        left_behind=revision.spec.left_behind,
    )


def _matches(row: ScheduleRow, query: ScheduleQuery) -> bool:
    if query.active is not None and row["active"] != query.active:
        return False
    if query.local_queues and row["local_queue"] not in query.local_queues:
        return False
    if query.text:
        wanted = query.text.casefold()
        places = (row["name"], row["schedule_id"], row["request"].input_path, *row["tags"])
        return any(wanted in place.casefold() for place in places)
    return True


def _in_words(field: str, text: Sentence) -> Sentence:
    """Return why the API server refuses a field, with an example where that is hard to guess."""
    reason = foreign(_INVALID_VALUE.sub("", text))
    return (
        say("reason-and-example", "{reason}; {example}", reason=reason, example=_EXAMPLES[field])
        if field in _EXAMPLES
        else reason
    )
