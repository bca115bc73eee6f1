"""JSON that is read strictly and written without errors.

Pure. Requests, answers, the feed of changes and the bucket's objects all use it. Python's own
reader accepts more than JSON (NaN, lone surrogates) and fails on some valid JSON (numbers of
thousands of digits, deep nesting); its writer fails on what such a reader accepts.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Protocol, cast

from jupyter_kueue.contract import nesting
from jupyter_kueue.domain import text_rules

# More levels than any document of this package, and few enough for recursive code.
MAX_DEPTH = 64
# Python refuses to format integers of more than 4300 digits.
MAX_DIGITS = 1000
# The cost of parsing depends on the number of values, not bytes: about a microsecond each, a second
# per megabyte of "[],[],…", during which the process does nothing else.
MAX_VALUES = 250_000
_MAX_TEXT = 2**30
# The start of an escaped surrogate half. Most documents contain none, so the search is cheap.
_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def loads(data: bytes | str, *, max_values: int = MAX_VALUES) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON in UTF-8, contains NaN or an infinite number, a number of more
            than MAX_DIGITS digits, a lone surrogate, more than MAX_DEPTH levels, or more than
            ``max_values`` values (each key counts as one). The message follows a name or "it".
    """
    text = data.decode() if isinstance(data, bytes) else data
    if _has_more_values_than(max_values, text):
        raise ValueError(f"it holds more than {max_values} values")
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        value = None
        is_too_deep = True
    else:
        is_too_deep = nesting.is_deeper_than(value, MAX_DEPTH)
    if is_too_deep:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    if _MAYBE_HALF.search(text) and _has_half_characters(value):
        raise ValueError("it holds half a character (a lone surrogate)")
    return value


def encode(value: Any) -> bytes:
    """Return ``value`` as compact JSON in UTF-8, whatever it is.

    What JSON or UTF-8 cannot represent is replaced: lone surrogates by U+FFFD, NaN and infinite
    numbers by null, values that are nested too deeply by a note, and other objects by their text.
    """
    try:
        return _dumps(value).encode()
    except (TypeError, ValueError, RecursionError):
        return _dumps(_plain(value, MAX_DEPTH)).encode()


def _dumps(value: Any) -> str:
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_document
    )


class Document(Protocol):
    """A part of a document that is an object of this package, such as a run's request."""

    def as_json(self) -> dict[str, Any]:
        """Return the object as JSON."""


def _document(value: object) -> dict[str, Any]:
    if hasattr(value, "as_json"):
        return cast("Document", value).as_json()
    raise TypeError(type(value).__name__)


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text_rules.shown(value, _MAX_TEXT)
    if isinstance(value, int):
        return value if abs(value) < 10**MAX_DIGITS else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray):
        return text_rules.shown(value.decode(errors="replace"), _MAX_TEXT)
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return {
            text_rules.shown(key, _MAX_TEXT): _plain(item, depth - 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1) for item in value]
    if hasattr(value, "as_json"):
        return _plain(value.as_json(), depth)
    return text_rules.shown(f"<{type(value).__name__}>", _MAX_TEXT)


def _has_more_values_than(most: int, text: str) -> bool:
    """Count values without parsing, in a few passes over ``text``."""
    if _separators(text) <= most:
        return False
    unescaped = text.replace("\\\\", "").replace('\\"', "")
    if unescaped.count('"') // 2 > most:
        return True
    return _separators("".join(unescaped.split('"')[::2])) > most


def _separators(text: str) -> int:
    """Return an upper bound of the number of values in ``text``, minus one."""
    return sum(text.count(character) for character in ",:[{")


def _has_half_characters(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)
