"""What users do with their runs: submit, list, look, change, stop, delete, run again.

REST, jupyter-scheduler's backend and the command line call this and nothing below it. A list is
answered from memory; whatever is done is written to the bucket first and to the cluster second.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.cluster import jobs as cluster_jobs
from jupyter_kueue.contract.sentences import as_json, say
from jupyter_kueue.domain import errors, names, run_decisions, times
from jupyter_kueue.domain.run_decisions import EndInCluster
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.service.cluster_state import run_id_of
from jupyter_kueue.service.runs import ending, missing_outputs, run_view
from jupyter_kueue.storage import run_records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
    from pathlib import Path

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.request_changes import RunChanges
    from jupyter_kueue.domain.run_documents import Stop
    from jupyter_kueue.domain.run_facts import BucketFacts
    from jupyter_kueue.domain.run_query import RunQuery
    from jupyter_kueue.domain.run_request import RunRequest
    from jupyter_kueue.domain.run_row import (
        LocatedFile,
        Position,
        Progress,
        Run,
        RunFile,
        RunList,
        RunRow,
    )
    from jupyter_kueue.domain.run_update import RunUpdate
    from jupyter_kueue.service.changes import Changes
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.queues.local_queues import Queues
    from jupyter_kueue.service.runs.outputs import (
        FileContent,
        FileId,
        FileKind,
        NotebookContent,
        Outputs,
    )
    from jupyter_kueue.service.runs.reconciler import Reconciler
    from jupyter_kueue.service.runs.run_index import Entry, Index
    from jupyter_kueue.service.runs.submission import Submission, Submitted
    from jupyter_kueue.storage.run_records import Records

Answer = TypeVar("Answer")

_DELETED_AT_ONCE = 16

log = logging.getLogger(__name__)


class Runs:
    """The runs of one owner."""

    def __init__(
        self,
        *,
        connection: Connection,
        cluster: ClusterView,
        records: Records,
        index: Index,
        reconciler: Reconciler,
        submission: Submission,
        outputs: Outputs,
        local_queues: Queues,
        changes: Changes,
        owner_name: str,
        local_queue: str | None,
    ) -> None:
        """``local_queue`` is the configured default."""
        self._connection = connection
        self._cluster = cluster
        self._records = records
        self._index = index
        self._reconciler = reconciler
        self._submission = submission
        self._outputs = outputs
        self._local_queues = local_queues
        self._changes = changes
        self._owner_name = owner_name
        self._local_queue = local_queue

    async def submit(self, request: RunRequest) -> tuple[RunRow, bool]:
        """Queue a notebook run; return the run and whether it is new.

        Raises:
            InvalidRequestError: naming each bad field; nothing was left behind.
            ConflictError: the idempotency_key stands for something else.
            UnavailableError: cluster or bucket do not answer; nothing was left behind.
        """
        self._check_cluster()
        submitted = await self._unless_it_hangs(self._submission.submit(request))
        return await self._shown(submitted), submitted.is_new

    async def list(self, query: RunQuery) -> RunList:
        """Return a page of list rows."""
        rows, total, next_cursor = self._index.select(query)
        return {
            "items": self._all_positioned(rows),
            "total": total,
            "next_cursor": next_cursor,
        }

    def rows(self) -> Sequence[RunRow]:
        """Return the list rows of all runs, oldest first, without positions; not to be changed."""
        return self._index.rows()

    def row(self, run_id: str) -> RunRow:
        """Return one run's list row as ``rows`` has it.

        Raises:
            NotFoundError: there is no such run.
        """
        return self._entry(run_id).row

    async def get(self, run_id: str) -> Run:
        """Return everything there is to say of a run.

        Raises:
            NotFoundError: there is no such run.
        """
        entry = self._entry(run_id)
        facts = await self._facts(run_id, entry)
        run = self._positioned(entry.row)
        if run["position"] is not None:
            run["position"]["cluster_queue"] = await self._cluster_position(entry.row, run_id)
        formats = missing_outputs.errors_of(facts, "format_errors")
        files = missing_outputs.errors_of(facts, "file_errors")
        progress = await self._outputs.progress(facts) if facts.result is None else None
        return {
            **run,
            "progress": progress or _final_progress(facts),
            "attempts": run_view.build_attempts(facts),
            "files": await self._outputs.files(facts),
            "inputs": await self._outputs.files(facts, "inputs"),
            "error": run_view.build_error(facts),
            "format_errors": {**formats},
            "format_error_sentences": {name: as_json(why) for name, why in formats.items()},
            "file_errors": {**files},
            "file_error_sentences": {name: as_json(why) for name, why in files.items()},
        }

    async def stop(self, run_id: str) -> Run:
        """Stop a run in whatever state it is; one that has ended stays as it is.

        The partial notebook is saved. Returns the run.

        Raises:
            NotFoundError: there is no such run.
            UnavailableError: cluster or bucket do not answer.
        """
        entry = self._entry(run_id)
        if entry.is_finished or entry.facts is None:
            return await self.get(run_id)
        self._check_cluster()
        await self._record(entry.facts)
        stop: Stop = {"at": times.now(), "by": entry.facts.record.owner.name}
        await self._records.stop(run_id, stop)
        await self._settle_if_possible(run_id, self._reconciler.settle(run_id, stop=stop))
        return await self.get(run_id)

    async def delete(self, run_id: str) -> None:
        """Delete a run, its outputs and its objects in the cluster; running ones are stopped.

        Raises:
            NotFoundError: there is no such run.
            UnavailableError: cluster or bucket do not answer.
        """
        self._entry(run_id)
        self._check_cluster()
        await self._delete(run_id)

    async def delete_of_schedule(self, schedule_id: str) -> None:
        """Delete all runs of a schedule, those too whose Jobs no watch has shown yet.

        Raises:
            UnavailableError: cluster or bucket do not answer; what was not deleted stays as it is.
        """
        self._check_cluster()
        listed = await cluster_jobs.list_of_schedule(
            self._connection, self._cluster.namespace, self._records.owner_slug, schedule_id
        )
        doomed = {row["run_id"] for row in self.rows() if row["schedule_id"] == schedule_id}
        doomed |= {run_id for item in listed if (run_id := run_id_of(item)) is not None}
        await few_at_once(_DELETED_AT_ONCE, doomed, self._delete)

    async def update(self, run_id: str, changes: RunUpdate) -> Run:
        """Change a run's name or tags, or its queue or priority while it waits; return it.

        Raises:
            ConflictError: it waits no longer, so its queue can't be changed.
            UnavailableError: cluster or bucket do not answer.
        """
        entry = self._entry(run_id)
        await self._record(await self._facts(run_id, entry))
        if changes.local_queue is not None or changes.priority_class is not None:
            self._check_cluster()
            await self._change_in_cluster(run_id, entry, changes)
        meta = await self._records.change(run_id, changes.as_meta())
        try:
            await self._unless_it_hangs(self._reconciler.settle(run_id, meta=meta))
        except errors.ClusterUnavailableError as error:
            log.warning("run_id=%s changed; the cluster is asked again: %s", run_id, error)
        return await self.get(run_id)

    async def rerun(self, run_id: str, changes: RunChanges) -> RunRow:
        """Run a run again from the inputs it had, with ``changes`` to its request; return the new.

        Raises:
            InvalidRequestError: naming each field that does not fit the others.
            NotFoundError: there is no such run.
        """
        entry = self._entry(run_id)
        self._check_cluster()
        facts = await self._facts(run_id, entry)
        request = changes.applied_to(facts.record.request)
        return await self._shown(
            await self._unless_it_hangs(self._submission.rerun(facts.record, request))
        )

    async def files(self, run_id: str, kind: FileKind = "files") -> Sequence[RunFile]:
        """Return what a run wrote, or with ``inputs`` what it took along.

        Each is ``{"path", "size_bytes", "sha256", "role", "executable", "modified_at"}``, and
        ``format`` where it is an exported document.
        """
        return await self._outputs.files(await self._facts(run_id, self._entry(run_id)), kind)

    async def open_file(
        self,
        run_id: str,
        path: str,
        start: int | None = None,
        end: int | None = None,
        *,
        kind: FileKind = "files",
    ) -> FileContent:
        """Open one of the files that ``files`` lists, or the bytes from ``start`` to ``end``."""
        facts = await self._facts(run_id, self._entry(run_id))
        return await self._outputs.open_file(facts, kind, path, start, end)

    async def download(self, run_id: str, targets: Mapping[FileId, Path]) -> None:
        """Write files that ``files`` lists to local paths, each complete or not at all.

        Raises:
            NotFoundError: there is no such run, or it has no such file.
            OSError: a local file cannot be written.
        """
        entry = self._entry(run_id)
        await self._outputs.download(await self._facts(run_id, entry), targets)

    async def located_files(self, run_id: str, kind: FileKind = "files") -> Sequence[LocatedFile]:
        """Return what ``files`` does, with where each file lies in the bucket: ``url``."""
        return await self._outputs.located(await self._facts(run_id, self._entry(run_id)), kind)

    async def format_errors(self, run_id: str) -> dict[str, Sentence]:
        """Return the output formats that could not be made: format -> why."""
        return missing_outputs.errors_of(
            await self._facts(run_id, self._entry(run_id)), "format_errors"
        )

    async def notebook(self, run_id: str, etag: str | None = None) -> NotebookContent:
        """Return the notebook as it stands now; no body where it still is as ``etag`` says."""
        entry = self._entry(run_id)
        return await self._outputs.notebook(await self._facts(run_id, entry), etag)

    async def logs(
        self, run_id: str, *, follow: bool = False, tail: int | None = None
    ) -> AsyncIterator[bytes]:
        """Return the log, from the pod while there is one and from the bucket after that.

        With ``follow`` it goes on until the run has ended; ``tail`` is a number of lines.
        """
        self._entry(run_id)
        return self._outputs.logs(run_id, follow=follow, tail=tail)

    def _entry(self, run_id: str) -> Entry:
        """Return a run's entry.

        Raises:
            NotFoundError: there is no such run.
            UnavailableError: the bucket lists it and could not be read.
        """
        error = self._reconciler.unread.find(run_id)
        if error is not None and run_id not in self._index:
            raise error.with_traceback(None)
        return self._index.get(run_id)

    async def _facts(self, run_id: str, entry: Entry) -> BucketFacts:
        if entry.facts is not None:
            return entry.facts
        loaded = await self._records.load(run_id)
        if loaded.facts is None or loaded.deleted:
            raise errors.NotFoundError(say("run-deleted", "The run {run} was deleted.", run=run_id))
        return loaded.facts

    async def _record(self, facts: BucketFacts) -> None:
        """Write the record of a Job that has none, before something is done to it.

        Else what was done would be forgotten with the Job.
        """
        if not facts.is_recorded and facts.accepted is not None:
            await self._records.accept(facts.record.run_id, facts.accepted)
            await self._records.write_record(facts.record)

    async def _change_in_cluster(self, run_id: str, entry: Entry, asked: RunUpdate) -> None:
        if asked.local_queue is not None:
            if entry.row["state"] != "queued":
                has_ended = entry.row["state"] in FINISHED_STATES
                state = entry.row["state"]
                raise errors.ConflictError(
                    say(
                        "queue-fixed-of-ended",
                        "The run has {state}, so its queue cannot be changed. Run it "
                        "again in the other queue.",
                        state=state,
                    )
                    if has_ended
                    else say(
                        "queue-fixed",
                        "The run is {state}, so its queue cannot be changed. "
                        "Stop it and run it again in the other queue.",
                        state=state,
                    )
                )
            self._local_queues.resolve(asked.local_queue, self._local_queue)
        elif entry.row["state"] in FINISHED_STATES:
            raise errors.ConflictError(
                say("priority-fixed", "The run has ended, so its priority cannot be changed.")
            )
        await self._submission.check_priority_class(asked.priority_class)
        labels = {
            names.KUEUE_QUEUE_NAME: asked.local_queue,
            names.KUEUE_PRIORITY_CLASS: asked.priority_class,
        }
        try:
            await cluster_jobs.set_labels(
                self._connection,
                self._cluster.namespace,
                self._cluster.job_name(run_id),
                {key: value for key, value in labels.items() if value is not None},
            )
        except errors.InvalidRequestError as error:
            raise errors.ConflictError(
                say(
                    "cluster-refuses-change",
                    "The cluster refused the change; the run may have started in the "
                    "meantime: {message}",
                    message=error.message,
                )
            ) from error

    async def _cluster_position(self, row: RunRow, run_id: str) -> int | None:
        known = await self._local_queues.cluster_positions(row["local_queue"])
        job = self._cluster.facts(run_id).job
        return known.get(job["metadata"]["uid"]) if known and job is not None else None

    async def _shown(self, submitted: Submitted) -> RunRow:
        """Return the run of a submit, before any watch shows it."""
        run_id = submitted.facts.record.run_id
        if not submitted.is_new:
            await self._settle_if_possible(run_id, self._reconciler.settle(run_id))
            if run_id in self._index:
                return await self.get(run_id)
        return self._positioned(await self._reconciler.adopt(submitted.facts, submitted.job))

    def _positioned(self, row: RunRow) -> RunRow:
        return self._all_positioned([row])[0]

    def _all_positioned(self, rows: Sequence[RunRow]) -> Sequence[RunRow]:
        """Return the rows with the position in the LocalQueue of those that wait."""
        return [
            {**row, "position": self._position(row) if row["state"] == "queued" else None}
            for row in rows
        ]

    def _position(self, row: RunRow) -> Position | None:
        uid = self._cluster.workload_uid(row["run_id"])
        place = self._local_queues.places(row["local_queue"]).get(uid or "")
        if place is None:
            return None
        return {"local_queue": place, "cluster_queue": None, "approximate": False}

    def _check_cluster(self) -> None:
        """Raise at once, instead of after a time-out, while the cluster is known not to answer."""
        if self._cluster.error is not None:
            # Anew each time: the one object would collect the frames of every request.
            raise self._cluster.error.with_traceback(None)

    async def _unless_it_hangs(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what ``work`` gives; give it up once the API server is known not to answer.

        Raises:
            UnavailableError: what was begun is taken back, as far as that goes.
        """
        task = asyncio.ensure_future(work)
        hanging = asyncio.ensure_future(self._cluster.hanging())
        try:
            await asyncio.wait([task, hanging], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                # It may have ended all the same, and then its answer counts.
                await asyncio.wait([task])
                if task.cancelled():
                    raise hanging.result().with_traceback(None)
        finally:
            hanging.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        return task.result()

    async def _delete(self, run_id: str) -> None:
        try:
            await self._records.write_tombstone(run_id, run_records.DELETED, self._owner_name)
        except errors.BucketUnavailableError as error:
            await self._delete_without_tombstone(run_id, error)
        await self._settle_if_possible(run_id, self._reconciler.settle_deleted(run_id))

    async def _delete_without_tombstone(
        self, run_id: str, error: errors.BucketUnavailableError
    ) -> None:
        """Delete a run in a bucket that takes nothing, because it is full: to make room in it.

        The Job goes first, so that nothing that is left can bring the run back, and its record
        before all else: what a crash leaves then is nobody's, and is cleaned up as leftovers.

        Raises:
            UnavailableError: the cluster or the bucket does not answer at all; the run stays.
        """
        # A full bucket can be read; one that cannot be reached must not cost the run its Job.
        await self._records.newest(run_id)
        pods = run_decisions.pods_to_end(self._cluster.facts(run_id))
        doomed = EndInCluster(self._cluster.job_name(run_id), pods)
        await self._unless_it_hangs(ending.end(self._connection, self._cluster.namespace, doomed))
        try:
            await self._records.purge(run_id)
        except errors.BucketUnavailableError:
            raise error from None
        log.info("run_id=%s deleted without a tombstone: %s", run_id, error)
        # There may be room now, or later. It tells other servers, and spends the idempotency_key.
        await self._reconciler.owe_tombstone(run_id, self._owner_name)

    async def _settle_if_possible(self, run_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Wait until what the bucket says of a run is done, as long as the cluster answers.

        What was written to the bucket is the promise: the reconciler goes on trying.
        """
        try:
            await self._unless_it_hangs(work)
        except errors.UnavailableError as error:
            log.warning("run_id=%s is not done with yet, tried again: %s", run_id, error)


def _final_progress(facts: BucketFacts) -> Progress | None:
    ended = facts.result or next(
        (item for item in reversed(facts.attempts) if item.get("cells") is not None), None
    )
    if ended is None or ended.get("cells") is None:
        return None
    return {
        "cell": None,
        "cells_done": ended.get("cells_done"),
        "cells": ended.get("cells"),
        "since": None,
    }
