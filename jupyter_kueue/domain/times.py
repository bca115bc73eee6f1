"""Moments as RFC 3339: read, written, and within bounds that any calendar can count with. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

# Times outside are nobody's, and arithmetic with them has no end in sight.
OLDEST_YEAR, LATEST_YEAR = 1970, 9000


def is_moment(value: Any) -> bool:
    """Tell whether a value is a time with its offset from UTC, between those years."""
    try:
        found = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return found.tzinfo is not None and OLDEST_YEAR <= found.year <= LATEST_YEAR


def now() -> str:
    """Return the present time as RFC 3339 in UTC with milliseconds."""
    return rfc3339(dt.datetime.now(dt.UTC))


def rfc3339(moment: dt.datetime) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds and ``Z``."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> dt.datetime:
    """Read an RFC 3339 time as an aware datetime.

    Raises:
        ValueError: it is none, or out of the bounds of ``is_moment``.
    """
    moment = dt.datetime.fromisoformat(text)
    if not OLDEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"{text[:40]!r} is out of bounds")
    return moment
