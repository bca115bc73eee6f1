"""The cursors that lead from one page of a list to the next. Pure."""

from __future__ import annotations

import base64
from typing import Any

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, strict_json


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
