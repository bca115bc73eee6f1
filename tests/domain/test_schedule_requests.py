"""What a user may ask of a schedule, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_request import RunRequest
from jupyter_kueue.domain.schedule_request import ScheduleRequest, parse_schedule_request


def test_everything_that_can_be_asked():
    request = parse_schedule_request(
        {
            "input_path": "a.ipynb",
            "name": "nightly",
            "tags": ["a"],
            "idempotency_key": "k",
            "schedule": "  0 9  * * 1-5 ",
            "timezone": "Europe/Berlin",
            "active": False,
            "concurrency_policy": "Replace",
            "starting_deadline_seconds": 60,
            "end_date": "2030-01-31T18:00:00+01:00",
            "max_runs": 3,
        }
    )
    assert request == ScheduleRequest(
        input_path="a.ipynb",
        name="nightly",
        tags=("a",),
        idempotency_key="k",
        schedule="0 9 * * 1-5",
        timezone="Europe/Berlin",
        active=False,
        concurrency_policy="Replace",
        starting_deadline_seconds=60,
        end_date="2030-01-31T17:00:00.000Z",
        max_runs=3,
    )
    # The key made the schedule: its runs have none.
    assert request.run_request() == RunRequest("a.ipynb", name="nightly", tags=("a",))


def test_what_is_left_out_or_null_has_its_default():
    everything = {"schedule": None, "active": None, "concurrency_policy": None, "max_runs": None}
    assert parse_schedule_request({"input_path": "a.ipynb", **everything}) == ScheduleRequest(
        "a.ipynb"
    )


def test_a_stored_request_is_read_again_as_it_was():
    request = parse_schedule_request({"input_path": "a.ipynb", "schedule": "@daily"})
    assert parse_schedule_request(request.as_json()) == request


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule", ""),
        ("schedule", 5),
        ("schedule", "* " * 300),
        ("schedule", "CRON_TZ=UTC * * * * *"),
        ("timezone", " "),
        ("active", "yes"),
        ("concurrency_policy", "forbid"),
        ("concurrency_policy", ["Forbid"]),
        ("starting_deadline_seconds", 9),
        ("starting_deadline_seconds", True),
        ("end_date", "2030-01-31"),
        ("end_date", "2030-01-31T00:00:00"),
        ("end_date", "soon"),
        ("end_date", "0001-01-01T00:00:00+14:00"),
        ("end_date", 5),
        ("max_runs", 0),
        ("max_runs", 1.5),
        ("max_runs", 10_001),
        ("colour", "red"),
        ("input_path", 5),
    ],
)
def test_a_bad_field_is_named(field: str, value: Any):
    body = {"input_path": "a.ipynb", "schedule": "* * * * *", field: value}
    with pytest.raises(errors.InvalidRequestError) as refused:
        parse_schedule_request(body)
    assert set(refused.value.fields) == {field}


def test_every_bad_field_is_named_at_once():
    with pytest.raises(errors.InvalidRequestError) as refused:
        parse_schedule_request({"schedule": 1, "max_runs": 0, "gpus": 1, "name": ""})
    assert set(refused.value.fields) == {"input_path", "schedule", "max_runs", "gpus", "name"}
    with pytest.raises(errors.InvalidRequestError, match="input_path"):
        parse_schedule_request([])


@pytest.mark.parametrize(
    "fields",
    [
        {"max_runs": 1},
        {"end_date": "2030-01-31T18:00:00Z"},
        {"starting_deadline_seconds": 60},
    ],
)
def test_what_only_a_clock_can_keep_needs_a_schedule(fields: dict[str, Any]):
    with pytest.raises(errors.InvalidRequestError, match="needs a schedule"):
        parse_schedule_request({"input_path": "a.ipynb", **fields})
