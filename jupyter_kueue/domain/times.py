"""Times as RFC 3339, within limits that any calendar supports. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

# Times outside these years are invalid, and arithmetic with them may overflow.
OLDEST_YEAR, LATEST_YEAR = 1970, 9000


def is_moment(value: Any) -> bool:
    """Return whether a value is a time with a UTC offset, between these years."""
    try:
        found = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return found.tzinfo is not None and OLDEST_YEAR <= found.year <= LATEST_YEAR


def now() -> str:
    """Return the current time as RFC 3339 in UTC with milliseconds."""
    return rfc3339(dt.datetime.now(dt.UTC))


def rfc3339(moment: dt.datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds and ``Z``."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> dt.datetime:
    """Parse an RFC 3339 time as an aware datetime.

    Raises:
        ValueError: it is invalid, or outside the limits of ``is_moment``.
    """
    moment = dt.datetime.fromisoformat(text)
    if not OLDEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"{text[:40]!r} is out of bounds")
    return moment
