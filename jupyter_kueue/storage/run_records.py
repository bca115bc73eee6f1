"""The small JSON objects of a run in the bucket: its request, its marks and its end.

``service`` calls it. Keys are built here and in ``contract`` only; a run id is checked before it
becomes part of one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, json_shapes, models, names
from jupyter_kueue.domain.models import (
    FINISHED_STATES,
    BucketFacts,
    Owner,
    Resources,
    RunRecord,
    RunRequest,
    rfc3339,
)
from jupyter_kueue.storage.bucket import MAX_JSON_BYTES, encode_json

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.storage.bucket import Bucket, ObjectMeta

Json = dict[str, Any]

_MARKS = {
    pod_contract.ACCEPTED_KEY: "accepted",
    pod_contract.META_KEY: "meta",
    pod_contract.STOP_KEY: "stop",
    pod_contract.RESULT_KEY: "result",
    pod_contract.FINAL_KEY: "final",
}
CLAIM_KEY = "claim.json"
# Why a tombstone is there.
DELETED = "delete"
FAILED_SUBMIT = "failed-submit"
# In accepted.json where no Job was accepted: see Records.clear.
_CLEARED_AT = "cleared_at"

# Marks are small; what has a folder's files in it is not (bucket.MAX_JSON_BYTES).
MAX_MARK_BYTES = 2**20
_MAX_UNREADABLE = 1000

_LINE = (json_shapes.line(models.MAX_NAME_LENGTH), None)
# Cut when it is shown (models.Status, run_view).
_TEXT = (str, None)
_TIME = (json_shapes.moment, None)
_COUNT = (json_shapes.count, None)
_ROLES = (
    pod_contract.ROLE_NOTEBOOK,
    pod_contract.ROLE_EXPORT,
    pod_contract.ROLE_SIDE_EFFECT,
    pod_contract.ROLE_LOG,
)
_DOCUMENTS: dict[str, json_shapes.Shape] = {
    pod_contract.RECORD_KEY: models.RUN_RECORD,
    pod_contract.ACCEPTED_KEY: (models.ACCEPTED, {_CLEARED_AT: json_shapes.moment}),
    pod_contract.META_KEY: models.META,
    pod_contract.STOP_KEY: {"at": _TIME, "by": (json_shapes.text(models.MAX_NAME_LENGTH), None)},
    pod_contract.RESULT_KEY: {
        "outcome": json_shapes.one_of(*pod_contract.FINAL_OUTCOMES),
        "message": _TEXT,
        "error": (
            {
                "name": _TEXT,
                "value": _TEXT,
                "cell": _COUNT,
                "cell_index": _COUNT,
                "cell_source": _TEXT,
            },
            None,
        ),
        "started_at": _TIME,
        "ended_at": _TIME,
        "cells": _COUNT,
        "cells_done": _COUNT,
        "files": (
            [
                {
                    "path": json_shapes.path,
                    "size_bytes": json_shapes.count,
                    "role": json_shapes.one_of(*_ROLES),
                    "sha256": _LINE,
                    "format": _LINE,
                    "executable": (bool, None),
                    "modified_at": _TIME,
                }
            ],
            None,
        ),
        "format_errors": (json_shapes.mapping(_LINE[0], str), None),
        "file_errors": (json_shapes.mapping(str, str), None),
        "elsewhere": (json_shapes.at_most(pod_contract.MAX_ELSEWHERE, str), None),
    },
    pod_contract.FINAL_KEY: {
        "state": json_shapes.one_of(*FINISHED_STATES),
        "reason": _LINE,
        "message": _TEXT,
        # Checked by whoever shows it: an odd one costs the code alone.
        "sentence": lambda _: True,
        "detail": _TEXT,
        "admitted_at": _TIME,
        "started_at": _TIME,
        "finished_at": _TIME,
    },
}
_KINDS = {key: json_shapes.Kind(shape) for key, shape in _DOCUMENTS.items()}
# Nobody else changes the same run more often than that at once.
_CHANGE_TRIES = 8
_CLAIM = json_shapes.Kind({"digest": str})
_TOMBSTONE = json_shapes.Kind(
    {
        "at": _TIME,
        "by": (json_shapes.text(models.MAX_NAME_LENGTH), None),
        "why": _LINE,
    }
)
_ATTEMPT = json_shapes.Kind(
    {
        "pod_uid": _LINE,
        "is_staged": (bool, None),
        "started_at": _TIME,
        "ended_at": _TIME,
        "reason": _LINE,
        "message": _TEXT,
        "cell": _COUNT,
        "cells": _COUNT,
        "cells_done": _COUNT,
    }
)
_LARGE = (pod_contract.RECORD_KEY, pod_contract.RESULT_KEY)
# Without these nothing true can be said of a run; the others have something that stands for them.
_INDISPENSABLE = (pod_contract.RECORD_KEY, pod_contract.RESULT_KEY, pod_contract.FINAL_KEY)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """What lies below a run's prefix.

    Attributes:
        facts: None where there is no record.json: leftovers of a submit that never ended.
        deleted: the tombstone is there.
        is_empty: nothing else is there than, perhaps, the tombstone.
        is_cleared: what is there is being removed, and nobody can be told that it was accepted.
    """

    facts: BucketFacts | None
    deleted: bool
    is_empty: bool
    is_cleared: bool = False


class Records:
    """The records of one owner's runs.

    Attributes:
        unreadable: what was found that cannot be understood: key -> why. For ``health``; it keeps
            the last few.
    """

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self.bucket = bucket
        self.owner_slug = owner_slug
        self.unreadable: dict[str, Sentence] = {}

    def prefix(self, run_id: str) -> str:
        """Return the key prefix of a run.

        Raises:
            NotFoundError: this cannot be the id of a run.
        """
        if not names.is_run_id(run_id):
            raise errors.NotFoundError(
                say("no-such-run", "There is no run {run}.", run=repr(run_id[:60]))
            )
        return pod_contract.run_prefix(self.owner_slug, run_id)

    async def list_ids(self) -> list[str]:
        """Return the ids of all runs that have anything in the bucket."""
        prefixes = await self.bucket.list_prefixes(f"{self.owner_slug}/runs/")
        ids = (prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)
        return [run_id for run_id in ids if names.is_run_id(run_id)]

    async def load(self, run_id: str, known: BucketFacts | None = None) -> Loaded:
        """Read everything but inputs, outputs and live data of a run.

        One listing, another if it shows attempts, then all reads at once; of ``known`` is taken
        what never changes. What cannot be understood is named by ``problem`` of the facts.
        """
        prefix = self.prefix(run_id)
        objects, folders = await self.bucket.list_folder(prefix)
        attempts_prefix = f"{prefix}{pod_contract.ATTEMPTS_PREFIX}"
        attempt_objects = (
            await self.bucket.list(attempts_prefix) if attempts_prefix in folders else []
        )
        found = {item.key.removeprefix(prefix): item for item in objects}
        deleted = found.pop(pod_contract.DELETED_KEY, None) is not None
        if pod_contract.RECORD_KEY not in found:
            is_cleared = pod_contract.ACCEPTED_KEY in found and await self._is_cleared(run_id)
            return Loaded(None, deleted, not found and not folders, is_cleared)
        wanted = [key for key in _MARKS if key in found]
        attempts = [item.key.removeprefix(prefix) for item in attempt_objects]
        unread = [pod_contract.RECORD_KEY, *wanted, *attempts]
        if known is not None:
            unread.remove(pod_contract.RECORD_KEY)
        unreadable: dict[str, Sentence] = {}

        async def read(key: str) -> Json | None:
            try:
                return await self._read(f"{prefix}{key}", _KINDS.get(key, _ATTEMPT))
            except errors.UnreadableError as error:
                log.warning("run_id=%s key=%s %s", run_id, key, error)
                unreadable[key] = error.message
                return None

        documents = dict(zip(unread, await asyncio.gather(*map(read, unread)), strict=True))
        if (documents.get(pod_contract.ACCEPTED_KEY) or {}).get(_CLEARED_AT) is not None:
            return Loaded(None, deleted, is_empty=False, is_cleared=True)
        if known is not None:
            record = known.record
        elif pod_contract.RECORD_KEY in unreadable:
            record = self.placeholder(run_id, found[pod_contract.RECORD_KEY].last_modified)
        elif (document := documents[pod_contract.RECORD_KEY]) is not None:
            record = models.read_run_record(document)
        else:
            return Loaded(None, deleted, is_empty=False)
        began = [document for key in attempts if (document := documents[key]) is not None]
        marks = {_MARKS[key]: documents[key] for key in wanted}
        if pod_contract.STOP_KEY in unreadable:
            # It is there, so a stop was asked.
            marks["stop"] = {}
        if pod_contract.ACCEPTED_KEY in unreadable:
            marks["accepted"] = {"job_name": names.job_name(run_id)}
        facts = BucketFacts(
            record,
            deleted=deleted,
            attempts=tuple(sorted(began, key=lambda item: str(item.get("started_at")))),
            problem=next((unreadable[key] for key in _INDISPENSABLE if key in unreadable), None),
            **marks,  # type: ignore[arg-type]  # its keys are the fields of _MARKS
        )
        return Loaded(facts, deleted, is_empty=False)

    def placeholder(self, run_id: str, written_at: dt.datetime) -> RunRecord:
        """Return what stands for a record that cannot be had, so that its run can be deleted."""
        nothing = "unreadable.ipynb"
        return RunRecord(
            run_id=run_id,
            name=run_id,
            owner=Owner(self.owner_slug, self.owner_slug),
            namespace="",
            created_at=rfc3339(written_at),
            request=RunRequest(nothing).as_json(),
            local_queue="",
            resources=Resources(),
            image="",
            notebook=nothing,
            input=(),
        )

    async def claim(self, run_id: str, digest: str, submit: str) -> bool:
        """Claim an id that was made from an idempotency key for one request's digest.

        Returns:
            Whether ``submit``, which names this one try, is the first.

        Raises:
            ConflictError: the key stands for another request.
        """
        claim = {"digest": digest, "submit": submit}
        there = await self._write_once(run_id, CLAIM_KEY, claim, _CLAIM)
        if there is not None and there["digest"] != digest:
            raise errors.ConflictError(
                say(
                    "key-of-another-request",
                    "This idempotency_key was already used for a different request. Use a new key.",
                )
            )
        return there is claim

    async def write_record(self, record: RunRecord) -> RunRecord:
        """Write record.json; return ``record``, or the one that another writer put there first.

        Raises:
            UnreadableError: what is there cannot be understood.
        """
        mine = record.as_json()
        there = await self._write_once(
            record.run_id, pod_contract.RECORD_KEY, mine, _KINDS[pod_contract.RECORD_KEY]
        )
        return record if there is mine or there is None else RunRecord.from_json(there)

    async def accept(self, run_id: str, accepted: Json) -> Json | None:
        """Decide that a submit is accepted, with what accepted.json says of its Job.

        Whether it is accepted or cleared is decided once, by whichever server writes that object
        first: no run that somebody was told of is ever taken for leftovers.

        Returns:
            What was decided, by this server or before; None where it was cleared.
        """
        decided = await self._decide(run_id, accepted)
        return None if decided is None or decided.get(_CLEARED_AT) is not None else decided

    async def clear(self, run_id: str, why: str) -> Json | None:
        """Decide that a submit is not accepted any more, so that what it left may be removed.

        Returns:
            None, or what accepted.json says of its Job: it was accepted before, and stays.
        """
        cleared = {_CLEARED_AT: models.now(), "by": _this_server(), "why": why}
        decided = await self._decide(run_id, cleared)
        return None if decided is None or decided.get(_CLEARED_AT) is not None else decided

    async def _decide(self, run_id: str, document: Json) -> Json | None:
        kind = _KINDS[pod_contract.ACCEPTED_KEY]
        try:
            return await self._write_once(run_id, pod_contract.ACCEPTED_KEY, document, kind)
        except errors.UnreadableError:
            # Somebody damaged it. It is not ours to say that nobody was told of the run.
            return {"job_name": names.job_name(run_id)}

    async def _is_cleared(self, run_id: str) -> bool:
        key = f"{self.prefix(run_id)}{pod_contract.ACCEPTED_KEY}"
        try:
            found = await self._read(key, _KINDS[pod_contract.ACCEPTED_KEY])
        except errors.UnreadableError:
            return False
        return (found or {}).get(_CLEARED_AT) is not None

    async def write_end(self, run_id: str, final: Json) -> Json:
        """Write final.json, once; return what is there: the words of the server that came first.

        Raises:
            UnreadableError: what is there cannot be understood.
        """
        there = await self._write_once(
            run_id, pod_contract.FINAL_KEY, final, _KINDS[pod_contract.FINAL_KEY]
        )
        return final if there is None else there

    async def _write_once(
        self, run_id: str, key: str, document: Json, kind: json_shapes.Kind
    ) -> Json | None:
        """Write a document that is written once; return it, or the one that is there already.

        None where that is gone again.
        """
        whole, mine = f"{self.prefix(run_id)}{key}", encode_json(document)
        if await self.bucket.create_once(whole, mine) == mine:
            return document
        return await self._read(whole, kind)

    async def write(self, run_id: str, key: str, document: Json) -> None:
        """Write one of a run's documents, replacing what was there."""
        await self.bucket.put_json(f"{self.prefix(run_id)}{key}", document)

    async def change(self, run_id: str, asked: Json) -> Json:
        """Put ``asked`` into meta.json beside what other changes left there; return all of it.

        Its ``updated_at`` grows with each change, whatever the servers' clocks say: rows that were
        made from it are compared by that. A mark of the change is written before it, so that it is
        found (``list_changed``) also where this server dies right after.

        Raises:
            ConflictError: others change it all the time.
        """
        await self.bucket.put_json(self._changed_key(run_id), {"at": models.now()})
        key = f"{self.prefix(run_id)}{pod_contract.META_KEY}"
        for _ in range(_CHANGE_TRIES):
            before, etag = await self._read_meta(key)
            meta = {**before, **asked, "updated_at": _next_moment(before.get("updated_at"))}
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

    async def _read_meta(self, key: str) -> tuple[Json, str | None]:
        """Return meta.json, empty where it cannot be understood, and its ETag if it is there."""
        there = await self.bucket.head(key)
        if there is None:
            return {}, None
        try:
            found = await self._read(key, _KINDS[pod_contract.META_KEY])
        except errors.UnreadableError:
            found = None
        return found or {}, there.etag or ""

    async def list_changed(self) -> dict[str, ObjectMeta]:
        """Return which runs were changed of late, with the mark of the last change to each."""
        listed = await self.bucket.list(f"{self.owner_slug}/changed/")
        return {item.key.rpartition("/")[2]: item for item in listed}

    async def forget_change(self, run_id: str) -> None:
        """Remove the mark of a change that all rows show by now."""
        await self.bucket.delete([self._changed_key(run_id)])

    async def has_record(self, run_id: str) -> bool:
        """Tell whether record.json is there."""
        return await self.bucket.head(f"{self.prefix(run_id)}{pod_contract.RECORD_KEY}") is not None

    async def has_result(self, run_id: str) -> bool:
        """Tell whether result.json is there."""
        return await self.bucket.head(f"{self.prefix(run_id)}{pod_contract.RESULT_KEY}") is not None

    async def list_keys(self, run_id: str) -> frozenset[str]:
        """Return what there is of a run, by its key below the run's prefix."""
        prefix = self.prefix(run_id)
        return frozenset(item.key.removeprefix(prefix) for item in await self.bucket.list(prefix))

    async def write_tombstone(self, run_id: str, why: str, by: str | None = None) -> None:
        """Mark a run as deleted, for whoever looks at it and for ``list_deleted``.

        Args:
            run_id: the run.
            why: DELETED or FAILED_SUBMIT.
            by: the user who asked for it, None where a server did it of itself.
        """
        document = tombstone(why, by)
        await self.bucket.put_json(self._deleted_key(run_id), document)
        await self.write(run_id, pod_contract.DELETED_KEY, document)

    async def read_tombstone(self, run_id: str) -> Json:
        """Return who deleted a run and why, as ``at``, ``by`` and ``why``; empty if unknown."""
        try:
            found = await self._read(f"{self.prefix(run_id)}{pod_contract.DELETED_KEY}", _TOMBSTONE)
        except errors.UnreadableError:
            return {}
        return found or {}

    async def list_deleted(self) -> list[str]:
        """Return the ids of the runs that were deleted of late, in one listing.

        Rows of finished runs outlive them in summaries and in other servers' memory.
        """
        listed = await self.bucket.list(f"{self.owner_slug}/deleted/")
        return [item.key.rpartition("/")[2] for item in listed]

    async def purge(self, run_id: str) -> None:
        """Delete everything of a run but its tombstone; the record first.

        Without a record the rest is taken for leftovers, if this ends half way and there is no
        tombstone.
        """
        prefix = self.prefix(run_id)
        keys = [item.key for item in await self.bucket.list(prefix)]
        record, tombstone = (
            f"{prefix}{pod_contract.RECORD_KEY}",
            f"{prefix}{pod_contract.DELETED_KEY}",
        )
        await self.bucket.delete([record])
        await self.bucket.delete([key for key in keys if key not in (record, tombstone)])
        for key in [key for key in self.unreadable if key.startswith(prefix)]:
            del self.unreadable[key]

    async def forget(self, run_id: str) -> None:
        """Delete everything of a run, its tombstone too; last, whether it was accepted or cleared.

        A submit that goes on meanwhile learns from that that it came too late.
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

    async def _read(self, key: str, kind: json_shapes.Kind) -> Json | None:
        """Return a document; None where it was deleted between a listing and now.

        Raises:
            UnreadableError: it is none of ours.
        """
        most = MAX_JSON_BYTES if key.endswith(_LARGE) else MAX_MARK_BYTES
        try:
            document: Json = await self.bucket.get_json(key, max_bytes=most)
        except errors.NotFoundError:
            self.unreadable.pop(key, None)
            return None
        except errors.UnreadableError as error:
            self._note(key, error.message)
            raise
        found = kind.difference(document) or self._difference_from(key, document)
        if found is not None:
            raise self._noted(key, found)
        self.unreadable.pop(key, None)
        return document

    def _difference_from(self, key: str, document: Json) -> Sentence | None:
        """Say how a record is another run's than ``key`` says: its id and owner become keys."""
        if not key.endswith(f"/{pod_contract.RECORD_KEY}"):
            return None
        found = pod_contract.run_prefix(document["owner"]["slug"], document["run_id"])
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


def tombstone(why: str, by: str | None) -> Json:
    """Return what a tombstone says; ``by`` is a user, None where a server wrote it of itself."""
    return {"at": models.now(), "by": by or _this_server(), "why": why}


def _next_moment(before: str | None) -> str:
    """Return the present time, later than ``before`` in any case."""
    moment = models.now()
    if before is None or before < moment:
        return moment
    return rfc3339(models.parse_time(before) + dt.timedelta(milliseconds=1))


def _this_server() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
