"""The small JSON objects of a run in the bucket: its request, its marks and its end.

Keys are built only here and in ``pod_contract``; a run id is checked before it becomes part of one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, names, run_documents, run_record, times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.times import rfc3339
from jupyter_kueue.storage.bucket import MAX_JSON_BYTES, encode_json

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.parsing import Kind
    from jupyter_kueue.domain.run_documents import (
        Accepted,
        Claim,
        Final,
        Meta,
        Result,
        Stop,
        Tombstone,
    )
    from jupyter_kueue.storage.bucket import Bucket, ObjectMeta

T = TypeVar("T")

_MARKS = {
    pod_contract.ACCEPTED_KEY: "accepted",
    pod_contract.META_KEY: "meta",
    pod_contract.STOP_KEY: "stop",
    pod_contract.RESULT_KEY: "result",
    pod_contract.FINAL_KEY: "final",
}
CLAIM_KEY = "claim.json"
# Why a run has a tombstone.
DELETED = "delete"
FAILED_SUBMIT = "failed-submit"

# For documents without a list of files (see bucket.MAX_JSON_BYTES).
MAX_MARK_BYTES = 2**20
_MAX_UNREADABLE = 1000

_KINDS: dict[str, Kind[Any]] = {
    pod_contract.RECORD_KEY: run_record.KIND,
    pod_contract.ACCEPTED_KEY: run_documents.ACCEPTED,
    pod_contract.META_KEY: run_documents.META,
    pod_contract.STOP_KEY: run_documents.STOP,
    pod_contract.RESULT_KEY: run_documents.RESULT,
    pod_contract.FINAL_KEY: run_documents.FINAL,
}
# More conflicts in a row do not occur in practice.
_CHANGE_TRIES = 8
_LARGE = (pod_contract.RECORD_KEY, pod_contract.RESULT_KEY)
# Without these nothing true can be said about a run; the others can be substituted.
_INDISPENSABLE = (pod_contract.RECORD_KEY, pod_contract.RESULT_KEY, pod_contract.FINAL_KEY)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """The content of a run's prefix.

    Attributes:
        facts: None where there is no record.json: leftovers of a submit that never ended.
        deleted_at: when the tombstone was written, None where there is none.
        is_empty: nothing else is there than, perhaps, the tombstone.
        is_cleared: what is there is being removed, and nobody can be told that it was accepted.
    """

    facts: BucketFacts | None
    deleted_at: dt.datetime | None
    is_empty: bool
    is_cleared: bool = False

    @property
    def deleted(self) -> bool:
        """Whether the tombstone is there."""
        return self.deleted_at is not None


class Records:
    """The records of one owner's runs.

    Attributes:
        unreadable: the last few invalid objects, for ``health``: key -> reason.
    """

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self.bucket = bucket
        self.owner_slug = owner_slug
        self.unreadable: dict[str, Sentence] = {}

    def prefix(self, run_id: str) -> str:
        """Return the key prefix of a run.

        Raises:
            NotFoundError: this is not a valid run id.
        """
        if not names.is_run_id(run_id):
            raise errors.NotFoundError(
                say("no-such-run", "There is no run {run}.", run=repr(run_id[:60]))
            )
        return pod_contract.run_prefix(self.owner_slug, run_id)

    async def list_ids(self) -> list[str]:
        """Return the ids of all runs with any object in the bucket."""
        prefixes = await self.bucket.list_prefixes(f"{self.owner_slug}/runs/")
        ids = (prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)
        return [run_id for run_id in ids if names.is_run_id(run_id)]

    async def load(self, run_id: str, known: BucketFacts | None = None) -> Loaded:
        """Read everything about a run except inputs, outputs and live data.

        It takes one listing, a second one if there are attempts, and then all reads at once;
        unchanging documents are taken from ``known``. ``problem`` of the facts names invalid
        documents.
        """
        prefix = self.prefix(run_id)
        objects, folders = await self.bucket.list_folder(prefix)
        attempts_prefix = f"{prefix}{pod_contract.ATTEMPTS_PREFIX}"
        attempt_objects = (
            await self.bucket.list(attempts_prefix) if attempts_prefix in folders else []
        )
        found = {item.key.removeprefix(prefix): item for item in objects}
        tombstone = found.pop(pod_contract.DELETED_KEY, None)
        deleted_at = None if tombstone is None else tombstone.last_modified
        if pod_contract.RECORD_KEY not in found:
            is_cleared = pod_contract.ACCEPTED_KEY in found and await self._is_cleared(run_id)
            return Loaded(None, deleted_at, not found and not folders, is_cleared)
        wanted = [key for key in _MARKS if key in found]
        attempts = [item.key.removeprefix(prefix) for item in attempt_objects]
        unread = [pod_contract.RECORD_KEY, *wanted, *attempts]
        if known is not None:
            unread.remove(pod_contract.RECORD_KEY)
        unreadable: dict[str, Sentence] = {}

        async def read(key: str) -> Any:
            try:
                return await self._read(f"{prefix}{key}", _KINDS.get(key, run_documents.ATTEMPT))
            except errors.UnreadableError as error:
                log.warning("run_id=%s key=%s %s", run_id, key, error)
                unreadable[key] = error.message
                return None

        documents = dict(zip(unread, await asyncio.gather(*map(read, unread)), strict=True))
        if (documents.get(pod_contract.ACCEPTED_KEY) or {}).get("cleared_at") is not None:
            return Loaded(None, deleted_at, is_empty=False, is_cleared=True)
        if known is not None:
            record = known.record
        elif pod_contract.RECORD_KEY in unreadable:
            record = self.placeholder(run_id, found[pod_contract.RECORD_KEY].last_modified)
        elif (document := documents[pod_contract.RECORD_KEY]) is not None:
            record = document
        else:
            return Loaded(None, deleted_at, is_empty=False)
        began = [document for key in attempts if (document := documents[key]) is not None]
        marks = {_MARKS[key]: documents[key] for key in wanted}
        if pod_contract.STOP_KEY in unreadable:
            # The object exists, so a stop was requested.
            marks["stop"] = {}
        if pod_contract.ACCEPTED_KEY in unreadable:
            marks["accepted"] = {"job_name": names.job_name(run_id)}
        facts = BucketFacts(
            record,
            deleted=deleted_at is not None,
            attempts=tuple(sorted(began, key=lambda item: str(item.get("started_at")))),
            problem=next((unreadable[key] for key in _INDISPENSABLE if key in unreadable), None),
            **marks,  # the keys are the fields of _MARKS
        )
        return Loaded(facts, deleted_at, is_empty=False)

    def placeholder(self, run_id: str, written_at: dt.datetime) -> RunRecord:
        """Return a substitute for an unreadable record, so that its run can be deleted."""
        nothing = "unreadable.ipynb"
        return RunRecord(
            run_id=run_id,
            name=run_id,
            owner=Owner(self.owner_slug, self.owner_slug),
            namespace="",
            created_at=rfc3339(written_at),
            request=RunRequest(nothing),
            local_queue="",
            resources=Resources(),
            image="",
            notebook=nothing,
            input=(),
        )

    async def claim(self, run_id: str, digest: str, submit: str) -> bool:
        """Claim an id derived from an idempotency key, for one request's digest.

        Returns:
            Whether ``submit``, which identifies this try, is the first.

        Raises:
            ConflictError: the key belongs to another request.
        """
        claim: Claim = {"digest": digest, "submit": submit}
        there = await self._write_once(run_id, CLAIM_KEY, claim, run_documents.CLAIM)
        if there is not None and there["digest"] != digest:
            raise errors.ConflictError(
                say(
                    "key-of-another-request",
                    "This idempotency_key was already used for a different request. Use a new key.",
                )
            )
        return there is claim

    async def write_record(self, record: RunRecord) -> RunRecord:
        """Write record.json; return ``record``, or the one that another writer stored first.

        Raises:
            UnreadableError: the existing one is invalid.
        """
        there = await self._write_once(
            record.run_id, pod_contract.RECORD_KEY, record, run_record.KIND
        )
        return record if there is None else there

    async def accept(self, run_id: str, accepted: Accepted) -> Accepted | None:
        """Decide that a submit is accepted, with the name and uid of its Job for accepted.json.

        The first server to write that object decides once between accepted and cleared, so a run
        that a user has heard of is never removed as leftovers.

        Returns:
            What was decided, by this server or before; None if the submit was cleared.
        """
        decided = await self._decide(run_id, accepted)
        return None if decided is None or decided.get("cleared_at") is not None else decided

    async def clear(self, run_id: str, why: str) -> Accepted | None:
        """Decide that a submit is not accepted, so that its leftovers may be removed.

        Returns:
            None; or accepted.json, if it was accepted before and stays.
        """
        cleared: Accepted = {"cleared_at": times.now(), "by": _this_server(), "why": why}
        decided = await self._decide(run_id, cleared)
        return None if decided is None or decided.get("cleared_at") is not None else decided

    async def _decide(self, run_id: str, document: Accepted) -> Accepted | None:
        kind = run_documents.ACCEPTED
        try:
            return await self._write_once(run_id, pod_contract.ACCEPTED_KEY, document, kind)
        except errors.UnreadableError:
            # The object is damaged, so a user may have heard of the run.
            return {"job_name": names.job_name(run_id)}

    async def _is_cleared(self, run_id: str) -> bool:
        key = f"{self.prefix(run_id)}{pod_contract.ACCEPTED_KEY}"
        try:
            found = await self._read(key, run_documents.ACCEPTED)
        except errors.UnreadableError:
            return False
        return (found or {}).get("cleared_at") is not None

    async def write_end(self, run_id: str, final: Final) -> Final:
        """Write final.json once; return it, or the one that another server stored first.

        Raises:
            UnreadableError: the existing one is invalid.
        """
        there = await self._write_once(run_id, pod_contract.FINAL_KEY, final, run_documents.FINAL)
        return final if there is None else there

    async def _write_once(self, run_id: str, key: str, document: T, kind: Kind[T]) -> T | None:
        """Write a document once; return it, or the one that already exists.

        Returns None if that disappears meanwhile.
        """
        whole, mine = f"{self.prefix(run_id)}{key}", encode_json(_stored(document))
        if await self.bucket.create_once(whole, mine) == mine:
            return document
        return await self._read(whole, kind)

    async def write(
        self, run_id: str, key: str, document: Result | Final | Stop | Tombstone
    ) -> None:
        """Write one of a run's documents, replacing an existing one."""
        await self.bucket.put_json(f"{self.prefix(run_id)}{key}", document)

    async def stop(self, run_id: str, stop: Stop) -> None:
        """Write stop.json, with a mark of the change first, as ``change`` does."""
        await self.bucket.put_json(self._changed_key(run_id), {"at": times.now()})
        await self.write(run_id, pod_contract.STOP_KEY, stop)

    async def change(self, run_id: str, asked: Meta) -> Meta:
        """Merge ``asked`` into meta.json and return all of it.

        Its ``updated_at`` grows with each change, whatever the servers' clocks say, because rows
        are compared by it. A mark of the change is written first, so that ``list_changed`` reports
        it even if this server dies right after.

        Raises:
            ConflictError: others change it all the time.
        """
        await self.bucket.put_json(self._changed_key(run_id), {"at": times.now()})
        key = f"{self.prefix(run_id)}{pod_contract.META_KEY}"
        for _ in range(_CHANGE_TRIES):
            before, etag = await self._read_meta(key)
            meta: Meta = {**before, **asked, "updated_at": _next_moment(before.get("updated_at"))}
            try:
                if etag is not None:
                    await self.bucket.replace_json(key, meta, etag)
                elif await self.bucket.create_once(key, encode_json(meta)) != encode_json(meta):
                    continue
            except errors.ConflictError:
                continue
            return meta
        raise errors.ConflictError(
            say("changed-elsewhere", "It is being changed elsewhere. Try again in a moment.")
        )

    async def _read_meta(self, key: str) -> tuple[Meta, str | None]:
        """Return meta.json, empty if it is invalid, and its ETag if it exists."""
        there = await self.bucket.head(key)
        if there is None:
            return {}, None
        try:
            found = await self._read(key, run_documents.META)
        except errors.UnreadableError:
            found = None
        return found or {}, there.etag or ""

    async def list_changed(self) -> dict[str, ObjectMeta]:
        """Return the recently changed runs, with the mark of each run's last change."""
        listed = await self.bucket.list(f"{self.owner_slug}/changed/")
        return {item.key.rpartition("/")[2]: item for item in listed}

    async def forget_change(self, run_id: str) -> None:
        """Remove the mark of a change that all rows already show."""
        await self.bucket.delete([self._changed_key(run_id)])

    async def has_record(self, run_id: str) -> bool:
        """Return whether record.json exists."""
        return await self.bucket.head(f"{self.prefix(run_id)}{pod_contract.RECORD_KEY}") is not None

    async def has_result(self, run_id: str) -> bool:
        """Return whether result.json exists."""
        return await self.bucket.head(f"{self.prefix(run_id)}{pod_contract.RESULT_KEY}") is not None

    async def newest(self, run_id: str) -> dt.datetime | None:
        """Return when the newest object of a run was written, None where there is none."""
        listed = await self.bucket.list(self.prefix(run_id))
        return max((item.last_modified for item in listed), default=None)

    async def list_keys(self, run_id: str) -> frozenset[str]:
        """Return the objects of a run by key below its prefix."""
        prefix = self.prefix(run_id)
        return frozenset(item.key.removeprefix(prefix) for item in await self.bucket.list(prefix))

    async def write_tombstone(self, run_id: str, why: str, by: str | None = None) -> None:
        """Mark a run as deleted, for readers of the run and for ``list_deleted``.

        Args:
            run_id: the run.
            why: DELETED or FAILED_SUBMIT.
            by: the user who asked for it, None if a server acted on its own.
        """
        document = tombstone(why, by)
        await self.bucket.put_json(self._deleted_key(run_id), document)
        await self.write(run_id, pod_contract.DELETED_KEY, document)

    async def read_tombstone(self, run_id: str) -> Tombstone:
        """Return ``at``, ``by`` and ``why`` of a run's deletion; empty if unknown."""
        try:
            found = await self._read(
                f"{self.prefix(run_id)}{pod_contract.DELETED_KEY}", run_documents.TOMBSTONE
            )
        except errors.UnreadableError:
            return {}
        return found or {}

    async def list_deleted(self) -> list[str]:
        """Return the ids of recently deleted runs, from one listing.

        Rows of finished runs survive them in summaries and in other servers' memory.
        """
        listed = await self.bucket.list(f"{self.owner_slug}/deleted/")
        return [item.key.rpartition("/")[2] for item in listed]

    async def purge(self, run_id: str) -> None:
        """Delete everything of a run except its tombstone, record.json first.

        If this is interrupted and there is no tombstone, objects without a record count as
        leftovers.
        """
        prefix = self.prefix(run_id)
        keys = [item.key for item in await self.bucket.list(prefix)]
        record, tombstone = (
            f"{prefix}{pod_contract.RECORD_KEY}",
            f"{prefix}{pod_contract.DELETED_KEY}",
        )
        await self.bucket.delete([record])
        others = [key for key in keys if key not in (record, tombstone)]
        await self.bucket.delete([*others, self._changed_key(run_id)])
        for key in [key for key in self.unreadable if key.startswith(prefix)]:
            del self.unreadable[key]

    async def forget(self, run_id: str) -> None:
        """Delete everything of a run including its tombstone, and accepted.json last.

        A submit that is still running learns from accepted.json that it is too late.
        """
        prefix = self.prefix(run_id)
        decision = f"{prefix}{pod_contract.ACCEPTED_KEY}"
        keys = [item.key for item in await self.bucket.list(prefix)]
        await self.bucket.delete([key for key in keys if key != decision])
        await self.bucket.delete([self._deleted_key(run_id), self._changed_key(run_id), decision])

    def _changed_key(self, run_id: str) -> str:
        return f"{self.owner_slug}/changed/{run_id}"

    def _deleted_key(self, run_id: str) -> str:
        return f"{self.owner_slug}/deleted/{run_id}"

    async def _read(self, key: str, kind: Kind[T]) -> T | None:
        """Return a document; None if it was deleted since the listing.

        Raises:
            UnreadableError: it is invalid.
        """
        most = MAX_JSON_BYTES if key.endswith(_LARGE) else MAX_MARK_BYTES
        try:
            document = await self.bucket.get_json(key, max_bytes=most)
        except errors.NotFoundError:
            self.unreadable.pop(key, None)
            return None
        except errors.UnreadableError as error:
            self._note(key, error.message)
            raise
        try:
            read = kind.read_back(document)
        except ValueError as error:
            raise self._noted(key, str(error)) from None
        if isinstance(read, RunRecord) and (other := self._difference_from(key, read)):
            raise self._noted(key, other)
        self.unreadable.pop(key, None)
        return read

    def _difference_from(self, key: str, record: RunRecord) -> Sentence | None:
        """Return how a record differs from ``key``: its id and owner are used in keys."""
        found = pod_contract.run_prefix(record.owner.slug, record.run_id)
        return (
            None
            if key == f"{found}{pod_contract.RECORD_KEY}"
            else say("is-of-another", "it belongs to {found}", found=found)
        )

    def _noted(self, key: str, why: str) -> errors.UnreadableError:
        name = key.rpartition("/")[2]
        message = say(
            "object-unreadable",
            "{name} in the bucket cannot be understood: {why}.",
            name=name,
            why=why,
        )
        self._note(key, message)
        return errors.UnreadableError(message)

    def _note(self, key: str, message: Sentence) -> None:
        self.unreadable.pop(key, None)
        if len(self.unreadable) >= _MAX_UNREADABLE:
            del self.unreadable[next(iter(self.unreadable))]
        self.unreadable[key] = message


def _stored(document: object) -> object:
    return document.as_json() if isinstance(document, RunRecord) else document


def tombstone(why: str, by: str | None) -> Tombstone:
    """Return a tombstone; ``by`` is a user, None if a server acted on its own."""
    return {"at": times.now(), "by": by or _this_server(), "why": why}


def _next_moment(before: str | None) -> str:
    """Return the current time, or a later one that follows ``before``."""
    moment = times.now()
    if before is None or before < moment:
        return moment
    return rfc3339(times.parse_time(before) + dt.timedelta(milliseconds=1))


def _this_server() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
