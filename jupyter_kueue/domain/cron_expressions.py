"""When a cron expression is due, parsed as Kubernetes does, to show the next runs.

Pure. Follows robfig/cron v3's ``ParseStandard`` (parser.go, spec.go), which the CronJob controller
uses. An expression that this module cannot parse may still be valid: the API server decides.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# robfig stops its search after this time.
_HORIZON_YEARS = 5
_FIELDS = 5
_NOON = 12

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

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool

    def next_after(self, moment: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
        """Return the next time after ``moment``, in UTC; None if there is none within five years.

        A time that the clocks skip in spring is not due that day; one that occurs twice in autumn
        is due twice. In zones whose clocks change at midnight or by half an hour, robfig's search
        sometimes gives odd results. This one gives the same, so that it shows when the schedule
        will fire.
        """
        clock = _Clock(moment, zone)
        searches = (self._month, self._day, self._hour, self._minute, self._second)
        last_year = clock.wall.year + _HORIZON_YEARS
        while clock.wall.year <= last_year:
            if all(search(clock) for search in searches):
                return clock.utc
        return None

    # Each advances to the first of its values; False if a larger unit changed meanwhile, so that
    # the search starts again.

    def _month(self, clock: _Clock) -> bool:
        while clock.wall.month not in self.months:
            clock.start_at(clock.wall.replace(day=1, hour=0, minute=0, second=0))
            wall = clock.wall
            months = wall.year * 12 + wall.month
            first = wall.replace(year=months // 12, month=months % 12 + 1, day=1)
            clock.go_to(first + dt.timedelta(days=wall.day - 1))
            if clock.wall.month == 1:
                return False
        return True

    def _day(self, clock: _Clock) -> bool:
        while not self._is_due_on(clock.wall):
            clock.start_at(clock.wall.replace(hour=0, minute=0, second=0))
            before = clock.utc
            clock.go_to(clock.wall + dt.timedelta(days=1))
            # Midnight may not exist; the day then begins an hour earlier or later.
            hour = clock.wall.hour
            if hour:
                clock.add(dt.timedelta(hours=24 - hour if hour > _NOON else -hour))
            if clock.utc <= before:
                # A whole day is missing (Apia, 2011); robfig's search never ends there.
                clock.add(dt.timedelta(days=1))
            if clock.wall.day == 1:
                return False
        return True

    def _hour(self, clock: _Clock) -> bool:
        while clock.wall.hour not in self.hours:
            clock.start_at(clock.wall.replace(minute=0, second=0))
            clock.add(dt.timedelta(hours=1))
            if clock.wall.hour == 0:
                return False
        return True

    def _minute(self, clock: _Clock) -> bool:
        while clock.wall.minute not in self.minutes:
            clock.to_whole_minute()
            clock.add(dt.timedelta(minutes=1))
            if clock.wall.minute == 0:
                return False
        return True

    def _second(self, clock: _Clock) -> bool:
        if clock.wall.second == 0:
            return True
        clock.to_whole_minute()
        clock.add(dt.timedelta(minutes=1))
        return False

    def _is_due_on(self, day: dt.datetime) -> bool:
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.both_days else in_month or in_week


class _Clock:
    """The moment that a search has reached, in UTC and on a zone's clocks.

    Attributes:
        utc: the moment.
        wall: the clocks' time, without a zone.
        is_at_start: the smaller units have been reset, which happens once.
    """

    def __init__(self, moment: dt.datetime, zone: ZoneInfo) -> None:
        self._zone = zone
        self.is_at_start = False
        self._set(moment.astimezone(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=1))

    def start_at(self, wall: dt.datetime) -> None:
        """Go back to ``wall``, the start of a larger unit, unless this has been done before."""
        if not self.is_at_start:
            self.is_at_start = True
            self.go_to(wall)

    def to_whole_minute(self) -> None:
        """Reset the seconds in UTC, where no clock change can interfere."""
        self.is_at_start = True
        self._set(self.utc.replace(second=0))

    def add(self, duration: dt.timedelta) -> None:
        """Advance by a duration."""
        self._set(self.utc + duration)

    def go_to(self, wall: dt.datetime) -> None:
        """Go to a time on the clocks; if it occurs twice or never, to one of two moments.

        As in Go's time.Date: the offset is looked up as if the clocks showed UTC, and again at the
        resulting moment.
        """
        as_utc = wall.replace(tzinfo=dt.UTC)
        self._set(as_utc - self._offset(as_utc - self._offset(as_utc)))

    def _set(self, utc: dt.datetime) -> None:
        self.utc = utc
        self.wall = utc.astimezone(self._zone).replace(tzinfo=None)

    def _offset(self, utc: dt.datetime) -> dt.timedelta:
        return utc.astimezone(self._zone).utcoffset() or dt.timedelta(0)


def parse(text: str) -> CronExpression | None:
    """Parse an expression; None if it is invalid or not supported here (``@every``)."""
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
        frozenset(minutes),
        frozenset(hours),
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
