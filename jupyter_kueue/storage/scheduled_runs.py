"""Taking in a run that a CronJob created: its inputs are copied and its records are written.

Whoever sees the run first does this: a server as soon as its Job exists, or its own ``stage-in``
while no server is running. Both make the same writes in the same order, possibly at the same time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import errors, names
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.schedule_record import ScheduleRevision
from jupyter_kueue.domain.times import parse_time, rfc3339
from jupyter_kueue.storage import input_copies
from jupyter_kueue.storage.bucket import encode_json

if TYPE_CHECKING:
    from jupyter_kueue.storage.bucket import Bucket

Json = dict[str, Any]

# In a schedule's tombstone: runs that are not taken in yet are deleted with it.
WITH_RUNS = "with_runs"
_MAX_MARK_BYTES = 2**16


@dataclass(frozen=True)
class ScheduledRun:
    """A run as described by its Job; ``run_id`` is the Job's uid."""

    owner_slug: str
    schedule_id: str
    revision: str
    run_id: str
    job_name: str
    created_at: str

    @property
    def due_at(self) -> str:
        """When it was due; for a Job that was not created on schedule, its creation time."""
        minute = names.scheduled_minute(self.job_name)
        if minute is None:
            return self.created_at
        return rfc3339(dt.datetime.fromtimestamp(minute * 60, dt.UTC))


async def take_in(bucket: Bucket, run: ScheduledRun) -> RunRecord | None:
    """Copy the inputs of a run's revision and write its records; return its record.

    Inputs come first and record.json last, so that a run with a record is complete.

    Returns:
        The record, even if it existed before; None if the run must not start: it was due after
        the schedule's end, exceeds ``max_runs``, or was deleted, alone or with its schedule.

    Raises:
        NotFoundError: the revision no longer exists, because the schedule was deleted.
    """
    prefix = pod_contract.run_prefix(run.owner_slug, run.run_id)
    schedule = pod_contract.schedule_prefix(run.owner_slug, run.schedule_id)
    deleted, is_deleted_with_schedule = await asyncio.gather(
        bucket.head(f"{prefix}{pod_contract.DELETED_KEY}"), _is_deleted_with_runs(bucket, schedule)
    )
    if deleted is not None or is_deleted_with_schedule:
        return None
    revision = ScheduleRevision.from_json(
        await bucket.get_json(f"{schedule}{pod_contract.REVISIONS_PREFIX}{run.revision}.json")
    )
    if _is_after_the_end(run, revision):
        return None
    if revision.max_runs is not None and not await _take_slot(bucket, run, revision.max_runs):
        return None
    record = RunRecord.of(revision.spec, run.run_id, run.due_at, schedule_revision=run.revision)
    await input_copies.copy(
        bucket,
        f"{schedule}{pod_contract.INPUTS_PREFIX}{revision.input_id}/",
        f"{prefix}{pod_contract.INPUT_PREFIX}",
        record,
    )
    accepted = {
        "job_name": run.job_name,
        "uid": run.run_id,
        "concurrency_policy": revision.concurrency_policy,
    }
    await bucket.create_once(f"{prefix}{pod_contract.ACCEPTED_KEY}", encode_json(accepted))
    mine = encode_json(record.as_json())
    if await bucket.create_once(f"{prefix}{pod_contract.RECORD_KEY}", mine) == mine:
        return record
    return RunRecord.from_json(await bucket.get_json(f"{prefix}{pod_contract.RECORD_KEY}"))


async def _is_deleted_with_runs(bucket: Bucket, schedule_prefix: str) -> bool:
    try:
        found = await bucket.get_json(
            f"{schedule_prefix}{pod_contract.DELETED_KEY}", max_bytes=_MAX_MARK_BYTES
        )
    except (errors.NotFoundError, errors.UnreadableError):
        # An invalid tombstone does not delete its runs.
        return False
    return isinstance(found, dict) and found.get(WITH_RUNS) is True


def _is_after_the_end(run: ScheduledRun, revision: ScheduleRevision) -> bool:
    return revision.end_date is not None and parse_time(run.due_at) > parse_time(revision.end_date)


async def _take_slot(bucket: Bucket, run: ScheduledRun, max_runs: int) -> bool:
    """Count a run; return whether it is among the first ``max_runs``. A count is permanent.

    Each slot is created by exactly one run, so that runs that start at once are counted correctly.
    Runs that were created from the CronJob by hand are not counted.
    """
    if names.scheduled_minute(run.job_name) is None:
        return True
    schedule = pod_contract.schedule_prefix(run.owner_slug, run.schedule_id)
    prefix = f"{schedule}{pod_contract.SLOTS_PREFIX}"
    taken = [item.key for item in await bucket.list(prefix)]
    if run.run_id in await asyncio.gather(*(_holder(bucket, key) for key in taken)):
        return True
    mine = encode_json({"run_id": run.run_id, "due_at": run.due_at})
    for number in range(len(taken) + 1, max_runs + 1):
        key = f"{prefix}{number:06d}.json"
        # It may be another run's, or this run's: its stage-in and a server may count it at once.
        is_mine = await bucket.create_once(key, mine) == mine
        if is_mine or await _holder(bucket, key) == run.run_id:
            return True
    return False


async def _holder(bucket: Bucket, key: str) -> str | None:
    """Return the run id that holds a slot; None if the slot is invalid, which still counts."""
    try:
        slot = await bucket.get_json(key, max_bytes=_MAX_MARK_BYTES)
    except errors.UnreadableError:
        return None
    return slot.get("run_id") if isinstance(slot, dict) else None
