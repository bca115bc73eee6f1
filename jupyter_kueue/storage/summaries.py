"""The list rows of finished runs, many per object, so that a start reads only a few objects.

It is a cache: a row that is missing here is read from its run's own records. Several servers may
write at once, because each writes its own segments. Of several rows of a run, the one with the
latest ``updated_at`` counts, because another server may have stored an older one since.
"""

from __future__ import annotations

import gc
import logging
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.domain import errors, run_documents, run_row
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.storage.unread_runs import Unread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.storage.bucket import Bucket

# Rows per object: reading or writing one must not block the event loop for long.
MAX_ROWS = 500
# If more segments than this have only a few rows, they are merged.
MAX_SMALL_SEGMENTS = 16
_FEW_ROWS = MAX_ROWS // 2
# Each segment is parsed in one piece, which blocks other tasks.
_READS_AT_ONCE = 4
# Even with a million characters of parameters in each of its rows.
_MAX_SEGMENT_BYTES = 128 * 2**20

log = logging.getLogger(__name__)


class Summaries:
    """The rows of one owner's finished runs."""

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self._bucket = bucket
        self._prefix = f"{owner_slug}/index/"
        self._segments: list[str] = []
        self._segment_of: dict[str, str] = {}
        self._version_of: dict[str, str] = {}
        self._unread = Unread()

    async def load(self) -> list[RunRow]:
        """Return the stored rows, one per run."""
        found = await self._bucket.list(self._prefix)
        self._segments = sorted(item.key for item in found)
        parts: dict[str, list[RunRow]] = {}

        async def read(key: str) -> None:
            parts[key] = await self._read(key)

        await few_at_once(_READS_AT_ONCE, self._segments, read)
        rows: dict[str, RunRow] = {}
        for key in self._segments:
            for row in parts[key]:
                there = rows.get(row["run_id"])
                if there is None or _version(row) >= _version(there):
                    rows[row["run_id"]] = row
                    self._note(row, key)
        return list(rows.values())

    def is_stored(self, row: RunRow) -> bool:
        """Return whether the next start finds this row, as far as this server knows."""
        return self._version_of.get(row["run_id"]) == _version(row)

    async def store(self, rows: Iterable[RunRow]) -> None:
        """Store the rows of finished runs that are not stored yet; ``rows`` are all rows."""
        finished = {row["run_id"]: row for row in rows if row["state"] in FINISHED_STATES}
        new = [row for row in finished.values() if not self.is_stored(row)]
        if not new:
            return
        merged = self._to_merge(finished)
        new += [
            row
            for run_id, row in finished.items()
            if self.is_stored(row) and self._segment_of[run_id] in merged
        ]
        for start in range(0, len(new), MAX_ROWS):
            await self._write(new[start : start + MAX_ROWS])
        await self._bucket.delete(sorted(merged))
        self._segments = [key for key in self._segments if key not in merged]

    def _to_merge(self, finished: Mapping[str, RunRow]) -> set[str]:
        """Return the segments with few current rows, if there are many such segments."""
        sizes = Counter(key for run_id, key in self._segment_of.items() if run_id in finished)
        small = {key for key in self._segments if sizes[key] < _FEW_ROWS}
        return small if len(small) >= MAX_SMALL_SEGMENTS else set()

    async def _write(self, rows: Sequence[RunRow]) -> None:
        # Starts with nanoseconds: segments are read in the order of their names.
        key = f"{self._prefix}{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        await self._bucket.put_json(key, {"version": 1, "rows": rows})
        for row in rows:
            self._note(row, key)
        self._segments.append(key)

    def _note(self, row: RunRow, key: str) -> None:
        self._segment_of[row["run_id"]] = key
        self._version_of[row["run_id"]] = _version(row)

    async def _read(self, key: str) -> list[RunRow]:
        try:
            segment = await self._bucket.get_json(key, max_bytes=_MAX_SEGMENT_BYTES)
        except errors.NotFoundError:  # just merged by another server
            return []
        except errors.UnavailableError as error:
            self._unread.note(key, error)
            if not self._unread.is_given_up(key):
                raise
            log.warning("rows are read from their runs' own records: %s", error)
            return []
        except errors.UnreadableError as error:
            log.warning("rows are read from their runs' own records: %s", error)
            return []
        self._unread.note(key, None)
        try:
            stored = run_documents.SEGMENT.read_back(segment)["rows"]
        except ValueError as error:
            log.warning("rows of %s are read from their runs' own records: %s", key, error)
            return []
        rows = [row for item in stored if (row := _read(item)) is not None]
        if odd := len(stored) - len(rows):
            log.warning("%d rows of %s are read from their runs' own records", odd, key)
        # The rows stay for good and are read at a server's start, which creates much garbage: each
        # collection would traverse all rows and block the event loop.
        gc.freeze()
        return rows


def _version(row: RunRow) -> str:
    """Return a text by which versions of a finished run's row can be compared."""
    return row.get("updated_at") or ""


def _read(item: Any) -> RunRow | None:
    """Return the row of a finished run, None for anything else."""
    try:
        row = run_row.ROW.read_back(item)
    except ValueError:
        return None
    is_whole = len(row["warning_sentences"]) == len(row["warnings"])
    return row if is_whole and row["state"] in FINISHED_STATES else None
