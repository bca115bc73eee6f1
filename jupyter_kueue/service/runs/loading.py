"""Shows all runs when a server starts, with few reads: the bucket may have thousands.

Rows of finished runs come from ``storage.summaries``, runs that only wait from
``storage.open_runs``. All others are read one by one, and so are, a little later, those that wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.domain import run_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jupyter_kueue.domain.kubernetes_objects import Job
    from jupyter_kueue.domain.run_facts import BucketFacts
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.known_runs import KnownRuns
    from jupyter_kueue.storage.bucket import ObjectMeta
    from jupyter_kueue.storage.open_runs import OpenRuns
    from jupyter_kueue.storage.run_records import Records
    from jupyter_kueue.storage.summaries import Summaries

Json = dict[str, Any]

# Thousands are read beside users' requests, not before them.
_PACE_SECONDS = 0.02


@dataclass(frozen=True)
class Listing:
    """What the bucket lists: all runs, those deleted of late, and those changed of late."""

    stored: frozenset[str]
    deleted: frozenset[str]
    changed: Mapping[str, ObjectMeta]


async def list_runs(records: Records) -> Listing:
    """List the bucket.

    Raises:
        UnavailableError: it does not answer.
    """
    listed, deleted, changed = await asyncio.gather(
        records.list_ids(), records.list_deleted(), records.list_changed()
    )
    return Listing(frozenset(listed), frozenset(deleted), changed)


class Loading:
    """One server's start.

    Args:
        begin: lets workers look at what is marked; the cluster's first lists mark all they show.
        give_up: has runs shown without their records, as far as the cluster knows them.
    """

    def __init__(
        self,
        records: Records,
        summaries: Summaries,
        open_runs: OpenRuns,
        known: KnownRuns,
        cluster: ClusterView,
        *,
        begin: Callable[[], None],
        give_up: Callable[[set[str]], None],
    ) -> None:
        self._records = records
        self._summaries = summaries
        self._open_runs = open_runs
        self._known = known
        self._cluster = cluster
        self._begin = begin
        self._give_up = give_up

    async def load(self) -> Listing:
        """Show all that the bucket lists; return what that was.

        Raises:
            JupyterKueueError: why one run could not be read; those that were read are shown, and
                a repeat goes on with the others.
        """
        # All at once: cluster and bucket each take their time with thousands.
        rows, waiting, listing, _ = await asyncio.gather(
            self._summaries.load(),
            self._open_runs.load(),
            list_runs(self._records),
            self._cluster.synced(),
        )
        # A run's own records say more than a row that may be older than the last change; and rows
        # outlive the runs that were deleted.
        up_to_date = listing.stored - listing.deleted - set(listing.changed)
        for row in rows:
            if row["run_id"] in up_to_date:
                self._known.restore(row)
        new = set(listing.stored - self._known.index.ids())
        shown = self._note_waiting(new - listing.deleted, waiting)
        self._begin()
        await self._known.queue.process_all(shown)
        for number, run_id in enumerate(shown):
            # Their records may tell of a stop or another name.
            self._known.mark_later(run_id, number * _PACE_SECONDS, reread=True)
        for run_id in new & listing.deleted:
            self._known.mark(run_id, reread=True)
        await self._read(new - shown - listing.deleted)
        return listing

    def _note_waiting(self, run_ids: set[str], known: Mapping[str, BucketFacts]) -> set[str]:
        """Take those of the runs that only wait in the cluster as ``known``; return their ids."""
        waiting = set()
        for run_id in run_ids & set(known):
            cluster = self._cluster.facts(run_id)
            if cluster.job is not None and _waits(cluster.job) and not cluster.pods:
                self._known.note_submitted(known[run_id], cluster.job)
                waiting.add(run_id)
        return waiting

    async def _read(self, run_ids: set[str]) -> None:
        unread = self._known.unread
        await self._known.queue.process_all(run_ids)
        for run_id in set(unread) - run_ids:
            # Deleted since it was listed.
            unread.note(run_id, None)
        failed = {run_id: error for run_id in unread if (error := unread.find(run_id))}
        for error in failed.values():
            if not all(unread.is_given_up(run_id) for run_id in failed):
                raise error.with_traceback(None)
        if failed:
            # Each of them alone, or the bucket as a whole?
            await self._records.bucket.check(f"{self._records.owner_slug}/")
            self._give_up(set(failed))
            await self._known.queue.process_all(failed)


def _waits(job: Job) -> bool:
    """Tell whether a Job is as its submit left it: nothing else can have happened to its run."""
    return (
        bool(job["spec"].get("suspend"))
        and "deletionTimestamp" not in job["metadata"]
        and not run_status.is_ended(job)
    )
