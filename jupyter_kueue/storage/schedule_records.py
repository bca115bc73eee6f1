"""The objects of schedules in the bucket: definitions, revisions, inputs and tombstones.

Revisions and inputs never change, so that a Job that waits for quota finds what it was created
from.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, names
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.schedule_record import ScheduleRecord, ScheduleRevision
from jupyter_kueue.domain.schedule_request import ScheduleRequest
from jupyter_kueue.domain.times import rfc3339
from jupyter_kueue.storage import run_records, scheduled_runs
from jupyter_kueue.storage.bucket import encode_json

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.storage.bucket import Bucket

Json = dict[str, Any]


@dataclass(frozen=True)
class LoadedSchedule:
    """The content of a schedule's prefix.

    Attributes:
        record: None without definition.json; a substitute if that is invalid.
        problem: why it is invalid, None if it is valid.
        deleted: there is a tombstone.
        runs_counted: how many runs counted against max_runs.
        age: the time since the newest definition, tombstone, revision or input was written; None
            if there is nothing.
        has_more: there is more than the tombstone.
        has_unused: there are revisions or inputs that its next runs do not use.
    """

    record: ScheduleRecord | None
    deleted: bool
    runs_counted: int
    age: dt.timedelta | None
    has_more: bool
    has_unused: bool
    problem: Sentence | None = None


class ScheduleRecords:
    """The schedules of one owner.

    Attributes:
        unreadable: invalid definitions: key -> reason.
    """

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self.bucket = bucket
        self.owner_slug = owner_slug
        self.unreadable: dict[str, Sentence] = {}

    def prefix(self, schedule_id: str) -> str:
        """Return the key prefix of a schedule.

        Raises:
            NotFoundError: this is not a valid schedule id.
        """
        if not names.is_run_id(schedule_id):
            raise errors.NotFoundError(
                say(
                    "no-such-schedule",
                    "There is no schedule {schedule}.",
                    schedule=repr(schedule_id[:60]),
                )
            )
        return pod_contract.schedule_prefix(self.owner_slug, schedule_id)

    def input_prefix(self, schedule_id: str, input_id: str) -> str:
        """Return the key prefix of the inputs with that id, with a trailing slash."""
        return f"{self.prefix(schedule_id)}{pod_contract.INPUTS_PREFIX}{input_id}/"

    async def list_ids(self) -> list[str]:
        """Return the ids of all schedules with any object in the bucket."""
        prefixes = await self.bucket.list_prefixes(f"{self.owner_slug}/schedules/")
        ids = (prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)
        return [schedule_id for schedule_id in ids if names.is_run_id(schedule_id)]

    async def load(self, schedule_id: str) -> LoadedSchedule:
        """Read the current state of a schedule."""
        prefix = self.prefix(schedule_id)
        objects = await self.bucket.list(prefix)
        keys = {item.key.removeprefix(prefix) for item in objects}
        record: ScheduleRecord | None = None
        problem: Sentence | None = None
        definition = f"{prefix}{pod_contract.DEFINITION_KEY}"
        self.unreadable.pop(definition, None)
        if pod_contract.DEFINITION_KEY in keys:
            try:
                record = self._read(definition, await self.bucket.get_json(definition))
            except errors.NotFoundError:  # deleted since the listing
                record = None
            except errors.UnreadableError as error:
                problem = say(
                    "schedule-unreadable",
                    "{problem} Delete the schedule and create it again.",
                    problem=error.message,
                )
                record = self.placeholder(schedule_id, max(i.last_modified for i in objects))
                self.unreadable[definition] = error.message
        written = (
            item.last_modified
            for item in objects
            if not item.key.startswith(f"{prefix}{pod_contract.SLOTS_PREFIX}")
        )
        newest = max(written, default=None)
        revisions = sum(key.startswith(pod_contract.REVISIONS_PREFIX) for key in keys)
        inputs = {key.split("/")[1] for key in keys if key.startswith(pod_contract.INPUTS_PREFIX)}
        return LoadedSchedule(
            record,
            deleted=pod_contract.DELETED_KEY in keys,
            runs_counted=sum(key.startswith(pod_contract.SLOTS_PREFIX) for key in keys),
            age=None if newest is None else dt.datetime.now(dt.UTC) - newest,
            has_more=bool(keys - {pod_contract.DELETED_KEY}),
            has_unused=problem is None and (revisions > 1 or len(inputs) > 1),
            problem=problem,
        )

    def _read(self, key: str, body: Json) -> ScheduleRecord:
        """Return a definition; its id and owner are used in keys, so they must match ``key``."""
        record = ScheduleRecord.from_json(body)
        found = pod_contract.schedule_prefix(record.owner.slug, record.schedule_id)
        if key != f"{found}{pod_contract.DEFINITION_KEY}":
            raise errors.UnreadableError(
                say(
                    "record-of-another",
                    "{key} cannot be understood: it belongs to {found}.",
                    key=key,
                    found=found,
                )
            )
        return record

    def placeholder(self, schedule_id: str, written_at: dt.datetime) -> ScheduleRecord:
        """Return a substitute for an invalid definition, so that it can be deleted."""
        moment = rfc3339(written_at)
        return ScheduleRecord(
            schedule_id=schedule_id,
            name=schedule_id,
            owner=Owner(self.owner_slug, self.owner_slug),
            namespace="",
            created_at=moment,
            updated_at=moment,
            request=ScheduleRequest("unreadable.ipynb", active=False),
            revision="none",
            input_id="none",
            local_queue="",
        )

    async def read_revision(self, schedule_id: str, revision: str) -> ScheduleRevision:
        """Return a revision.

        Raises:
            NotFoundError: it no longer exists, because the schedule was deleted.
            UnreadableError: it is invalid.
        """
        key = f"{self.prefix(schedule_id)}{pod_contract.REVISIONS_PREFIX}{revision}.json"
        return ScheduleRevision.from_json(await self.bucket.get_json(key))

    async def write_revision(self, schedule_id: str, revision: ScheduleRevision) -> None:
        """Write a revision; its name is a digest of its content, so a repeat changes nothing."""
        key = f"{self.prefix(schedule_id)}{pod_contract.REVISIONS_PREFIX}{revision.revision}.json"
        await self.bucket.create_once(key, encode_json(revision.as_json()))

    async def create(self, record: ScheduleRecord) -> bool:
        """Write the definition of a new schedule; return False if one already exists."""
        key = f"{self.prefix(record.schedule_id)}{pod_contract.DEFINITION_KEY}"
        mine = encode_json(record.as_json())
        return await self.bucket.create_once(key, mine) == mine

    async def write(self, record: ScheduleRecord) -> None:
        """Write the definition, replacing an existing one."""
        key = f"{self.prefix(record.schedule_id)}{pod_contract.DEFINITION_KEY}"
        await self.bucket.put_json(key, record.as_json())

    async def write_tombstone(
        self, schedule_id: str, why: str, by: str | None = None, *, with_runs: bool = False
    ) -> None:
        """Mark a schedule as deleted; ``with_runs`` includes its runs that are not taken in yet.

        ``why`` and ``by`` are as in a run's tombstone (``storage.run_records``).
        """
        tombstone = run_records.tombstone(why, by) | {scheduled_runs.WITH_RUNS: with_runs}
        await self.bucket.put_json(
            f"{self.prefix(schedule_id)}{pod_contract.DELETED_KEY}", tombstone
        )

    async def sweep(self, record: ScheduleRecord, kept_revisions: AbstractSet[str]) -> None:
        """Remove revisions and inputs that neither ``record`` nor ``kept_revisions`` use."""
        prefix = self.prefix(record.schedule_id)
        kept = {record.revision, *kept_revisions}
        revisions = await self.bucket.list(f"{prefix}{pod_contract.REVISIONS_PREFIX}")
        of_key = {item.key.rpartition("/")[2].removesuffix(".json"): item for item in revisions}
        read = await asyncio.gather(
            *(self.read_revision(record.schedule_id, name) for name in kept & set(of_key))
        )
        kept_inputs = {record.input_id, *(revision.input_id for revision in read)}
        inputs = await self.bucket.list(f"{prefix}{pod_contract.INPUTS_PREFIX}")
        at = len(f"{prefix}{pod_contract.INPUTS_PREFIX}")
        unused = [item.key for name, item in of_key.items() if name not in kept]
        unused += [
            item.key for item in inputs if item.key[at:].partition("/")[0] not in kept_inputs
        ]
        await self.bucket.delete(unused)

    async def purge(self, schedule_id: str) -> None:
        """Delete everything of a schedule except its tombstone, the definition first."""
        prefix = self.prefix(schedule_id)
        keys = [item.key for item in await self.bucket.list(prefix)]
        definition = f"{prefix}{pod_contract.DEFINITION_KEY}"
        kept = (definition, f"{prefix}{pod_contract.DELETED_KEY}")
        await self.bucket.delete([definition])
        await self.bucket.delete([key for key in keys if key not in kept])

    async def forget(self, schedule_id: str) -> None:
        """Delete everything of a schedule including its tombstone."""
        await self.bucket.delete_prefix(self.prefix(schedule_id))
