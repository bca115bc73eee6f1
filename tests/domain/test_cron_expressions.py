"""When expressions are due, against robfig/cron's own examples and by brute force."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.domain import cron_expressions

NEW_YORK = ZoneInfo("America/New_York")


def after(text: str, moment: str, zone: ZoneInfo = NEW_YORK) -> str | None:
    expression = cron_expressions.parse(text)
    assert expression is not None
    due = expression.next_after(dt.datetime.fromisoformat(moment), zone)
    return None if due is None else due.astimezone(zone).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("text", "moment", "due"),
    [
        ("0/15 * * * *", "2012-07-09T14:45:00-04:00", "2012-07-09T15:00-04:00"),
        ("20-35/15 * * * *", "2012-07-09T14:45:00-04:00", "2012-07-09T15:20-04:00"),
        ("5,20,35 * * * *", "2012-07-09T23:46:00-04:00", "2012-07-10T00:05-04:00"),
        ("0 0 9-20/3 Jul ?", "2012-07-09T14:45:00-04:00", "2012-07-12T00:00-04:00"),
        ("0 0 * Feb Mon", "2012-07-09T23:35:00-04:00", "2013-02-04T00:00-05:00"),
        ("0 0 29 Feb ?", "2012-07-09T23:35:00-04:00", "2016-02-29T00:00-05:00"),
        # Day of month or day of week: either, unless one of them is any.
        ("0 0 13 * 5", "2012-07-09T00:00:00-04:00", "2012-07-13T00:00-04:00"),
        ("0 0 13 * 5", "2012-07-13T00:00:00-04:00", "2012-07-20T00:00-04:00"),
        ("0 0 13 * *", "2012-07-13T00:00:00-04:00", "2012-08-13T00:00-04:00"),
        ("0 0 */2 * 5", "2012-07-09T00:00:00-04:00", "2012-07-11T00:00-04:00"),
        ("@weekly", "2012-07-09T00:00:00-04:00", "2012-07-15T00:00-04:00"),
        # The clocks skip 2:00 to 3:00.
        ("30 2 11 Mar ?", "2012-03-11T00:00:00-05:00", "2013-03-11T02:30-04:00"),
        ("0 * * * *", "2012-03-11T01:00:00-05:00", "2012-03-11T03:00-04:00"),
        ("0 3 * * *", "2012-03-11T00:00:00-05:00", "2012-03-11T03:00-04:00"),
        # 1:00 to 2:00 comes twice.
        ("30 2 04 Nov ?", "2012-11-04T00:00:00-04:00", "2012-11-04T02:30-05:00"),
        ("0 1 * * *", "2012-11-04T00:00:00-04:00", "2012-11-04T01:00-04:00"),
        ("0 1 * * *", "2012-11-04T01:00:00-04:00", "2012-11-04T01:00-05:00"),
        ("0 1 * * *", "2012-11-04T01:00:00-05:00", "2012-11-05T01:00-05:00"),
        # Never.
        ("0 0 30 Feb ?", "2012-07-09T23:35:00-04:00", None),
        ("0 0 31 Apr ?", "2012-07-09T23:35:00-04:00", None),
    ],
)
def test_next(text: str, moment: str, due: str | None):
    assert after(text, moment) == due


@pytest.mark.parametrize(
    ("text", "zone", "moment", "due"),
    [
        # As robfig/cron v3.0.1 itself answers, where clocks change at midnight or by half an hour.
        ("@daily", "America/Sao_Paulo", "2018-11-03T12:00-03:00", "2018-11-05T00:00-02:00"),
        ("@yearly", "America/Havana", "2012-04-29T18:28:30-04:00", "2014-01-01T00:00-05:00"),
        ("@yearly", "Africa/Cairo", "2014-04-29T04:47:30+02:00", "2016-01-01T00:00+02:00"),
        ("*/15 2 29 3 sun", "Asia/Beirut", "2015-03-24T11:32+02:00", "2016-03-06T02:00+02:00"),
        ("7 2 * * sun", "Australia/Lord_Howe", "2019-04-03T03:36+11:00", "2019-04-14T02:07+10:30"),
        ("59 0 13 11 0", "America/St_Johns", "2010-08-13T01:12-02:30", "2010-11-06T23:59-03:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", "2026-03-30T02:30+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", "2026-10-25T02:30+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"),
        # A day that never was, where robfig's search never ends.
        ("0 2 1-7 * *", "Pacific/Apia", "2011-12-11T00:00-10:00", "2012-01-01T02:00+14:00"),
    ],
)
def test_next_where_clocks_change(text: str, zone: str, moment: str, due: str):
    assert after(text, moment, ZoneInfo(zone)) == due


@pytest.mark.parametrize(
    "text",
    [
        *("", "* * * *", "* * * * * *", "60 * * * *", "* * 0 * *", "* * * 13 *", "* * * * 7"),
        *("a * * * *", "5-1 * * * *", "*/0 * * * *", "1/2/3 * * * *", "1-2-3 * * * *"),
        *("*-3 * * * *", "@every 1h", "* * L * *", "-1 * * * *", "\u0663 * * * *"),
    ],
)
def test_what_is_not_understood_is_none(text: str):
    assert cron_expressions.parse(text) is None


@given(
    minute=st.sampled_from(["*", "7", "*/20", "0-10/5"]),
    hour=st.sampled_from(["*", "0", "1", "2", "3", "*/6"]),
    day=st.sampled_from(["*", "1-7", "*/10"]),
    weekday=st.sampled_from(["*", "sun", "1-5"]),
    start=st.integers(0, 2 * 365 * 24 * 60),
    # Where clocks change by half an hour it need not be the first (see next_after).
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_next_is_the_first_minute_that_matches(
    minute: str, hour: str, day: str, weekday: str, start: int, zone: str
):
    expression = cron_expressions.parse(f"{minute} {hour} {day} * {weekday}")
    assert expression is not None
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=start)
    place = ZoneInfo(zone)

    def matches(at: dt.datetime) -> bool:
        wall = at.astimezone(place)
        in_month, in_week = (
            wall.day in expression.days,
            wall.isoweekday() % 7 in expression.weekdays,
        )
        is_day = (in_month and in_week) if expression.both_days else (in_month or in_week)
        return is_day and wall.minute in expression.minutes and wall.hour in expression.hours

    looked_at = (moment + dt.timedelta(minutes=n) for n in range(1, 2 * 24 * 60))
    expected = next((at for at in looked_at if matches(at)), None)
    due = expression.next_after(moment, place)
    assert due is not None
    if expected is not None:
        assert due == expected
    else:
        assert due >= moment + dt.timedelta(days=2)
