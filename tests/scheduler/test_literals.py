"""Parameters from a form of texts: literals where they are literals, never code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.scheduler import literals


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("0x10", 16),
        ("true", True),
        ("True", True),
        ("null", None),
        ("None", None),
        ('"5"', "5"),
        ("'quoted'", "quoted"),
        ("[1, 'a', null]", "[1, 'a', null]"),
        ("[1, 'a', None]", [1, "a", None]),
        ("(1, 2)", [1, 2]),
        ('{"a": [1]}', {"a": [1]}),
        ("{'a': 1}", {"a": 1}),
        ("{1: 2}", "{1: 2}"),
        ("{1, 2}", "{1, 2}"),
        ("", ""),
        ("plain text", "plain text"),
        ("2024-01-01", "2024-01-01"),
        ("007", "007"),
        ("1+2", "1+2"),
        ("nan", "nan"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("...", "..."),
        ("b'x'", "b'x'"),
        ("print(1)", "print(1)"),
        ("__import__('os').system('x')", "__import__('os').system('x')"),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 10_000, "9" * 10_000),
    ],
)
def test_reading(text, value):
    read = literals.read(text)
    assert read == value
    assert type(read) is type(value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(json_values)
def test_what_is_written_is_read_back(value):
    assert literals.read(literals.write(value)) == value


@given(st.text())
def test_any_text_can_be_read(text):
    literals.read(text)


def test_a_text_is_written_plain_where_that_is_enough():
    assert literals.write("north") == "north"
    assert literals.write("5") == '"5"'
