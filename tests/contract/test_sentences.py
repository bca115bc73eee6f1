"""Sentences keep their codes and values, whatever is done to their texts, stored or not."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import Sentence, say
from jupyter_kueue.domain import (
    errors,
    run_record,
    run_request,
    run_status,
    stored_types,
    strict_json,
    text_rules,
)
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Limits, Status
from jupyter_kueue.domain.run_request import RunRequest
from jupyter_kueue.service.runs import files_not_uploaded, missing_outputs, run_view

ROOT = Path(__file__).parents[2]
ANY_TEXT = st.text(st.characters(), max_size=50) | st.text(
    "\0\n\r\x1b\x7f\x85\u2028\ud800a{}%", max_size=2000
)
RECORD = run_record.RunRecord(
    run_id="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
    name="report",
    owner=Owner("ada", "ada"),
    namespace="ns",
    created_at="2026-01-02T03:04:05.678Z",
    request=RunRequest("a.ipynb"),
    local_queue="team-a",
    resources=run_request.Resources(),
    image="image",
    notebook="a.ipynb",
    input=(),
)


def waits(queue: str = "team-a") -> Sentence:
    return say("waits-for-turn", "Waiting in {queue}.", queue=queue)


def bounded(sentence: Sentence, max_length: int) -> bool:
    fits = stored_types.is_sentence(sentences.as_json(sentence), max_length)
    return fits and text_rules.problem(sentence, max_length, lines=True) is None


@pytest.mark.programs
def test_whatever_the_server_says_has_a_code_and_is_in_the_front_ends_catalogue() -> None:
    found = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sentences", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_a_sentence_is_its_text_and_knows_what_it_is_made_of() -> None:
    kept = say("a-test", "{path} has {bytes} bytes, not {most}.", path="a{b}", bytes=5, most=1.5)
    assert kept == "a{b} has 5 bytes, not 1.5."
    assert sentences.as_json(kept) == {
        "code": "a-test",
        "values": {"path": "a{b}", "bytes": 5, "most": 1.5},
    }
    whole = say("a-test-of-lists", "{what}: {names}", what=kept, names=[waits(), "x", 7])
    assert whole == f"{kept}: Waiting in team-a., x, 7"
    assert whole.values == {
        "what": sentences.as_json(kept),
        "names": [sentences.as_json(waits()), "x", 7],
    }
    assert json.loads(json.dumps(whole.values)) == whole.values


@pytest.mark.parametrize(("count", "text"), [(1, "1 run is left."), (2, "2 runs are left.")])
def test_one_has_a_text_of_its_own(count: int, text: str) -> None:
    said = say("a-test-of-one", "{count} runs are left.", "{count} run is left.", count=count)
    assert (said, said.values) == (text, {"count": count})


def test_a_text_of_others_has_no_code_and_is_a_plain_value() -> None:
    said = sentences.foreign("Kueue knows.")
    assert sentences.as_json(said) is sentences.as_json(None) is sentences.as_json("x") is None
    assert sentences.both(waits(), said).values["second"] == "Kueue knows."
    assert sentences.foreign(waits()).code == "waits-for-turn"


@pytest.mark.parametrize("values", [{}, {"queue": "a", "more": 1}, {"name": "a"}])
def test_a_value_is_missing_or_has_no_place(values: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="waits-for-turn"):
        say("waits-for-turn", "Waiting in {queue}.", **values)


def test_a_code_has_one_text() -> None:
    waits()
    with pytest.raises(ValueError, match="waits-for-turn"):
        say("waits-for-turn", "Waits in {queue}.", queue="a")


def test_what_is_copied_keeps_its_code() -> None:
    for copied in (copy.deepcopy(waits()), pickle.loads(pickle.dumps(waits()))):
        assert copied == waits()
        assert sentences.as_json(copied) == sentences.as_json(waits())


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.integers(50, 300))
def test_what_is_cut_and_cleaned_keeps_its_code_and_fits(
    text: str, other: str, max_length: int
) -> None:
    inner = say("a-test-of-others", "{text}: {others}", text=text, others=[other] * 30)
    for cleaned in (text_rules.said(inner, max_length), text_rules.shown_line(inner, max_length)):
        assert cleaned.code == "a-test-of-others"
        assert bounded(cleaned, max_length)
    whole = text_rules.said(sentences.both(inner, other), max_length)
    assert whole.values["first"]["code"] == "a-test-of-others"
    assert bounded(whole, max_length)


def test_megabytes_in_values_do_not_stay() -> None:
    huge = "x" * 1_000_000
    warning = missing_outputs.in_row(
        BucketFacts(RECORD, result={"format_errors": {huge: huge}, "elsewhere": [huge] * 50})
    )
    row = run_view.build_row(BucketFacts(RECORD), Status("failed", "x", waits(huge), huge))
    error = errors.InvalidRequestError({f"{at}": waits(huge) for at in range(60)})
    assert len(strict_json.encode([row, [sentences.as_json(item) for item in warning]])) < 20_000
    assert row["sentence"]["code"] == "waits-for-turn"
    assert all(len(item.values["queue"]) <= 1000 for item in error.fields.values())
    assert len(errors.ConflictError(waits(huge)).message.values["queue"]) <= 4000


def test_a_recorded_end_has_its_sentence_also_when_it_is_read_back() -> None:
    ended = Status("stopped", "stopped", say("stopped-by", "Stopped by {user}.", user="bob"))
    stored = strict_json.loads(strict_json.encode(ended.final()))
    facts = BucketFacts(RECORD, final=stored)
    now = dt.datetime.now(dt.UTC)
    row = run_view.build_row(facts, run_status.derive(facts, ClusterFacts(), now, Limits()))
    assert row["message"] == "Stopped by bob."
    assert row["sentence"] == {"code": "stopped-by", "values": {"user": "bob"}}


def test_a_stored_sentence_is_cleaned_as_its_text_is() -> None:
    odd = {"code": "stopped-by", "values": {"user": "a\u202eb\x1b[31mc", "more": ["\x07"]}}
    stored = {"state": "stopped", "reason": "stopped", "message": "Stopped.", "sentence": odd}
    row = run_view.build_row(
        BucketFacts(RECORD, final=stored),
        run_status.derive(
            BucketFacts(RECORD, final=stored), ClusterFacts(), dt.datetime.now(dt.UTC), Limits()
        ),
    )
    assert row["sentence"]["values"] == {"user": "abc", "more": ["\N{REPLACEMENT CHARACTER}"]}


def test_a_long_value_in_a_sentence_in_a_sentence_stays_whole() -> None:
    name = "x" * 950
    said = sentences.both(waits(name), "More.")
    assert text_rules.said(said, stored_types.MAX_STATUS_LENGTH).values == said.values


DEEP: object = "x"
for _ in range(9):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "odd",
    [
        *(None, 5, "x", [], {}, {"code": "stopped"}, {"code": "stopped", "values": []}),
        *({"code": code, "values": {}} for code in (5, None, "", "A b", "x" * 81, "-")),
        *({"code": "stopped", "values": {name: ""}} for name in ("", "A", "x" * 41)),
        *(
            {"code": "stopped", "values": {"a": value}}
            for value in (None, "\ud800", "\0", "x" * 9000, 2**64, {"b": 1}, ["x"] * 5000, DEEP)
        ),
        {"code": "stopped", "values": {"a": {"code": "stopped", "values": {"b": {}}}}},
        {"code": "stopped", "values": {}, "more": 1},
        {"code": "stopped", "values": {"a": float("nan")}},
    ],
)
def test_an_odd_sentence_of_the_bucket_costs_its_code_alone(odd: object) -> None:
    stored = {"state": "stopped", "reason": "stopped", "message": "Stopped.", "sentence": odd}
    now = dt.datetime.now(dt.UTC)
    facts = BucketFacts(RECORD, final=stored, attempts=(stored,))
    row = run_view.build_row(facts, run_status.derive(facts, ClusterFacts(), now, Limits()))
    [attempt] = run_view.build_attempts(facts)
    assert (row["message"], row["sentence"]) == ("Stopped.", None)
    assert (attempt["message"], attempt["sentence"]) == ("Stopped.", None)


def test_what_stayed_behind_is_told_with_its_paths() -> None:
    told = files_not_uploaded.shown(
        {"count": 3, "paths": [".env"], "ignored_count": 1, "ignored_paths": ["data/"]}
    )
    assert told is not None
    hidden, ignored = (told["sentence"]["values"][which] for which in ("first", "second"))
    more = {"code": "and-more", "values": {"count": 2}}
    assert hidden["values"] == {"paths": [".env", more]}
    assert ignored["values"] == {"paths": ["data/"]}
    assert ".env, and 2 more" in told["message"]
    assert "!.env" not in told["message"]


def test_an_error_has_its_fields_sentences() -> None:
    error = errors.InvalidRequestError({"queue": waits()})
    assert str(error) == error.message == "queue: Waiting in team-a."
    assert error.fields["queue"].code == "waits-for-turn"
    assert sentences.as_json(error.message) is None
