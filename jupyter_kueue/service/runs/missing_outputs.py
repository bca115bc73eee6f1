"""What of a run's outputs was asked for or written and is not there, in sentences.

Pure; ``run_view`` shows them: the first in a row, all of them where one run is looked at.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import text_rules
from jupyter_kueue.domain.run_row import MAX_WARNINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def errors_of(facts: BucketFacts, field: ErrorsField) -> dict[str, str]:
    """Return ``format_errors`` or ``file_errors`` of a result, MAX_IN_RUN of them at most."""
    found = _errors(facts, field)
    return {
        text_rules.shown_line(name, MAX_LENGTH): text_rules.said(str(why), MAX_LENGTH)
        for name, why in list(found.items())[:MAX_IN_RUN]
    }


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
