"""What a run wrote: its files, its notebook as it stands, its progress and its log.

Live data is read from the bucket with conditional requests, and only while somebody asks; the log
comes from the pod as long as there is one.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.cluster import pods as cluster_pods
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, pod_containers, run_documents
from jupyter_kueue.service.runs import run_view
from jupyter_kueue.storage import log_tail, object_names
from jupyter_kueue.storage.file_marks import FileMarks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.kubernetes_objects import Pod
    from jupyter_kueue.domain.run_documents import ResultFile
    from jupyter_kueue.domain.run_facts import BucketFacts
    from jupyter_kueue.domain.run_row import LocatedFile, Progress, RunFile
    from jupyter_kueue.service.changes import Changes
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.run_index import Index
    from jupyter_kueue.storage.bucket import Download
    from jupyter_kueue.storage.run_records import Records

Json = dict[str, Any]

MAX_PROGRESS_BYTES = 2**16
# What a run wrote, and what it took along: two namespaces, so that no path means two files.
FileKind = Literal["files", "inputs"]
FILE_KINDS: tuple[FileKind, ...] = ("files", "inputs")
FileId = tuple[FileKind, str]  # the kind and the path in it

NOTEBOOK_TYPE = "application/x-ipynb+json"
_DOWNLOADS_AT_ONCE = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileContent:
    """A file, or a range of it. ``end`` is exclusive; iterate ``chunks`` once."""

    size_bytes: int
    etag: str | None
    media_type: str
    start: int
    end: int
    chunks: Download


@dataclass(frozen=True)
class NotebookContent:
    """A notebook; ``chunks`` is None where it is unchanged, else iterate it once."""

    etag: str | None
    size_bytes: int
    chunks: Download | None


class Outputs:
    """Reads what the runs of one owner wrote."""

    def __init__(
        self,
        connection: Connection,
        cluster: ClusterView,
        records: Records,
        index: Index,
        changes: Changes,
    ) -> None:
        self._connection = connection
        self._cluster = cluster
        self._records = records
        self._index = index
        self._changes = changes

    async def progress(self, facts: BucketFacts) -> Progress | None:
        """Return ``{"cell", "cells_done", "cells", "since"}``, None before the first cell."""
        try:
            live: Any = await self._records.bucket.get_json(
                self._key(facts, pod_contract.LIVE_PROGRESS_KEY), max_bytes=MAX_PROGRESS_BYTES
            )
        except errors.NotFoundError:
            return None
        except errors.UnreadableError as error:
            # Written anew with the next cell; the rest of the run can be shown.
            log.warning("run_id=%s %s", facts.record.run_id, error)
            return None
        try:
            found = run_documents.PROGRESS.read_back(live)
        except ValueError:
            return None
        return {
            "cell": found.get("cell"),
            "cells_done": found.get("cells_done"),
            "cells": found.get("cells"),
            "since": found.get("since"),
        }

    async def files(self, facts: BucketFacts, kind: FileKind = "files") -> list[RunFile]:
        """Return a run's files of a kind: what it wrote so far, or what it took along."""
        if kind == "inputs":
            return run_view.build_inputs(facts)
        live = [] if facts.result is not None else await self._live_files(facts)
        return run_view.build_files(facts, live)

    async def open_file(
        self, facts: BucketFacts, kind: FileKind, path: str, start: int | None, end: int | None
    ) -> FileContent:
        """Open a listed file.

        Raises:
            NotFoundError: it is not listed.
            RangeNotSatisfiableError: the range lies outside it.
        """
        listed = await self.files(facts, kind)
        found = next((item for item in listed if item["path"] == path), None)
        if found is None:
            raise errors.NotFoundError(
                say("run-without-file", "This run has no file {path}.", path=repr(path[:200]))
            )
        download = await self._records.bucket.stream(self._file_key(facts, found), start, end)
        media_type = object_names.media_type(path) or "application/octet-stream"
        return FileContent(
            download.meta.size,
            download.meta.etag,
            NOTEBOOK_TYPE if path.endswith(".ipynb") else media_type,
            download.start,
            download.end,
            download,
        )

    async def download(self, facts: BucketFacts, targets: Mapping[FileId, Path]) -> None:
        """Write listed files to local paths, each of which appears only when it is complete.

        Raises:
            NotFoundError: one is not listed.
            OSError: a local file cannot be written.
        """
        listed = {
            (kind, item["path"]): item
            for kind in FILE_KINDS
            for item in await self.files(facts, kind)
        }

        async def download(wanted: tuple[FileId, Path]) -> None:
            file_id, target = wanted
            if file_id not in listed:
                raise errors.NotFoundError(
                    say(
                        "run-without-file",
                        "This run has no file {path}.",
                        path=repr(file_id[1][:200]),
                    )
                )
            item = listed[file_id]
            await self._records.bucket.download(
                self._file_key(facts, item), target, FileMarks.of_item(item)
            )

        await few_at_once(_DOWNLOADS_AT_ONCE, targets.items(), download)

    async def located(self, facts: BucketFacts, kind: FileKind) -> list[LocatedFile]:
        """Return the files of a kind with where each lies in the bucket: ``url``."""
        folder = self._records.bucket.url.rstrip("/")
        return [
            {**item, "url": f"{folder}/{self._file_key(facts, item)}"}
            for item in await self.files(facts, kind)
        ]

    async def notebook(self, facts: BucketFacts, etag: str | None) -> NotebookContent:
        """Return the executed notebook, else the live one, else the one that was sent in."""
        bucket = self._records.bucket
        for key in self._notebook_keys(facts):
            meta = await bucket.head(key)
            if meta is None:
                continue
            if etag is not None and meta.etag == etag:
                return NotebookContent(etag, meta.size, None)
            download = await bucket.stream(key)
            return NotebookContent(download.meta.etag, download.meta.size, download)
        raise errors.NotFoundError(
            say("notebook-gone", "This run's notebook is gone from the bucket.")
        )

    async def logs(self, run_id: str, *, follow: bool, tail: int | None) -> AsyncIterator[bytes]:
        """Yield the log; with ``follow`` until the run has ended, over all its attempts."""
        seen: set[str] = set()
        cursor = self._changes.cursor
        while True:
            entry = self._index.get(run_id)
            pod = self._started_pod(run_id, seen)
            if pod is not None:
                seen.add(pod["metadata"]["uid"])
                try:
                    async for chunk in cluster_pods.stream_log(
                        self._connection,
                        pod["metadata"]["namespace"],
                        pod["metadata"]["name"],
                        follow=follow,
                        tail=tail,
                    ):
                        yield chunk
                    continue
                except (errors.NotFoundError, errors.InvalidRequestError):
                    # Its pod went away at this moment: the bucket has what it said.
                    seen.discard(pod["metadata"]["uid"])
            if not seen or pod is not None:
                stored = await self._stored_log(run_id, tail)
                if stored is not None and (entry.is_finished or not follow):
                    async for chunk in stored:
                        yield chunk
                    return
            if entry.is_finished or not follow:
                return
            cursor = await self._next_change(run_id, cursor)

    def _started_pod(self, run_id: str, seen: set[str]) -> Pod | None:
        """Return the oldest pod, not ``seen``, whose notebook container has started."""
        found = [
            pod
            for pod in self._cluster.facts(run_id).pods
            if pod["metadata"]["uid"] not in seen and _has_started(pod)
        ]
        return min(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    async def _next_change(self, run_id: str, cursor: str) -> str:
        async for change in self._changes.subscribe(cursor):
            cursor = change["cursor"]
            if change.get("run_id") == run_id or change["type"] in ("gap", "heartbeat"):
                break
        else:
            raise errors.UnavailableError(
                say("server-stopping", "The server is stopping. Try again in a moment.")
            )
        return cursor

    async def _stored_log(self, run_id: str, tail: int | None) -> AsyncIterator[bytes] | None:
        """Return the log in the bucket as it comes, None where there is none."""
        loaded = await self._records.load(run_id)
        if loaded.facts is None:
            raise errors.NotFoundError(say("run-deleted", "The run {run} was deleted.", run=run_id))
        facts = loaded.facts
        listed = [] if facts.result is None else facts.result.get("files") or []
        keys = [
            self._key(facts, f"{pod_contract.OUTPUT_PREFIX}{item['path']}")
            for item in listed
            if item["role"] == pod_contract.ROLE_LOG
        ]
        for key in [*keys, self._key(facts, pod_contract.LIVE_LOG_KEY)]:
            try:
                return await self._open_log(key, tail)
            except errors.NotFoundError:
                continue
        return None

    async def _open_log(self, key: str, tail: int | None) -> AsyncIterator[bytes]:
        bucket = self._records.bucket
        if tail is None:
            return aiter(await bucket.stream(key))
        start = await log_tail.find_start(bucket, key, tail)
        try:
            return _nothing() if start is None else aiter(await bucket.stream(key, start))
        except errors.RangeNotSatisfiableError:  # a new attempt has begun a new log just now
            return _nothing()

    async def _live_files(self, facts: BucketFacts) -> list[ResultFile]:
        bucket = self._records.bucket
        notebook, log = await asyncio.gather(
            bucket.head(self._key(facts, pod_contract.LIVE_NOTEBOOK_KEY)),
            bucket.head(self._key(facts, pod_contract.LIVE_LOG_KEY)),
        )
        found: list[ResultFile] = []
        if notebook is not None:
            name = facts.record.notebook.rpartition("/")[2]
            found.append(_file(name, notebook.size, "notebook"))
        if log is not None:
            found.append(_file("run.log", log.size, "log"))
        return found

    def _file_key(self, facts: BucketFacts, file: RunFile) -> str:
        if file["role"] == pod_contract.ROLE_INPUT:
            return self._key(facts, f"{pod_contract.INPUT_PREFIX}{file['path']}")
        if facts.result is not None:
            return self._key(facts, f"{pod_contract.OUTPUT_PREFIX}{file['path']}")
        is_log = file["role"] == pod_contract.ROLE_LOG
        return self._key(
            facts, pod_contract.LIVE_LOG_KEY if is_log else pod_contract.LIVE_NOTEBOOK_KEY
        )

    def _notebook_keys(self, facts: BucketFacts) -> list[str]:
        listed = [] if facts.result is None else facts.result.get("files") or []
        executed = [
            f"{pod_contract.OUTPUT_PREFIX}{item['path']}"
            for item in listed
            if item["role"] == pod_contract.ROLE_NOTEBOOK
        ]
        keys = [
            *executed,
            pod_contract.LIVE_NOTEBOOK_KEY,
            f"{pod_contract.INPUT_PREFIX}{facts.record.notebook}",
        ]
        return [self._key(facts, key) for key in keys]

    def _key(self, facts: BucketFacts, key: str) -> str:
        return f"{self._records.prefix(facts.record.run_id)}{key}"


def _file(path: str, size_bytes: int, role: Literal["notebook", "log"]) -> ResultFile:
    return {"path": path, "size_bytes": size_bytes, "sha256": None, "role": role}


async def _nothing() -> AsyncIterator[bytes]:
    no_chunks: tuple[bytes, ...] = ()
    for chunk in no_chunks:
        yield chunk


def _has_started(pod: Pod) -> bool:
    return not {"running", "terminated"}.isdisjoint(
        pod_containers.state_of(pod, pod_contract.NOTEBOOK)
    )
