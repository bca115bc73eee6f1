"""When a cron expression is due, read as Kubernetes reads it: for showing next runs, never firing.

Pure. Follows robfig/cron v3's ``ParseStandard`` (parser.go, spec.go), which the CronJob controller
uses. What it cannot read is not thereby wrong: whether an expression is, only the API server says.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

# robfig gives up after as long.
_HORIZON_DAYS = 5 * 366
_FIELDS = 5

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True)
class CronExpression:
    """The values that each field allows; a day must match both or either of its two fields."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool

    def next_after(self, moment: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
        """Return when it is due next after ``moment``, in UTC; None within five years never.

        A time that the clocks skip in spring is not due that day; one that comes twice in autumn
        is due twice. Both are robfig/cron's ways.
        """
        day = moment.astimezone(zone).date()
        for _ in range(_HORIZON_DAYS):
            if self._is_due_on(day):
                for due in self._times_on(day, zone):
                    if due > moment:
                        return due
            day += dt.timedelta(days=1)
        return None

    def _is_due_on(self, day: dt.date) -> bool:
        if day.month not in self.months:
            return False
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.both_days else in_month or in_week

    def _times_on(self, day: dt.date, zone: ZoneInfo) -> Iterator[dt.datetime]:
        """Yield the moments of a day in order: an hour that comes twice is one group."""
        for hour in self.hours:
            group = set()
            for minute in self.minutes:
                for fold in (0, 1):
                    wall = dt.datetime.combine(day, dt.time(hour, minute, fold=fold), zone)
                    due = wall.astimezone(dt.UTC)
                    if due.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                        group.add(due)
            yield from sorted(group)


def parse(text: str) -> CronExpression | None:
    """Read an expression; None where this module does not understand it (``@every``, mistakes)."""
    fields = _DESCRIPTORS.get(text, text).split()
    if len(fields) != _FIELDS:
        return None
    try:
        minutes, _ = _values(fields[0], 0, 59)
        hours, _ = _values(fields[1], 0, 23)
        days, any_day = _values(fields[2], 1, 31)
        months, _ = _values(fields[3], 1, 12, _MONTHS)
        weekdays, any_weekday = _values(fields[4], 0, 6, _DAYS)
    except ValueError:
        return None
    return CronExpression(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(weekdays),
        any_day or any_weekday,
    )


def _values(field: str, low: int, high: int, words: tuple[str, ...] = ()) -> tuple[set[int], bool]:
    """Return the values of a field, and whether it has a ``*`` without a step above 1."""
    found: set[int] = set()
    is_any = False
    for part in field.split(","):
        span, *steps = part.split("/")
        first, *lasts = span.split("-")
        if len(steps) > 1 or len(lasts) > 1:
            raise ValueError(part)
        step = _number(steps[0]) if steps else 1
        if step < 1:
            raise ValueError(part)
        if first in ("*", "?"):
            if lasts:
                raise ValueError(part)
            start, end = low, high
            is_any = is_any or step == 1
        else:
            start = _number(first, words, low)
            end = _number(lasts[0], words, low) if lasts else (high if steps else start)
        if not low <= start <= end <= high:
            raise ValueError(part)
        found.update(range(start, end + 1, step))
    return found, is_any


def _number(text: str, words: tuple[str, ...] = (), low: int = 0) -> int:
    if text.lower() in words:
        return words.index(text.lower()) + low
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
