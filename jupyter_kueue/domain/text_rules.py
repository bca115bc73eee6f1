"""Text from anybody: the one rule for what is accepted, and the one way to show what was not.

Pure. Users, notebooks, the bucket and the cluster send text, and each may hold half a character, a
NUL, a control character, or megabytes. ``problem`` refuses it, ``shown`` makes it fit for anything.
"""

from __future__ import annotations

import re
from typing import overload

from jupyter_kueue.contract.sentences import Sentence, say

# Half of a pair of UTF-16: JSON can escape one alone, and no encoding can carry it.
_HALF = re.compile("[\ud800-\udfff]")
# Unicode's categories Cc, Zl and Zp: what ends a line or does something to a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What no text may hold, however many lines it has. Colours of a terminal begin with ESC.
_NEVER_SHOWN = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
# ECMA-48: a terminal's colours, its cursor, its title. And what turns the direction of a line, so
# that it reads as another one (Unicode, UAX 9).
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|\][^\x07\x1b]*\x07?|[ -~]?)")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def problem(text: str, max_length: int, *, lines: bool = False) -> Sentence | None:
    """Say what is wrong with a text, in words that follow its field's name; None if nothing is.

    Args:
        text: what was sent or read.
        max_length: in characters.
        lines: it may have several lines, and control characters other than NUL.
    """
    if len(text) <= max_length and text.isprintable():
        return None
    if len(text) > max_length:
        return say(
            "field-too-long",
            "must have at most {most} characters (it has {count})",
            most=max_length,
            count=len(text),
        )
    if half := half_character(text):
        return half
    if "\0" in text:
        return say("field-holds-nul", "contains a NUL character; remove it")
    if not lines and _CONTROL.search(text):
        return say("field-is-no-line", "must be a single line without control characters")
    return None


def half_character(text: str) -> Sentence | None:
    """Say that a text holds half a character, None if it does not: data may hold all others."""
    if _HALF.search(text) is None:
        return None
    return say(
        "field-holds-half-character",
        "contains half a character (a lone surrogate); send whole characters",
    )


def shown(text: object, max_length: int) -> str:
    """Return a text that any encoding carries, cut to ``max_length`` with a word about the rest."""
    whole = text if isinstance(text, str) else str(text)
    kept = whole
    if len(whole) > max_length:
        word = f"… ({len(whole)} characters in all)"
        kept = whole[: max(0, max_length - len(word))] + word
    return _NEVER_SHOWN.sub(_REPLACEMENT, kept)


@overload
def said(text: Sentence, max_length: int) -> Sentence: ...
@overload
def said(text: object, max_length: int) -> str: ...
def said(text: object, max_length: int) -> str:
    """Return the same as part of a sentence: without colours, and read from left to right.

    A sentence keeps its code, and its values become what its text does.
    """
    if isinstance(text, Sentence):
        return text.cleaned(max_length, said)
    whole = text if isinstance(text, str) else str(text)
    return shown(_DIRECTIONS.sub("", _ESCAPES.sub("", whole)), max_length)


@overload
def shown_line(text: Sentence, max_length: int) -> Sentence: ...
@overload
def shown_line(text: object, max_length: int) -> str: ...
def shown_line(text: object, max_length: int) -> str:
    """Return the same on one line."""
    if isinstance(text, Sentence):
        return text.cleaned(max_length, shown_line)
    return _CONTROL.sub(" ", said(text, max_length))
