"""Lists as jupyter-scheduler asks for them: sorted by several fields, a page at a time. Pure.

A token names the last row of a page by what it was sorted by, so that pages neither repeat nor
skip a row when others come and go meanwhile. It is opaque: only this module reads it.
"""

from __future__ import annotations

import base64
import bisect
import json
from typing import TYPE_CHECKING, Any

from jupyter_scheduler.models import SortDirection

from jupyter_kueue import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_scheduler.models import SortField

Json = dict[str, Any]


def page(
    rows: Sequence[Json],
    sort_by: Sequence[SortField],
    fields: Mapping[str, Callable[[Json], str]],
    max_items: int | None,
    next_token: str | None,
    id_field: str,
) -> tuple[Sequence[Json], str | None]:
    """Return one page of ``rows`` and the token of the next page, None where there is none.

    Args:
        rows: what there is, in the order of creation.
        sort_by: the first field counts most; ties stand in the order of creation.
        fields: what may be sorted by: its name -> what of a row is compared.
        max_items: None for all.
        next_token: as given with the page before.
        id_field: what tells two rows apart.

    Raises:
        InvalidRequestError: a field, ``max_items`` or ``next_token`` is not usable.
    """
    unknown = [item.name for item in sort_by if item.name not in fields]
    if unknown:
        raise errors.InvalidRequestError(
            {"sort_by": f"{unknown[0][:40]!r} is not sortable; use {', '.join(fields)}"}
        )
    if max_items is not None and max_items < 0:
        raise errors.InvalidRequestError({"max_items": "must be 0 or more"})
    if max_items == 0:
        return [], None
    order = [(fields[item.name], item.direction == SortDirection.desc) for item in sort_by]
    for key, is_descending in reversed(order):
        rows = sorted(rows, key=key, reverse=is_descending)

    def place(row: Json) -> list[str]:
        return [*(key(row) for key, _ in order), row["created_at"], row[id_field]]

    spec = [f"{item.direction.value}({item.name})" for item in sort_by]
    start = 0
    if next_token is not None:
        last = _read_token(next_token, spec)
        downwards = [is_descending for _, is_descending in order]
        # Sorted as tokens compare: what comes after one is all there is from some row on.
        start = bisect.bisect_left(
            rows, x=True, key=lambda row: _is_after(place(row), last, downwards)
        )
    end = len(rows) if max_items is None else min(start + max_items, len(rows))
    shown = rows[start:end]
    token = _write_token(spec, place(shown[-1])) if shown and end < len(rows) else None
    return shown, token


def _is_after(place: list[str], last: list[str], downwards: list[bool]) -> bool:
    for mine, other, is_descending in zip(place, last, [*downwards, False, False], strict=True):
        if mine != other:
            return mine < other if is_descending else mine > other
    return False


def _write_token(spec: list[str], place: list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([spec, place]).encode()).decode()


def _read_token(token: str, spec: list[str]) -> list[str]:
    wrong = {"next_token": "is not one of this list; start without it"}
    try:
        asked, place = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.InvalidRequestError(wrong) from error
    is_place = isinstance(place, list) and all(isinstance(item, str) for item in place)
    if asked != spec or not is_place or len(place) != len(spec) + 2:
        raise errors.InvalidRequestError(wrong)
    return list(place)
