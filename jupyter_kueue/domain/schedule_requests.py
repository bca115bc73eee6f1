"""Read a user's JSON as a ScheduleRequest, and say of every field that is wrong what is wrong.

Pure: it checks what needs no file, cluster or bucket. Cron expressions and time zones are left to
the API server's dry run, which judges as that which will run them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, run_requests
from jupyter_kueue.domain.models import (
    CONCURRENCY_POLICIES,
    Json,
    RunRequest,
    ScheduleRequest,
    parse_time,
    rfc3339,
)

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence

MAX_RUNS = 10_000
MAX_STARTING_DEADLINE_SECONDS = 366 * 24 * 3600
# The CronJob controller looks every 10 seconds: with less a run could be missed for ever
# (https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/).
MIN_STARTING_DEADLINE_SECONDS = 10
_MAX_EXPRESSION_LENGTH = 256

_OF_RUNS = frozenset(item.name for item in fields(RunRequest))
FIELDS = tuple(item.name for item in fields(ScheduleRequest))


def parse_schedule_request(body: Any) -> ScheduleRequest:
    """Read a JSON body as a ScheduleRequest.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    if not isinstance(body, dict):
        raise errors.InvalidRequestError(
            {
                "body": say(
                    "send-object-with-input-path", "send a JSON object with at least input_path"
                )
            }
        )
    wrong: dict[str, Sentence] = {}
    of_run: RunRequest | None = None
    try:
        of_run = run_requests.parse_run_request(
            {key: value for key, value in body.items() if key in _OF_RUNS}
        )
    except errors.InvalidRequestError as error:
        wrong.update(error.fields)
    values: Json = {}
    for key, value in body.items():
        if key in _OF_RUNS or value is None:
            continue
        try:
            values[key] = _PARSERS[key](value)
        except KeyError:
            shown = str(key)[:100].encode("utf-8", "backslashreplace").decode()
            wrong[shown] = say(
                "field-unknown",
                "is an unknown field; known fields: {fields}",
                fields=sorted(FIELDS),
            )
        except ValueError as error:
            wrong[key] = sentences.of_error(error)
    if values.get("schedule") is None:
        for key in ("max_runs", "end_date", "starting_deadline_seconds"):
            if key in values:
                wrong.setdefault(
                    key,
                    say("needs-schedule", "needs a schedule; without one it runs only on demand"),
                )
    if wrong or of_run is None:
        raise errors.InvalidRequestError(wrong)
    of_runs = {name: getattr(of_run, name) for name in _OF_RUNS}
    return ScheduleRequest(**of_runs, **values)


def _expression(value: Any) -> str:
    text = _line(value)
    if not text or len(text) > _MAX_EXPRESSION_LENGTH:
        raise ValueError(
            say(
                "cron-expression-invalid",
                "must be a cron expression of five fields, such as 0 9 * * 1-5",
            )
        )
    if "TZ=" in text:
        raise ValueError(
            say(
                "cron-expression-holds-time-zone",
                "cannot contain a time zone; use timezone instead",
            )
        )
    return text


def _timezone(value: Any) -> str:
    text = _line(value)
    if not text:
        raise ValueError(
            say("time-zone-invalid", "must be the name of a time zone, such as Europe/Berlin")
        )
    return text


def _line(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(
            say("field-no-text-not", "must be text, not {value}", value=repr(str(value)[:40]))
        )
    return " ".join(value.split())


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(
            say("field-no-flag", "must be true or false, not {value}", value=repr(str(value)[:40]))
        )
    return value


def _policy(value: Any) -> str:
    if value not in CONCURRENCY_POLICIES:
        raise ValueError(
            say("field-none-of", "must be one of {choices}", choices=CONCURRENCY_POLICIES)
        )
    return str(value)


def _moment(value: Any) -> str:
    problem = say(
        "field-no-time",
        "must be a time with a UTC offset, such as 2030-01-31T18:00:00+01:00",
    )
    if not isinstance(value, str):
        raise ValueError(problem)
    try:
        moment = parse_time(value)
    except ValueError:
        raise ValueError(problem) from None
    if moment.tzinfo is None:
        raise ValueError(problem)
    try:
        return rfc3339(moment.astimezone(dt.UTC))
    except OverflowError:
        raise ValueError(say("field-too-far-away", "is too far in the future")) from None


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(
            say(
                "field-no-whole-number",
                "must be a whole number from {low} to {high}, not {value}",
                low=low,
                high=high,
                value=repr(str(value)[:40]),
            )
        )
    return value


_PARSERS: dict[str, Any] = {
    "schedule": _expression,
    "timezone": _timezone,
    "active": _flag,
    "concurrency_policy": _policy,
    "starting_deadline_seconds": lambda value: _whole(
        value, MIN_STARTING_DEADLINE_SECONDS, MAX_STARTING_DEADLINE_SECONDS
    ),
    "end_date": _moment,
    "max_runs": lambda value: _whole(value, 1, MAX_RUNS),
}
