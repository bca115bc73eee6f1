"""Pages of lists: their bounds, and the cursors that lead from one to the next. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, strict_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_kueue.contract.sentences import Sentence

MAX_LIMIT = 500


def wrong_with_page(sort: str, limit: int, sort_fields: Sequence[str]) -> dict[str, Sentence]:
    """Return what is out of bounds of a list's order and length, by field; empty if nothing is."""
    wrong = {}
    if sort.removeprefix("-") not in sort_fields:
        wrong["sort"] = say(
            "sort-unknown",
            "must be one of {fields}, with - in front for descending order",
            fields=sort_fields,
        )
    if not 0 <= limit <= MAX_LIMIT:
        wrong["limit"] = say("number-out-of-range", "must be from 0 to {most}", most=MAX_LIMIT)
    return wrong


def write_cursor(key: tuple[Any, str], sort: str) -> str:
    """Return the cursor after the row whose sort key is ``key``."""
    text = strict_json.encode([sort, *key])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_cursor(cursor: str | None, sort: str) -> tuple[Any, str] | None:
    """Return the sort key in a cursor, None for none.

    Raises:
        InvalidRequestError: it is no cursor, or one of another sort.
    """
    if cursor is None:
        return None
    wrong = errors.InvalidRequestError(
        {"cursor": say("cursor-unknown", "is not a cursor from this server; start without it")}
    )
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = strict_json.loads(base64.urlsafe_b64decode(padded))
    except ValueError as error:
        raise wrong from error
    match parts:
        case [str(asked_sort), str(value), str(run_id)]:
            pass
        case _:
            raise wrong
    if asked_sort != sort:
        raise errors.InvalidRequestError(
            {"cursor": say("cursor-of-another-sort", "belongs to another sort; start without it")}
        )
    return (value, run_id)
