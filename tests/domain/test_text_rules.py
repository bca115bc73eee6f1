"""Whatever a text holds, it is refused with a reason or can be shown anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.domain import text_rules

ANY_TEXT = st.text(st.characters(), max_size=50) | st.text(
    "\0\n\r\x1b\x7f\x85\u2028\ud800a", max_size=9
)


@settings(deadline=None)
@given(ANY_TEXT, st.integers(40, 60))
def test_what_is_shown_fits_any_encoding_and_its_bound(text: str, max_length: int):
    shown = text_rules.shown(text, max_length)
    assert len(shown) <= max_length
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode()) == shown
    assert len(text_rules.shown_line(text, max_length).splitlines()) <= 1


@settings(deadline=None)
@given(ANY_TEXT)
def test_what_is_accepted_is_shown_as_it_is(text: str):
    if text_rules.problem(text, 50) is None:
        assert text_rules.shown_line(text, 50) == text


@pytest.mark.parametrize(
    ("text", "on_one_line", "on_several"),
    [
        ("Grüße 😀 ﷽", None, None),
        ("a\u00a0b", None, None),
        ("a\nb\tc\x1b[0m", "single line", None),
        ("a\u2028b", "single line", None),
        ("a\x85b", "single line", None),
        ("a\0b", "NUL", "NUL"),
        ("\ud83d\ude00"[:1], "half a character", "half a character"),
        ("x" * 51, "at most 50 characters", "at most 50 characters"),
    ],
)
def test_what_is_refused_says_why(text: str, on_one_line: str | None, on_several: str | None):
    for problem, expected in (
        (text_rules.problem(text, 50), on_one_line),
        (text_rules.problem(text, 50, lines=True), on_several),
    ):
        assert problem is None if expected is None else expected in str(problem)


def test_a_cut_says_how_much_there_was():
    assert text_rules.shown("x" * 5000, 40) == "x" * 14 + "… (5000 characters in all)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\x1b[31;1mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        ("\x1b]0;an end that never comes", ""),
        ("\x1bc\x1b", ""),
        ("gpj.\u202etxt\u2066x\u200f", "gpj.txtx"),
        ("two\nlines, ﷽ 😀", "two\nlines, ﷽ 😀"),
    ],
)
def test_what_is_said_has_no_colours_and_one_direction(text: str, said: str):
    assert text_rules.said(text, 100) == said


def test_no_text_takes_long_to_be_said():
    for text in ("\x1b[" * 10**6, "\x1b]" * 10**6, "\x1b[" + "0;" * 10**6):
        assert len(text_rules.said(text, 100)) <= 100
