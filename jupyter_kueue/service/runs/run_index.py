"""All runs of one owner in memory, as list rows: what a list answers from.

Rebuildable at any time from cluster and bucket; ``service.runs.known_runs`` alone writes it. Rows
of finished runs are small and final; open runs keep what the bucket said of them.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.service.paging import read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_kueue.domain.run_facts import BucketFacts
    from jupyter_kueue.domain.run_query import RunQuery, SortField
    from jupyter_kueue.domain.run_row import RunRow

# What a list is sorted by: a field's text, and the run id where it is the same.
SortKey = tuple[str, str]

# What a list is filtered by that few values are shared of.
SharedField = Literal["state", "local_queue", "schedule_id"]
_SHARED_FIELDS: tuple[SharedField, ...] = get_args(SharedField)


@dataclass
class Entry:
    """One run: its list row, and what the bucket said of it while it is not finished.

    The row is never changed, only replaced together with its entry.
    """

    row: RunRow
    facts: BucketFacts | None

    @property
    def is_finished(self) -> bool:
        """Whether its state is final."""
        return self.row["state"] in FINISHED_STATES

    @functools.cached_property
    def searched(self) -> str:
        """What a query's text is looked for in; no text reaches from one part into the next."""
        row = self.row
        parts = (row["name"], row["run_id"], row["request"].input_path, *row["tags"])
        return "\0".join(parts).casefold()


class Index:
    """The runs by id, and their ids by each field that a list is filtered by or was sorted by.

    A list is long and a page is short: no list looks at all runs, but for one with a text.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._sharing: dict[SharedField, dict[str | None, set[str]]] = {
            field: {} for field in _SHARED_FIELDS
        }
        self._orders: dict[SortField, list[SortKey]] = {}
        self._open: set[str] = set()
        self._rows: Sequence[RunRow] | None = None

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, run_id: str) -> Entry | None:
        """Return a run's entry, None where there is no such run."""
        return self._entries.get(run_id)

    def get(self, run_id: str) -> Entry:
        """Return a run's entry.

        Raises:
            NotFoundError: there is no such run.
        """
        entry = self._entries.get(run_id)
        if entry is None:
            raise errors.NotFoundError(
                say(
                    "no-such-run-deleted",
                    "There is no run {run}. It may have been deleted.",
                    run=repr(run_id[:60]),
                )
            )
        return entry

    def put(self, entry: Entry) -> None:
        """Add or replace a run."""
        run_id = entry.row["run_id"]
        before = self._entries.get(run_id)
        self._entries[run_id] = entry
        self._rows = None
        for field, sharing in self._sharing.items():
            if before is not None and before.row[field] != entry.row[field]:
                sharing[before.row[field]].discard(run_id)
            sharing.setdefault(entry.row[field], set()).add(run_id)
        for sorted_by, order in self._orders.items():
            key = _sort_key(entry.row, sorted_by)
            if before is not None:
                old = _sort_key(before.row, sorted_by)
                if old == key:
                    continue
                del order[bisect.bisect_left(order, old)]
            bisect.insort(order, key)
        if entry.is_finished:
            self._open.discard(run_id)
        else:
            self._open.add(run_id)

    def remove(self, run_id: str) -> bool:
        """Forget a run; tells whether it was there."""
        entry = self._entries.pop(run_id, None)
        if entry is None:
            return False
        self._open.discard(run_id)
        self._rows = None
        for field, sharing in self._sharing.items():
            sharing[entry.row[field]].discard(run_id)
        for sorted_by, order in self._orders.items():
            del order[bisect.bisect_left(order, _sort_key(entry.row, sorted_by))]
        return True

    def ids(self) -> set[str]:
        """Return the ids of all runs."""
        return set(self._entries)

    def open_ids(self) -> set[str]:
        """Return the ids of the runs that are not finished."""
        return set(self._open)

    def open_facts(self) -> list[BucketFacts]:
        """Return what the bucket said of each run that is not finished."""
        found = (self._entries[run_id].facts for run_id in self._open)
        return [facts for facts in found if facts is not None]

    def rows(self) -> Sequence[RunRow]:
        """Return all rows, oldest first; gathered again only when one has changed."""
        if self._rows is None:
            self._rows = [self._entries[run_id].row for _, run_id in self._order("created_at")]
        return self._rows

    def of_schedule(self, schedule_id: str) -> list[RunRow]:
        """Return the rows of a schedule's runs, oldest first."""
        run_ids = self._sharing["schedule_id"].get(schedule_id, ())
        rows = [self._entries[run_id].row for run_id in run_ids]
        return sorted(rows, key=lambda row: _sort_key(row, "created_at"))

    def select(self, query: RunQuery) -> tuple[list[RunRow], int, str | None]:
        """Return a page of rows, how many match in all, and the cursor of the next page or None.

        The cursor names the last row of the page, so that pages neither repeat nor skip a run
        when others come and go meanwhile.
        """
        query.check()
        after = read_cursor(query.cursor, query.sort)
        order = self._order(cast("SortField", query.sort.removeprefix("-")))
        rest: Iterator[SortKey]
        if query.sort.startswith("-"):
            passed = 0 if after is None else len(order) - bisect.bisect_left(order, after)
            rest = itertools.islice(reversed(order), passed, None)
        else:
            passed = 0 if after is None else bisect.bisect_right(order, after)
            rest = itertools.islice(order, passed, None)
        wanted = self._wanted(query)
        if wanted is not None:
            rest = (key for key in rest if key[1] in wanted)
        # One more tells whether there is another page.
        page = list(itertools.islice(rest, query.limit + 1))
        is_last = len(page) <= query.limit
        page = page[: query.limit]
        rows = [self._entries[run_id].row for _, run_id in page]
        next_cursor = None if is_last or not page else write_cursor(page[-1], query.sort)
        return rows, len(self if wanted is None else wanted), next_cursor

    def _wanted(self, query: RunQuery) -> AbstractSet[str] | None:
        """Return the ids of the runs that match, None for all."""
        asked = zip(
            _SHARED_FIELDS, (query.states, query.local_queues, query.schedule_ids), strict=True
        )
        wanted: AbstractSet[str] | None = None
        for field, values in asked:
            if values:
                having = [self._sharing[field].get(value, set()) for value in values]
                either: AbstractSet[str] = having[0] if len(having) == 1 else set().union(*having)
                wanted = either if wanted is None else wanted & either
        if query.text:
            text = query.text.casefold()
            among = self._entries if wanted is None else wanted
            wanted = {run_id for run_id in among if text in self._entries[run_id].searched}
        return wanted

    def _order(self, field: SortField) -> list[SortKey]:
        """Return all runs by a field, upwards; sorted once, and kept sorted from then on."""
        order = self._orders.get(field)
        if order is None:
            order = sorted(_sort_key(entry.row, field) for entry in self._entries.values())
            self._orders[field] = order
        return order


def _sort_key(row: RunRow, field: SortField) -> SortKey:
    return str(row[field] or ""), row["run_id"]
