"""The rules for text from outside: which text is accepted, and how to show any text safely.

Pure. Text from users, notebooks, the bucket and the cluster may contain lone surrogates, NULs,
control characters, or megabytes. ``problem`` rejects it, ``shown`` makes it safe for any output.
"""

from __future__ import annotations

import re
from typing import overload

from jupyter_kueue.contract.sentences import Sentence, say

# Half of a UTF-16 pair: JSON can escape one alone, but no encoding can represent it.
_HALF = re.compile("[\ud800-\udfff]")
# Unicode's categories Cc, Zl and Zp: characters that end a line or control a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Not allowed in texts of several lines either. ESC starts a terminal's colors.
_NEVER_SHOWN = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
# ECMA-48: a terminal's colors, its cursor, its title. Also characters that change a line's
# direction, so that it reads like another one (Unicode, UAX 9).
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|\][^\x07\x1b]*\x07?|[ -~]?)")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def problem(text: str, max_length: int, *, lines: bool = False) -> Sentence | None:
    """Return what is wrong with a text, to follow its field's name; None if nothing is.

    Args:
        text: what was sent or read.
        max_length: in characters.
        lines: whether it may have several lines, and control characters other than NUL.
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
    """Return that a text contains a lone surrogate, or None: data may contain anything else."""
    if _HALF.search(text) is None:
        return None
    return say(
        "field-holds-half-character",
        "contains half a character (a lone surrogate); send whole characters",
    )


def shown(text: object, max_length: int) -> str:
    """Return a text that any encoding can represent, cut to ``max_length`` with a note."""
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
    """Return the same as part of a sentence: without colors, and read from left to right.

    A sentence keeps its code, and its values are treated like its text.
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
