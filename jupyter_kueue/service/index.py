"""All jobs of one owner in memory, as list rows: what a list answers from.

Rebuildable at any time from cluster and bucket. ``service.reconciler`` writes it, ``service.jobs``
reads it. Rows of finished jobs are small and final; open jobs keep what the bucket said of them.
"""

from __future__ import annotations

import base64
import bisect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue import errors
from jupyter_kueue.models import FINISHED_STATES, STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.models import BucketFacts

Json = dict[str, Any]

MAX_LIMIT = 500
SORT_FIELDS = ("created_at", "name", "state", "local_queue", "finished_at")


@dataclass(frozen=True)
class JobQuery:
    """Which jobs a list shows. Empty tuples do not filter.

    Attributes:
        text: found anywhere in name, id, input path or tags, in any case.
        sort: a field of SORT_FIELDS, with ``-`` before it for the other way round.
        cursor: from a list's ``next_cursor``.
    """

    states: tuple[str, ...] = ()
    local_queues: tuple[str, ...] = ()
    schedule_ids: tuple[str, ...] = ()
    text: str | None = None
    sort: str = "-created_at"
    limit: int = 50
    cursor: str | None = None

    def check(self) -> None:
        """Raise InvalidRequestError naming each field that is out of bounds."""
        wrong = {}
        unknown = [state for state in self.states if state not in STATES]
        if unknown:
            wrong["state"] = f"{unknown[0][:40]!r} is no state; they are {', '.join(STATES)}"
        if self.sort.removeprefix("-") not in SORT_FIELDS:
            wrong["sort"] = f"must be one of {', '.join(SORT_FIELDS)}, with - for descending"
        if not 0 <= self.limit <= MAX_LIMIT:
            wrong["limit"] = f"must be from 0 to {MAX_LIMIT}"
        if wrong:
            raise errors.InvalidRequestError(wrong)


@dataclass
class Entry:
    """One job: its list row, and what the bucket said of it while it is not finished."""

    row: Json
    facts: BucketFacts | None

    @property
    def is_finished(self) -> bool:
        """Whether its state is final."""
        return self.row["state"] in FINISHED_STATES


class Index:
    """The jobs by id, and their ids in the order of creation."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._by_creation: list[tuple[str, str]] = []
        self._open: set[str] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, job_id: str) -> Entry | None:
        """Return a job's entry, None where there is no such job."""
        return self._entries.get(job_id)

    def get(self, job_id: str) -> Entry:
        """Return a job's entry.

        Raises:
            NotFoundError: there is no such job.
        """
        entry = self._entries.get(job_id)
        if entry is None:
            raise errors.NotFoundError(
                f"There is no run {job_id[:60]!r}. It may have been deleted."
            )
        return entry

    def put(self, entry: Entry) -> None:
        """Add or replace a job."""
        job_id = entry.row["job_id"]
        if job_id not in self._entries:
            bisect.insort(self._by_creation, (entry.row["created_at"], job_id))
        self._entries[job_id] = entry
        if entry.is_finished:
            self._open.discard(job_id)
        else:
            self._open.add(job_id)

    def remove(self, job_id: str) -> bool:
        """Forget a job; tells whether it was there."""
        entry = self._entries.pop(job_id, None)
        if entry is None:
            return False
        self._open.discard(job_id)
        at = bisect.bisect_left(self._by_creation, (entry.row["created_at"], job_id))
        del self._by_creation[at]
        return True

    def ids(self) -> set[str]:
        """Return the ids of all jobs."""
        return set(self._entries)

    def open_ids(self) -> set[str]:
        """Return the ids of the jobs that are not finished."""
        return set(self._open)

    def rows(self) -> Iterable[Json]:
        """Return all rows, oldest first."""
        return (self._entries[job_id].row for _, job_id in self._by_creation)

    def select(self, query: JobQuery) -> tuple[list[Json], int, str | None]:
        """Return a page of rows, how many match in all, and the cursor of the next page or None.

        The cursor names the last row of the page, so that pages neither repeat nor skip a job
        when others come and go meanwhile.
        """
        query.check()
        descending = query.sort.startswith("-")
        field = query.sort.removeprefix("-")
        after = read_cursor(query.cursor, query.sort)
        if field == "created_at":
            order: list[tuple[Any, str]] = list(self._by_creation)
        else:
            order = sorted(
                (str(self._entries[job_id].row.get(field) or ""), job_id)
                for _, job_id in self._by_creation
            )
        if descending:
            order.reverse()
        page: list[tuple[Any, str]] = []
        total = 0
        more = False
        for key in order:
            row = self._entries[key[1]].row
            if not _matches(row, query):
                continue
            total += 1
            if after is not None and (key >= after if descending else key <= after):
                continue
            if len(page) < query.limit:
                page.append(key)
            else:
                more = True
        rows = [self._entries[job_id].row for _, job_id in page]
        next_cursor = write_cursor(page[-1], query.sort) if more and page else None
        return rows, total, next_cursor


def _matches(row: Json, query: JobQuery) -> bool:
    if query.states and row["state"] not in query.states:
        return False
    if query.local_queues and row["local_queue"] not in query.local_queues:
        return False
    if query.schedule_ids and row["schedule_id"] not in query.schedule_ids:
        return False
    if query.text:
        wanted = query.text.casefold()
        places = (row["name"], row["job_id"], row["request"].get("input_path") or "", *row["tags"])
        return any(wanted in place.casefold() for place in places)
    return True


def write_cursor(key: tuple[Any, str], sort: str) -> str:
    """Return the cursor after the row whose sort key is ``key``."""
    text = json.dumps([sort, *key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, sort: str) -> tuple[Any, str] | None:
    """Return the sort key in a cursor, None for none.

    Raises:
        InvalidRequestError: it is no cursor, or one of another sort.
    """
    if cursor is None:
        return None
    wrong = errors.InvalidRequestError({"cursor": "is not one this server gave; start without it"})
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, RecursionError) as error:
        raise wrong from error
    match parts:
        case [str(asked_sort), str(value), str(job_id)]:
            pass
        case _:
            raise wrong
    if asked_sort != sort:
        raise errors.InvalidRequestError({"cursor": "belongs to another sort; start without it"})
    return (value, job_id)
