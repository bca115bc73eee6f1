"""The small JSON objects of a job in the bucket: its request, its marks and its end.

``service`` calls it. Keys are built here and in ``contract`` only; a job id is checked before it
becomes part of one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue import contract, errors, names
from jupyter_kueue.models import BucketFacts, JobRecord
from jupyter_kueue.storage.bucket import encode_json

if TYPE_CHECKING:
    from jupyter_kueue.storage.bucket import Bucket

Json = dict[str, Any]

_MARKS = {
    contract.ACCEPTED_KEY: "accepted",
    contract.META_KEY: "meta",
    contract.STOP_KEY: "stop",
    contract.RESULT_KEY: "result",
    contract.FINAL_KEY: "final",
}
CLAIM_KEY = "claim.json"


@dataclass(frozen=True)
class Loaded:
    """What lies below a job's prefix.

    Attributes:
        facts: None where there is no job.json: leftovers of a submit that never ended.
        deleted: the tombstone is there.
        is_empty: nothing else is there than, perhaps, the tombstone.
    """

    facts: BucketFacts | None
    deleted: bool
    is_empty: bool


class Records:
    """The records of one owner's jobs."""

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self.bucket = bucket
        self.owner_slug = owner_slug

    def prefix(self, job_id: str) -> str:
        """Return the key prefix of a job.

        Raises:
            NotFoundError: this cannot be the id of a job.
        """
        if not names.is_job_id(job_id):
            raise errors.NotFoundError(f"There is no run {job_id[:60]!r}.")
        return contract.job_prefix(self.owner_slug, job_id)

    async def list_ids(self) -> list[str]:
        """Return the ids of all jobs that have anything in the bucket."""
        prefixes = await self.bucket.list_prefixes(f"{self.owner_slug}/jobs/")
        ids = (prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)
        return [job_id for job_id in ids if names.is_job_id(job_id)]

    async def load(self, job_id: str, known: BucketFacts | None = None) -> Loaded:
        """Read everything but inputs, outputs and live data of a job.

        Two listings at once, then all reads at once; of ``known`` is taken what never changes.
        """
        prefix = self.prefix(job_id)
        (objects, folders), attempt_objects = await asyncio.gather(
            self.bucket.list_folder(prefix),
            self.bucket.list(f"{prefix}{contract.ATTEMPTS_PREFIX}"),
        )
        found = {item.key.removeprefix(prefix): item for item in objects}
        deleted = found.pop(contract.DELETED_KEY, None) is not None
        if contract.JOB_KEY not in found:
            return Loaded(None, deleted, is_empty=not found and not folders)
        wanted = [key for key in _MARKS if key in found]
        attempts = [item.key.removeprefix(prefix) for item in attempt_objects]
        unread = [contract.JOB_KEY, *wanted, *attempts]
        if known is not None:
            unread.remove(contract.JOB_KEY)
        read = await asyncio.gather(*(self._read(f"{prefix}{key}") for key in unread))
        documents = dict(zip(unread, read, strict=True))
        if known is not None:
            record = known.record
        elif (document := documents[contract.JOB_KEY]) is not None:
            record = JobRecord.from_json(document)
        else:
            return Loaded(None, deleted, is_empty=False)
        began = [document for key in attempts if (document := documents[key]) is not None]
        marks = {_MARKS[key]: documents[key] for key in wanted if key in _MARKS}
        facts = BucketFacts(
            record,
            deleted=deleted,
            attempts=tuple(sorted(began, key=lambda item: str(item.get("started_at")))),
            **marks,
        )
        return Loaded(facts, deleted, is_empty=False)

    async def claim(self, job_id: str, digest: str) -> None:
        """Claim an id that was made from an idempotency key for one request's digest.

        Raises:
            ConflictError: the key stands for another request.
        """
        key = f"{self.prefix(job_id)}{CLAIM_KEY}"
        try:
            await self.bucket.create(key, encode_json({"digest": digest}))
        except errors.ConflictError as error:
            there = await self._read(key)
            if there is not None and there.get("digest") != digest:
                raise errors.ConflictError(
                    "This idempotency_key stands for another request. Use a new key."
                ) from error

    async def write_record(self, record: JobRecord) -> None:
        """Write job.json.

        Raises:
            ConflictError: the id has a record already.
        """
        key = f"{self.prefix(record.job_id)}{contract.JOB_KEY}"
        await self.bucket.create(key, encode_json(record.as_json()))

    async def write(self, job_id: str, key: str, document: Json) -> None:
        """Write one of a job's documents, replacing what was there."""
        await self.bucket.put_json(f"{self.prefix(job_id)}{key}", document)

    async def has_record(self, job_id: str) -> bool:
        """Tell whether job.json is there."""
        return await self.bucket.head(f"{self.prefix(job_id)}{contract.JOB_KEY}") is not None

    async def write_tombstone(self, job_id: str, document: Json) -> None:
        """Mark a job as deleted, for whoever looks at it and for ``list_deleted``."""
        await self.bucket.put_json(self._deleted_key(job_id), document)
        await self.write(job_id, contract.DELETED_KEY, document)

    async def list_deleted(self) -> list[str]:
        """Return the ids of the jobs that were deleted of late, in one listing.

        Rows of finished jobs outlive them in summaries and in other servers' memory.
        """
        listed = await self.bucket.list(f"{self.owner_slug}/deleted/")
        return [item.key.rpartition("/")[2] for item in listed]

    async def purge(self, job_id: str) -> None:
        """Delete everything of a job but its tombstone."""
        prefix = self.prefix(job_id)
        keys = [item.key for item in await self.bucket.list(prefix)]
        await self.bucket.delete([key for key in keys if key != f"{prefix}{contract.DELETED_KEY}"])

    async def forget(self, job_id: str) -> None:
        """Delete everything of a job, its tombstone too."""
        await self.bucket.delete_prefix(self.prefix(job_id))
        await self.bucket.delete([self._deleted_key(job_id)])

    def _deleted_key(self, job_id: str) -> str:
        return f"{self.owner_slug}/deleted/{job_id}"

    async def _read(self, key: str) -> Json | None:
        try:
            document: Json = await self.bucket.get_json(key)
        except errors.NotFoundError:  # deleted between the listing and now
            return None
        return document
