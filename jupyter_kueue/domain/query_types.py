"""The types of query parameters, which arrive as text. Pure.

A validator raises ValueError with a sentence that follows the parameter's name.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from jupyter_kueue.contract.sentences import Sentence, say

# The longest page of a list.
MAX_LIMIT = 500
_MAX_DIGITS = 19  # of 64 bits


def whole_number(low: int, high: int) -> Callable[[Any], int]:
    """Return the reader of a whole number within bounds."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        if not is_number or not low <= int(text) <= high:
            raise ValueError(
                say(
                    "query-no-number",
                    "must be a whole number from {low} to {high}, not {value}",
                    low=low,
                    high=high,
                    value=repr(text[:40]),
                )
            )
        return int(text)

    return read


def flag(text: str) -> bool:
    """Read true or false."""
    if text not in ("true", "false"):
        raise ValueError(
            say("query-no-flag", "must be true or false, not {value}", value=repr(text[:40]))
        )
    return text == "true"


def both_ways(fields: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of ``sort``: each field in ascending and in descending order."""
    return {"enum": [way + name for name in fields for way in ("", "-")]}


def wrong_with_page(sort: str, limit: int, sort_fields: Sequence[str]) -> dict[str, Sentence]:
    """Return what is out of bounds of a list's order and length, by field; empty if nothing is."""
    wrong = {}
    if sort.removeprefix("-") not in sort_fields:
        wrong["sort"] = say(
            "sort-unknown",
            "must be one of {fields}, with - in front for descending order",
            fields=sort_fields,
        )
    if not 0 <= limit <= MAX_LIMIT:
        wrong["limit"] = say("number-out-of-range", "must be from 0 to {most}", most=MAX_LIMIT)
    return wrong


QueryFlag = Annotated[bool, BeforeValidator(flag)]
Limit = Annotated[int, Field(ge=0, le=MAX_LIMIT), BeforeValidator(whole_number(0, MAX_LIMIT))]
ListCursor = Annotated[str, Field(description="`next_cursor` of the previous page.")]
SearchText = Annotated[
    str, Field(description="Text to find anywhere in name, id, input path or tags.")
]
