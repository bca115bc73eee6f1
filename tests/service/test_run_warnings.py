"""What is missing of a run is said, shortly in a row and whole where the run is looked at."""

from __future__ import annotations

from typing import Any

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain.run_facts import Status
from jupyter_kueue.service.runs import missing_outputs, run_view
from tests.service.test_run_view import facts_of


def ended(**result: Any) -> Any:
    return facts_of(result={"outcome": "succeeded", **result})


def test_nothing_is_said_where_nothing_is_missing() -> None:
    assert missing_outputs.in_row(facts_of()) == []
    assert missing_outputs.in_row(ended(files=[])) == []
    assert missing_outputs.errors_of(facts_of(), "file_errors") == {}


def test_each_kind_is_a_sentence() -> None:
    facts = ended(
        format_errors={"html": "TemplateNotFound: lab."},
        file_errors={"big.bin": "It has 9 bytes, more than the 8 that one file may have."},
        elsewhere=["~/model.pt", "../out.csv"],
    )
    assert missing_outputs.in_row(facts) == [
        "No html output: TemplateNotFound: lab.",
        "big.bin was not kept: It has 9 bytes, more than the 8 that one file may have.",
        "Not kept, because outside the run's folder: ~/model.pt, ../out.csv. Save files next to "
        "the notebook, with relative paths.",
    ]
    assert missing_outputs.errors_of(facts, "format_errors") == {"html": "TemplateNotFound: lab."}


def test_each_keeps_its_code_unless_that_is_none() -> None:
    too_large = say("output-file-too-large-test", "It has {bytes} bytes.", bytes=9)
    facts = ended(
        format_errors={"html": "Odd."},
        format_error_sentences=["odd"],
        file_errors={"a.bin": str(too_large), "b.bin": "Odd.", "c.bin": "Old."},
        file_error_sentences={"a.bin": sentences.as_json(too_large), "b.bin": {"code": "NO"}},
    )
    found = missing_outputs.errors_of(facts, "file_errors")
    assert [sentences.as_json(why) for why in found.values()] == [
        {"code": "output-file-too-large-test", "values": {"bytes": 9}},
        None,
        None,
    ]
    assert sentences.as_json(missing_outputs.errors_of(facts, "format_errors")["html"]) is None
    # In a row's sentence it is one in a sentence.
    row = run_view.build_row(facts, Status("succeeded"))
    assert row["warning_sentences"][1]["values"]["why"] == sentences.as_json(too_large)


def test_many_are_counted_and_long_ones_cut() -> None:
    many = ended(file_errors={f"{n}.bin": "It is too large." for n in range(1000)})
    assert missing_outputs.in_row(many)[-1] == "And 996 more; see the run's details."
    assert len(missing_outputs.in_row(many)) == 5
    assert len(missing_outputs.errors_of(many, "file_errors")) == 100
    long = ended(format_errors={"html\n" * 1000: "x\n" * 10_000}, elsewhere=["\x1b[31m" * 1000])
    assert all(len(one) < 600 and "\n" not in one for one in missing_outputs.in_row(long))
