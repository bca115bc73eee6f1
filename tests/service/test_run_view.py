"""What a user sees of a run: the row, the attempts, the error and the files."""

from __future__ import annotations

from typing import Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts, Status
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.runner.shared import bounds
from jupyter_kueue.service.runs import run_view

INPUT = {"path": "data/x.csv", "size_bytes": 3, "sha256": "aa"}
INPUT |= {"executable": False, "modified_at": None}
TIMES = ("2026-01-02T03:05:00Z", "2026-01-02T03:05:01Z", "2026-01-02T03:06:00Z")


def facts_of(**facts: Any) -> BucketFacts:
    record = RunRecord(
        run_id="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
        name="Weekly",
        owner=Owner.of("Ada@example.com"),
        namespace="team-a",
        created_at="2026-01-02T03:04:05.678Z",
        request=RunRequest("a.ipynb", tags=("first",)),
        local_queue="team-a",
        resources=Resources("2", "4Gi", 1),
        image="example.org/notebook:1",
        notebook="a.ipynb",
        input=(INPUT,),
        schedule_id="nightly",
        rerun_of="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f11",
    )
    return BucketFacts(record, **facts)


def test_the_whole_row() -> None:
    status = Status("queued", "waiting", "Waits.", "said", *TIMES)
    assert run_view.build_row(facts_of(), status) == {
        "run_id": "6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
        "name": "Weekly",
        "owner": "Ada@example.com",
        "state": "queued",
        "reason": "waiting",
        "message": "Waits.",
        "sentence": None,
        "detail": "said",
        "local_queue": "team-a",
        "priority_class": None,
        "position": None,
        "wait": None,
        "created_at": "2026-01-02T03:04:05.678Z",
        "admitted_at": TIMES[0],
        "started_at": TIMES[1],
        "attempt_started_at": None,
        "finished_at": TIMES[2],
        "updated_at": None,
        "resources": Resources("2", "4Gi", 1),
        "image": "example.org/notebook:1",
        "schedule_id": "nightly",
        "rerun_of": "6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f11",
        "left_behind": None,
        "warnings": [],
        "warning_sentences": [],
        "tags": ["first"],
        "request": RunRequest("a.ipynb", tags=("first",)),
    }


def test_what_was_changed_later_is_shown() -> None:
    meta = {"name": "New", "local_queue": "team-b", "priority_class": "high", "tags": ["x", "y"]}
    row = run_view.build_row(facts_of(meta=meta), Status("queued"))
    assert {key: row[key] for key in meta} == meta
    assert row["request"].tags == ("first",)


def test_tags_that_were_taken_away_stay_away() -> None:
    assert run_view.build_row(facts_of(meta={"tags": []}), Status("queued"))["tags"] == []


def test_attempts_are_numbered_from_one() -> None:
    attempts = (
        {"pod_uid": "a", "started_at": "t1", "ended_at": "t2", "reason": "interrupted"},
        {"pod_uid": "b", "started_at": "t3", "cells_done": 2, "message": None},
    )
    empty = dict.fromkeys(("started_at", "ended_at", "reason", "message", "sentence", "cells_done"))
    assert run_view.build_attempts(facts_of(attempts=attempts)) == [
        {**empty, "number": 1, "started_at": "t1", "ended_at": "t2", "reason": "interrupted"},
        {**empty, "number": 2, "started_at": "t3", "cells_done": 2},
    ]
    assert run_view.build_attempts(facts_of()) == []
    row = run_view.build_row(facts_of(attempts=attempts), Status("running"))
    assert row["attempt_started_at"] == "t3"


def test_an_error_is_shown_with_its_traceback_and_a_bounded_value() -> None:
    error = {
        "name": "ValueError",
        "value": "v" * 50_000,
        "cell": 1,
        "cell_index": 2,
        "cell_source": "1/0",
        "traceback": ["line"],
    }
    shown = run_view.build_error(facts_of(result={"outcome": "notebook-failed", "error": error}))
    assert shown is not None
    assert {**shown, "value": None} == {**error, "value": None}
    assert shown["value"].endswith("v… (50000 characters in all)")
    assert (
        len(shown["value"])
        == pod_contract.MAX_ERROR_VALUE_LENGTH + pod_contract.MAX_CUT_WORDS_LENGTH
    )


def test_of_a_traceback_its_end_is_shown() -> None:
    entries = [f"{number}: {'x' * 5000}" for number in range(1000)]
    error = {"name": "E", "value": "", "cell_index": 0, "traceback": entries}
    shown = run_view.build_error(facts_of(result={"outcome": "notebook-failed", "error": error}))
    assert shown is not None
    assert shown["traceback"][-1] == entries[-1]
    assert shown["traceback"][0] == "… (991 more entries)"
    most = pod_contract.MAX_TRACEBACK_LENGTH + pod_contract.MAX_CUT_WORDS_LENGTH
    assert len("".join(shown["traceback"])) < most + 100
    assert run_view.build_error(facts_of(result={"outcome": "succeeded", "error": None})) is None
    assert run_view.build_error(facts_of()) is None


def test_what_execute_kept_of_an_error_is_shown_as_it_is() -> None:
    """Each text is cut once, where it is born."""
    error = {
        "name": "E",
        "value": "v" * 50_000,
        "cell": 1,
        "cell_index": 0,
        "cell_source": "s" * 50_000,
        "traceback": [f"{number}: {'x' * 5000}" for number in range(1000)],
    }
    kept = bounds.error(error)
    result = {"outcome": "notebook-failed", "error": kept}
    assert run_view.build_error(facts_of(result=result)) == kept


def test_what_it_wrote_and_what_it_took_along_are_two_lists() -> None:
    marks = {"executable": False, "modified_at": None}
    notebook = {"path": "a.ipynb", "size_bytes": 9, "sha256": "bb", "role": "notebook"}
    live = [{"path": "run.log", "size_bytes": 1, "sha256": None, "role": "log"}]
    given = {"path": "data/x.csv", "size_bytes": 3, "sha256": "aa", "role": "input"}
    assert run_view.build_files(facts_of(), live) == [{**live[0], **marks}]
    ended = facts_of(result={"files": [notebook]})
    assert run_view.build_files(ended, live) == [{**notebook, **marks}]
    assert run_view.build_inputs(ended) == [{**given, **marks}]
