"""What of a run's outputs was asked for or written and is not there, in sentences.

Pure; ``run_view`` shows them: the first in a row, all of them where one run is looked at.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import stored_types, text_rules
from jupyter_kueue.domain.run_row import MAX_WARNINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.run_facts import BucketFacts

ErrorsField = Literal["format_errors", "file_errors"]

MAX_IN_RUN = 100
MAX_LENGTH = 500


def in_row(facts: BucketFacts) -> list[Sentence]:
    """Return the first MAX_WARNINGS sentences; the last one may say how many more there are."""
    count = len(_errors(facts, "format_errors")) + len(_errors(facts, "file_errors"))
    count += bool(_elsewhere(facts))
    if count <= MAX_WARNINGS:
        return list(_all(facts))
    shown = list(islice(_all(facts), MAX_WARNINGS - 1))
    more = say(
        "more-warnings",
        "And {count} more; see the run's details.",
        count=count - len(shown),
    )
    return [*shown, more]


def errors_of(facts: BucketFacts, field: ErrorsField) -> dict[str, Sentence]:
    """Return ``format_errors`` or ``file_errors`` of a result, MAX_IN_RUN of them at most."""
    found = list(_errors(facts, field).items())[:MAX_IN_RUN]
    codes = _codes(facts, field)
    return {
        text_rules.shown_line(name, MAX_LENGTH): text_rules.said(
            sentences.restored(str(why), _believed(codes.get(name))), MAX_LENGTH
        )
        for name, why in found
    }


def _codes(facts: BucketFacts, field: ErrorsField) -> Mapping[str, object]:
    beside = "format_error_sentences" if field == "format_errors" else "file_error_sentences"
    found = None if facts.result is None else facts.result.get(beside)
    return found if isinstance(found, dict) else {}


def _believed(stored: object) -> dict[str, Any] | None:
    """Return a sentence's code and values as the bucket has them, None where they are none."""
    if not isinstance(stored, dict) or not stored_types.is_sentence(stored, MAX_LENGTH):
        return None
    return stored


def _errors(facts: BucketFacts, field: ErrorsField) -> dict[str, str]:
    return {} if facts.result is None else facts.result.get(field) or {}


def _elsewhere(facts: BucketFacts) -> list[str]:
    return [] if facts.result is None else facts.result.get("elsewhere") or []


def _all(facts: BucketFacts) -> Iterator[Sentence]:
    for output_format, why in errors_of(facts, "format_errors").items():
        said = say(
            "no-output-of-format", "No {format} output: {why}", format=output_format, why=why
        )
        yield text_rules.shown_line(said, MAX_LENGTH)
    for path, why in errors_of(facts, "file_errors").items():
        said = say("file-not-kept", "{path} was not kept: {why}", path=path, why=why)
        yield text_rules.shown_line(said, MAX_LENGTH)
    elsewhere = _elsewhere(facts)
    if elsewhere:
        said = say(
            "written-elsewhere",
            "Not kept, because outside the run's folder: {paths}. Save files "
            "next to the notebook, with relative paths.",
            paths=[text_rules.shown_line(path, MAX_LENGTH) for path in elsewhere],
        )
        yield text_rules.shown_line(said, MAX_LENGTH)
