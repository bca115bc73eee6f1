"""What anybody sends is read strictly, and whatever is written comes out as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.domain import strict_json

# Text with half characters, as JSON can escape them.
ANY_TEXT = st.text(st.characters(codec=None))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(ANY_TEXT | st.integers() | st.none(), inner) | st.tuples()
    ),
    max_leaves=20,
)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@settings(deadline=None)
@given(ANYTHING)
def test_whatever_is_written_can_be_read(value: Any):
    strict_json.loads(strict_json.encode(value))


@settings(deadline=None)
@given(ANYTHING)
def test_what_is_read_is_written_as_it_was(value: Any):
    plain = strict_json.loads(strict_json.encode(value))
    assert strict_json.loads(strict_json.encode(plain)) == plain


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ({"\udfff": math.nan}, {"\N{REPLACEMENT CHARACTER}": None}),
        ([math.inf, 10**5000], [None, None]),
        ({"when": object()}, {"when": "<object>"}),
        ("\U0001f600 é\n", "\U0001f600 é\n"),
    ],
)
def test_what_json_cannot_carry_is_replaced(value: Any, written: Any):
    assert json.loads(strict_json.encode(value).decode()) == written


def test_depth_is_cut_when_written():
    assert json.loads(strict_json.encode(nested(100_000))) != nested(100)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'"\\ud800"', "half a character"),
        (b'{"\\uDFFF": 1}', "half a character"),
        (b'["\\ud83d\\ud83d"]', "half a character"),
        (b'"\xed\xa0\x80"', "codec can't decode"),
        (b"NaN", "no JSON value"),
        (b'{"a": [-Infinity]}', "no JSON value"),
        (b"1e400", "too large a number"),
        (b"[" + b"7" * 5_000 + b"]", "more than 1000 digits"),
        (b"[" * 65 + b"]" * 65, "nested deeper"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b"", "Expecting value"),
        ('{"a": 1}'.encode("utf-16"), "codec can't decode"),
    ],
)
def test_what_is_no_plain_json_is_refused(text: bytes, says: str):
    with pytest.raises(ValueError, match=says):
        strict_json.loads(text)


@pytest.mark.parametrize(
    "text", [b'"\\ud83d\\ude00"', b'"\\\\ud800"', b"[" * 64 + b"]" * 64, b"1e308", b"9" * 1000]
)
def test_what_only_looks_odd_is_read(text: bytes):
    assert strict_json.loads(text) == json.loads(text)


def number_of_values(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + number_of_values(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(number_of_values(item) for item in value)
    return 1


@settings(deadline=None)
@given(ANYTHING, st.booleans())
def test_values_are_counted_before_they_are_read(value: Any, is_ascii: bool):
    plain = strict_json.loads(strict_json.encode(value))
    text = json.dumps(plain, ensure_ascii=is_ascii)
    values = number_of_values(plain)
    assert strict_json.loads(text, max_values=2 * values) == plain
    if values > 4:
        with pytest.raises(ValueError, match="it holds more than"):
            strict_json.loads(text, max_values=(values - 1) // 2)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * 10**6 + "[]]",
        "[" + '"\\\\",' * 10**6 + "1]",
        "{" + ",".join(f'"{number}":{{}}' for number in range(300_000)) + "}",
        "[" * 10**6,
    ],
)
def test_more_values_than_a_loop_can_wait_for_are_refused(text: str):
    with pytest.raises(ValueError, match="it holds more than 250000 values"):
        strict_json.loads(text)


@pytest.mark.parametrize("text", [",:[{" * 10**6, '\\,"' * 10**6, "\\" * 10**6])
def test_a_long_text_is_one_value(text: str):
    assert strict_json.loads(json.dumps({"text": text})) == {"text": text}
