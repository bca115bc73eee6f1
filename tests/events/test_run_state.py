"""Jupyter events: one for each change of state, as the schema says."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from jupyter_events import EventLogger

from jupyter_kueue.domain import run_row
from jupyter_kueue.events import run_state
from jupyter_kueue.service.changes import Changes

Json = dict[str, Any]


@pytest.fixture
def changes_and_output() -> tuple[Changes, io.StringIO]:
    """A feed whose changes are emitted, and what a handler of Jupyter's events wrote."""
    output = io.StringIO()
    changes = Changes()
    event_logger = EventLogger(handlers=[logging.StreamHandler(output)])
    run_state.emit_changes(changes, event_logger)
    return changes, output


def row(**fields: Any) -> Json:
    return {
        "run_id": "1",
        "name": "a",
        "state": "queued",
        "reason": None,
        "message": None,
        "local_queue": "team-a",
        "owner": "tess",
        **fields,
    }


def emitted(output: io.StringIO) -> list[Json]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_each_change_of_state_is_an_event(changes_and_output: tuple[Changes, io.StringIO]):
    changes, output = changes_and_output
    for state in run_row.STATES:
        changes.run_changed(row(state=state))
    changes.run_deleted("1")
    events = emitted(output)
    assert [event["state"] for event in events] == [*run_row.STATES, "deleted"]
    assert {event["__schema__"] for event in events} == {run_state.SCHEMA_ID}
    assert events[-1]["cursor"] == changes.cursor
    assert "owner" not in events[0]


def test_what_is_no_change_of_state_is_no_event(changes_and_output: tuple[Changes, io.StringIO]):
    changes, output = changes_and_output
    changes.run_changed(row(state="queued"))
    changes.run_changed(row(state="queued", name="renamed"))
    changes.schedule_deleted("2")
    changes.run_changed(row(state="queued", reason="blocked", message="Will not start."))
    reasons = [event["reason"] for event in emitted(output)]
    assert reasons == [None, "blocked"]


def test_two_applications_may_share_an_event_logger():
    event_logger = EventLogger()
    run_state.emit_changes(Changes(), event_logger)
    run_state.emit_changes(Changes(), event_logger)
    assert run_state.SCHEMA_ID in event_logger.schemas
