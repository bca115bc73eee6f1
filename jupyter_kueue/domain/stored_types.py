"""The types of documents in the bucket, where anybody with write access may have written anything.

Pure. Each accepts what this package writes and nothing that could harm a reader: bounded texts
without control characters, 64-bit numbers, relative paths without ``..``, times that any calendar
supports. A document is rejected at its first difference.
"""

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict, WithJsonSchema

from jupyter_kueue.domain import names, text_rules, times
from jupyter_kueue.domain.field_types import MAX_PATH_LENGTH
from jupyter_kueue.domain.names import MAX_NAME_LENGTH

# For the status in a list; the notebook has the whole error.
MAX_STATUS_LENGTH = 1000
_MAX_WHOLE = 2**63 - 1


def _fits(check: Callable[[Any], bool]) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not check(value):
            raise ValueError("does not fit")
        return value

    return BeforeValidator(read)


def is_line(value: Any, max_length: int = MAX_NAME_LENGTH) -> bool:
    """Return whether a value is a text of one line, by the rules for users' texts."""
    # Most texts are printable, which is a quick check.
    return isinstance(value, str) and (
        (len(value) <= max_length and value.isprintable())
        or text_rules.problem(value, max_length) is None
    )


def is_text(value: Any, max_length: int) -> bool:
    """Return whether a value is a text of any number of lines."""
    return isinstance(value, str) and text_rules.problem(value, max_length, lines=True) is None


def is_path(value: Any) -> bool:
    """Return whether a value is a relative path within its folder, with / between parts."""
    return is_text(value, MAX_PATH_LENGTH) and not {"", ".", ".."} & set(value.split("/"))


def is_whole(value: Any) -> bool:
    """Return whether a value is a 64-bit integer; true and false are not."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -_MAX_WHOLE <= value <= _MAX_WHOLE
    )


def is_count(value: Any) -> bool:
    """Return whether a value is such an integer and not negative."""
    return is_whole(value) and value >= 0


_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VALUE_NAME = re.compile("[a-z_]{1,40}")
_MAX_CODE_LENGTH = 80
# Each text of a sentence is part of its message; the codes of nested sentences come on top.
_SENTENCE_FACTOR = 8
_MAX_SENTENCES_DEEP = 8


def is_sentence(value: Any, max_length: int) -> bool:
    """Return whether a value is a sentence's code and values, for a text of that length."""
    most = max_length * _SENTENCE_FACTOR
    return isinstance(value, dict) and _spent(value, most, _MAX_SENTENCES_DEEP) >= 0


def _spent(value: Any, left: int, depth: int) -> int:
    """Return the rest of a size limit after a value of a sentence; negative if invalid."""
    if left < 0 or depth < 0:
        return -1
    if isinstance(value, str):
        is_fine = value.isprintable() or text_rules.problem(value, len(value), lines=True) is None
        return left - len(value) - 1 if is_fine else -1
    if isinstance(value, int | float):
        is_finite = is_whole(value) or (isinstance(value, float) and math.isfinite(value))
        return left - 1 if is_finite else -1
    if isinstance(value, list):
        parts: list[Any] = value
    else:
        is_one = isinstance(value, dict) and value.keys() == {"code", "values"}
        if not (is_one and _is_code(value["code"]) and isinstance(value["values"], dict)):
            return -1
        if not all(map(_VALUE_NAME.fullmatch, value["values"])):
            return -1
        parts = list(value["values"].values())
        left -= len(value["code"])
    for part in parts:
        left = _spent(part, left - 1, depth - 1)
        if left < 0:
            return -1
    return left


def _is_code(value: Any) -> bool:
    is_short = isinstance(value, str) and len(value) <= _MAX_CODE_LENGTH
    return is_short and _CODE.fullmatch(value) is not None


Line = Annotated[str, _fits(is_line)]
ShortText = Annotated[str, _fits(lambda value: is_text(value, MAX_NAME_LENGTH))]
StatusText = Annotated[str, _fits(lambda value: is_text(value, MAX_STATUS_LENGTH))]
Path = Annotated[str, _fits(is_path)]
PathText = Annotated[str, _fits(lambda value: is_text(value, MAX_PATH_LENGTH))]
ImageName = Annotated[str, _fits(lambda value: is_line(value, MAX_PATH_LENGTH))]
RunId = Annotated[str, Field(json_schema_extra={"format": "uuid"}), _fits(names.is_run_id_value)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}), _fits(times.is_moment)]
Whole = Annotated[int, _fits(is_whole)]
Count = Annotated[int, Field(ge=0), _fits(is_count)]
ObjectName = Annotated[str, _fits(names.is_dns_subdomain_value)]
Flag = Annotated[bool, Strict()]
# The code and values of a sentence, which REST describes as ``sentence_parts.Sentence``.
Said = Annotated[
    dict[str, Any],
    _fits(lambda value: is_sentence(value, MAX_STATUS_LENGTH)),
    WithJsonSchema({"x-schema": "Sentence"}),
]
