"""The types of what lies in the bucket, which anybody who may write there may have written.

Pure. Each takes what this package itself writes and nothing that could harm a reader: bounded texts
without control characters, numbers of 64 bits, paths that stay below where they begin, moments that
any calendar can count with. The first difference of a document is enough to not believe it.
"""

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict, WithJsonSchema

from jupyter_kueue.domain import names, text_rules, times
from jupyter_kueue.domain.field_types import MAX_PATH_LENGTH
from jupyter_kueue.domain.names import MAX_NAME_LENGTH

# Of what a list says of a run: the whole error is in the notebook.
MAX_STATUS_LENGTH = 1000
_MAX_WHOLE = 2**63 - 1


def _fits(check: Callable[[Any], bool]) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not check(value):
            raise ValueError("does not fit")
        return value

    return BeforeValidator(read)


def is_line(value: Any, max_length: int = MAX_NAME_LENGTH) -> bool:
    """Tell whether a value is a text of one line, by the rules for what users send."""
    # What is printable is fine, which is quickly seen.
    return isinstance(value, str) and (
        (len(value) <= max_length and value.isprintable())
        or text_rules.problem(value, max_length) is None
    )


def is_text(value: Any, max_length: int) -> bool:
    """Tell whether a value is a text of any number of lines."""
    return isinstance(value, str) and text_rules.problem(value, max_length, lines=True) is None


def is_path(value: Any) -> bool:
    """Tell whether a value is a path that stays below where it begins, with / between its parts."""
    return is_text(value, MAX_PATH_LENGTH) and not {"", ".", ".."} & set(value.split("/"))


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number of 64 bits; JSON's true and false are none."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -_MAX_WHOLE <= value <= _MAX_WHOLE
    )


def is_count(value: Any) -> bool:
    """Tell whether a value is such a number from 0 on."""
    return is_whole(value) and value >= 0


_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VALUE_NAME = re.compile("[a-z_]{1,40}")
_MAX_CODE_LENGTH = 80
# Each text of a sentence stands in it, and beside it stand the codes of the sentences in it.
_SENTENCE_FACTOR = 8
_MAX_SENTENCES_DEEP = 8


def is_sentence(value: Any, max_length: int) -> bool:
    """Tell whether a value is a sentence's code and values, if its text may have that length."""
    most = max_length * _SENTENCE_FACTOR
    return isinstance(value, dict) and _spent(value, most, _MAX_SENTENCES_DEEP) >= 0


def _spent(value: Any, left: int, depth: int) -> int:
    """Return what is left of a bound after a sentence or a value of one; less than 0 for none."""
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
Count = Annotated[int, Field(ge=0), _fits(is_count)]
ObjectName = Annotated[str, _fits(names.is_dns_subdomain_value)]
Flag = Annotated[bool, Strict()]
# ``{"code", "values"}`` of a sentence; what REST calls Sentence.
Said = Annotated[
    dict[str, Any],
    _fits(lambda value: is_sentence(value, MAX_STATUS_LENGTH)),
    WithJsonSchema({"x-schema": "Sentence"}),
]
