"""Removes what nobody needs any more: of submits that died, and of deleted runs.

A submit is accepted or cleared, whichever is decided first (docs/architecture.md, "Accepted or
cleared"): only after the latter may anything of it go. Every step may be repeated by several
servers at once.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from jupyter_kueue.cluster import jobs as cluster_jobs
from jupyter_kueue.domain import errors
from jupyter_kueue.storage.run_records import DELETED

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.run_documents import Accepted
    from jupyter_kueue.storage.run_records import Records

# In accepted.json, why there will be no Job.
_WHY = "leftovers"

log = logging.getLogger(__name__)


async def remove(
    connection: Connection, records: Records, namespace: str, run_id: str, job_name: str
) -> Accepted | None:
    """Decide that a submit is not accepted, and remove its Job and all that the bucket has of it.

    Returns:
        None, or what accepted.json says of its Job: it was accepted before, and all of it stays.

    Raises:
        UnavailableError: cluster or bucket do not answer; what is left is still marked as cleared.
    """
    # Another server may be finishing the submit this moment: one of the two is too late.
    accepted = await records.clear(run_id, _WHY)
    # Of a run whose Job went while it was taken in, that mark comes before the record.
    if accepted is not None and await records.has_record(run_id):
        return accepted
    log.info("run_id=%s leftovers of a submit removed", run_id)
    await cluster_jobs.delete(connection, namespace, job_name)
    await records.forget(run_id)
    return None


class OwedTombstones:
    """Tombstones of runs that were deleted while the bucket was full."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._owed: dict[str, str] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._owed

    def owe(self, run_id: str, by: str) -> None:
        """Note that ``by`` deleted a run that has no tombstone."""
        self._owed[run_id] = by

    async def write(self) -> None:
        """Write those for which there is room.

        They tell other servers, and spend an idempotency_key.
        """
        for run_id, by in list(self._owed.items()):
            with contextlib.suppress(errors.BucketUnavailableError):
                await self._records.write_tombstone(run_id, DELETED, by)
                # Another call may have written it meanwhile.
                self._owed.pop(run_id, None)
