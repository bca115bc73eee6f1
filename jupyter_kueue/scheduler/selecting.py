"""Sorting by several fields and paging, as in jupyter-scheduler's lists. Pure.

A token contains the sort keys of a page's last row, so that pages neither repeat nor skip rows when
others come and go. It is opaque: only this module reads it.
"""

from __future__ import annotations

import base64
import bisect
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from jupyter_scheduler.models import SortDirection

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, strict_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_scheduler.models import SortField

Row = TypeVar("Row", bound=Mapping[str, object])
# How to compare rows by each field, and whether the order descends.
Keys = tuple[tuple[Callable[[Row], str], bool], ...]

_ORDERS_KEPT = 16


class Sorted(Generic[Row]):
    """Sorted rows, cached while rows and order stay the same."""

    def __init__(self, fields: Mapping[str, Callable[[Row], str]]) -> None:
        """``fields`` maps the name of each sortable field to a function from a row to its key."""
        self._fields = fields
        self._rows: Sequence[Row] = ()
        self._orders: dict[tuple[str, ...], Sequence[Row]] = {}

    def by(self, rows: Sequence[Row], sort_by: Sequence[SortField]) -> Order[Row]:
        """Return ``rows``, given in the order of creation, in the requested order.

        Raises:
            InvalidRequestError: a field is not sortable.
        """
        unknown = [item.name for item in sort_by if item.name not in self._fields]
        if unknown:
            raise errors.InvalidRequestError(
                {
                    "sort_by": say(
                        "sort-field-unknown",
                        "{field} cannot be sorted by; use {fields}",
                        field=repr(unknown[0][:40]),
                        fields=list(self._fields),
                    )
                }
            )
        keys = tuple(
            (self._fields[item.name], item.direction == SortDirection.desc) for item in sort_by
        )
        spec = tuple(f"{item.direction.value}({item.name})" for item in sort_by)
        if rows is not self._rows or len(self._orders) > _ORDERS_KEPT:
            self._rows, self._orders = rows, {}
        if spec not in self._orders:
            self._orders[spec] = _sorted(rows, keys)
        return Order(self._orders[spec], keys, spec)


def _sorted(rows: Sequence[Row], keys: Keys[Row]) -> Sequence[Row]:
    if keys and keys[0][1]:
        # With newest first, also among equal rows.
        rows = rows[::-1]
    for key, is_descending in reversed(keys):
        # Quick if rows are already sorted, as they are by time of creation.
        rows = sorted(rows, key=key, reverse=is_descending)
    return rows


@dataclass(frozen=True)
class Order(Generic[Row]):
    """Rows in the requested order.

    Attributes:
        rows: equal rows are in the order of creation, reversed if the first field descends.
        keys: how rows are compared, and whether the order descends; the first counts most.
        spec: the same as text.
    """

    rows: Sequence[Row]
    keys: Keys[Row]
    spec: tuple[str, ...]

    def filtered(self, is_wanted: Callable[[Row], bool]) -> Order[Row]:
        """Return the rows that are wanted, in the same order."""
        return dataclasses.replace(self, rows=list(filter(is_wanted, self.rows)))

    def page(
        self, max_items: int | None, next_token: str | None, id_field: str
    ) -> tuple[Sequence[Row], str | None]:
        """Return one page of the rows and the token of the next page, None after the last.

        Args:
            max_items: None for all.
            next_token: the token from the previous page.
            id_field: a field that identifies a row.

        Raises:
            InvalidRequestError: ``max_items`` or ``next_token`` is invalid.
        """
        if max_items is not None and max_items < 0:
            raise errors.InvalidRequestError(
                {"max_items": say("must-be-0-or-more", "must be 0 or more")}
            )
        if max_items == 0:
            return [], None
        rows = self.rows
        start = 0
        if next_token is not None:
            last = _read_token(next_token, self.spec)
            newest_first = bool(self.keys) and self.keys[0][1]
            downwards = [*(is_descending for _, is_descending in self.keys), *[newest_first] * 2]
            # Rows are sorted like tokens, so everything after the token is one slice.
            start = bisect.bisect_left(
                rows, x=True, key=lambda row: _is_after(self._place(row, id_field), last, downwards)
            )
        end = len(rows) if max_items is None else min(start + max_items, len(rows))
        shown = rows[start:end]
        if not shown or end == len(rows):
            return shown, None
        return shown, _write_token(self.spec, self._place(shown[-1], id_field))

    def _place(self, row: Row, id_field: str) -> list[str]:
        return [*(key(row) for key, _ in self.keys), str(row["created_at"]), str(row[id_field])]


def _is_after(place: list[str], last: list[str], downwards: list[bool]) -> bool:
    for mine, other, is_descending in zip(place, last, downwards, strict=True):
        if mine != other:
            return mine < other if is_descending else mine > other
    return False


def _write_token(spec: tuple[str, ...], place: list[str]) -> str:
    return base64.urlsafe_b64encode(strict_json.encode([spec, place])).decode()


def _read_token(token: str, spec: tuple[str, ...]) -> list[str]:
    wrong = {
        "next_token": say("cursor-of-another-list", "belongs to another list; start without it")
    }
    try:
        asked, place = strict_json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError) as error:
        raise errors.InvalidRequestError(wrong) from error
    is_place = isinstance(place, list) and all(isinstance(item, str) for item in place)
    if asked != list(spec) or not is_place or len(place) != len(spec) + 2:
        raise errors.InvalidRequestError(wrong)
    return list(place)
