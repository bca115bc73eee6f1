"""Text from anybody: the one rule for what is accepted, and the one way to show what was not.

Pure. Users, notebooks, the bucket and the cluster send text, and each may hold half a character, a
NUL, a control character, or megabytes. ``problem`` refuses it, ``shown`` makes it fit for anything.
"""

from __future__ import annotations

import re

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


def problem(text: str, max_length: int, *, lines: bool = False) -> str | None:
    """Say what is wrong with a text, in words that follow its field's name; None if nothing is.

    Args:
        text: what was sent or read.
        max_length: in characters.
        lines: it may have several lines, and control characters other than NUL.
    """
    if len(text) <= max_length and text.isprintable():
        return None
    if len(text) > max_length:
        return f"must have at most {max_length} characters (it has {len(text)})"
    if half := half_character(text):
        return half
    if "\0" in text:
        return "holds a NUL character; remove it"
    if not lines and _CONTROL.search(text):
        return "must be one line without control characters"
    return None


def half_character(text: str) -> str | None:
    """Say that a text holds half a character, None if it does not: data may hold all others."""
    if _HALF.search(text) is None:
        return None
    return "holds half a character (a lone surrogate); send whole ones"


def shown(text: object, max_length: int) -> str:
    """Return a text that any encoding carries, cut to ``max_length`` with a word about the rest."""
    whole = text if isinstance(text, str) else str(text)
    kept = whole
    if len(whole) > max_length:
        word = f"… ({len(whole)} characters in all)"
        kept = whole[: max(0, max_length - len(word))] + word
    return _NEVER_SHOWN.sub(_REPLACEMENT, kept)


def said(text: object, max_length: int) -> str:
    """Return the same as part of a sentence: without colours, and read from left to right."""
    whole = text if isinstance(text, str) else str(text)
    return shown(_DIRECTIONS.sub("", _ESCAPES.sub("", whole)), max_length)


def shown_line(text: object, max_length: int) -> str:
    """Return the same on one line."""
    return _CONTROL.sub(" ", said(text, max_length))
