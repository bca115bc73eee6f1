"""The list rows of finished jobs, many in one object, so that a start reads a few objects only.

Rebuildable: a row that is missing here is read from its job's own records. Several servers may
write at once, because each writes segments of its own and a later row of a job replaces an earlier.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

from jupyter_kueue import errors
from jupyter_kueue.models import FINISHED_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.storage.bucket import Bucket

Json = dict[str, Any]

# More segments than this are written anew as one.
MAX_SEGMENTS = 16


class Summaries:
    """The finished jobs' rows of one owner."""

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self._bucket = bucket
        self._prefix = f"{owner_slug}/index/"
        self._segments: list[str] = []
        self._stored: set[str] = set()

    async def load(self) -> list[Json]:
        """Return the stored rows, one a job."""
        found = await self._bucket.list(self._prefix)
        self._segments = sorted(item.key for item in found)
        parts = await asyncio.gather(*(self._read(key) for key in self._segments))
        rows = {row["job_id"]: row for part in parts for row in part}
        self._stored = set(rows)
        return list(rows.values())

    def invalidate(self, job_id: str) -> None:
        """Have a job's row stored again, because it changed."""
        self._stored.discard(job_id)

    async def store(self, rows: Iterable[Json]) -> None:
        """Store the rows of finished jobs that are not stored yet."""
        finished = [row for row in rows if row["state"] in FINISHED_STATES]
        new = [row for row in finished if row["job_id"] not in self._stored]
        if not new:
            return
        merge = len(self._segments) >= MAX_SEGMENTS
        # Nanoseconds first: segments are read in the order of their names.
        key = f"{self._prefix}{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        await self._bucket.put_json(key, {"version": 1, "rows": finished if merge else new})
        if merge:
            await self._bucket.delete(self._segments)
            self._segments = []
        self._segments.append(key)
        self._stored.update(row["job_id"] for row in new)

    async def _read(self, key: str) -> list[Json]:
        try:
            rows: list[Json] = (await self._bucket.get_json(key))["rows"]
        except errors.NotFoundError:  # merged by another server just now
            return []
        return rows
