"""Compares the whole bucket and the cluster with what is known, for what no watch shows.

It decides nothing: runs that may differ are marked, and looked at like any other.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from jupyter_kueue.domain.run_decisions import TOMBSTONE_LIFE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.known_runs import KnownRuns
    from jupyter_kueue.service.runs.leftovers import OwedTombstones
    from jupyter_kueue.service.runs.loading import Listing
    from jupyter_kueue.storage.bucket import ObjectMeta
    from jupyter_kueue.storage.open_runs import OpenRuns
    from jupyter_kueue.storage.run_records import Records
    from jupyter_kueue.storage.summaries import Summaries

# Any server has written a change this long after it marked it; clocks differ, too.
_CHANGE_SETTLED = dt.timedelta(minutes=2)


class Resync:
    """One server's comparisons; each remembers which marks of changes are dealt with."""

    def __init__(
        self,
        records: Records,
        summaries: Summaries,
        open_runs: OpenRuns,
        known: KnownRuns,
        cluster: ClusterView,
        owed: OwedTombstones,
    ) -> None:
        self._records = records
        self._summaries = summaries
        self._open_runs = open_runs
        self._known = known
        self._cluster = cluster
        self._owed = owed
        self._changes_seen: dict[str, tuple[str | None, dt.datetime]] = {}

    async def compare(self, listing: Listing) -> None:
        """Mark what may differ from ``listing``, and store what the next start reads.

        Raises:
            UnavailableError: the bucket does not answer; what is marked is looked at all the same.
        """
        known, now = self._known, dt.datetime.now(dt.UTC)
        shown = known.index.ids()
        # No watch shows it when another server deletes a finished run.
        for run_id in listing.deleted & shown:
            known.mark(run_id, reread=True)
        # They may have been submitted since the listing began.
        for run_id in shown - listing.stored - known.provisional_ids():
            known.mark(run_id, reread=True)
        for run_id in set(known.unread) - listing.stored:
            known.unread.note(run_id, None)
        for run_id in listing.stored - shown - known.clean_ids(now):
            known.mark(run_id, reread=True)
        await self._owed.write()
        await self._look_at_changes(listing.changed, now)
        for run_id in known.open_ids() | self._cluster.run_ids():
            known.mark(run_id)
        await self._summaries.store(known.stored_rows())
        await self._open_runs.store(known.stored_facts())

    async def _look_at_changes(self, changed: Mapping[str, ObjectMeta], now: dt.datetime) -> None:
        """Have the runs that some server changed of late read again, and drop old marks."""
        known = self._known
        self._changes_seen = {
            run_id: seen for run_id, seen in self._changes_seen.items() if run_id in changed
        }
        for run_id, mark in changed.items():
            entry = known.index.find(run_id)
            stamp = (mark.etag, mark.last_modified)
            if entry is not None and self._changes_seen.get(run_id) != stamp:
                known.mark(run_id, reread=True)
            age = now - mark.last_modified
            if age > _CHANGE_SETTLED:
                # The mark comes before the change, which is there by now.
                self._changes_seen[run_id] = stamp
            is_stored = entry is None or self._summaries.is_stored(entry.row)
            if age > TOMBSTONE_LIFE and is_stored and not known.is_stale(run_id):
                await self._records.forget_change(run_id)
