"""Sentences for people: a text in English, with the code and the values that translations need.

Pure, below everything else, and like ``contract`` for any Python from 3.9 on. ``say`` stands where
a sentence is said, its code and its text being literals: ``scripts/sentences`` collects all of them
from the source and makes the front end's catalogue. What others wrote (a cluster, a bucket, a
notebook) is a value, or ``foreign`` as a whole.
"""

from __future__ import annotations

import functools
import string

TYPE_CHECKING = False  # typing is slow to import, and a run's first process does without
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Self

    Json = dict[str, Any]
    Value = str | int | float | Sequence["Value"]


class Sentence(str):
    """A text that knows which sentence it is, and which values were put into it.

    Attributes:
        code: which sentence it is; None for a text of others.
        values: what was put into it, as JSON: texts, numbers, lists of values, and for a sentence
            in a sentence ``{"code", "values"}``.
    """

    __slots__ = ("code", "values")

    code: str | None
    values: Json

    def __new__(cls, text: str, code: str | None = None, values: Json | None = None) -> Self:
        """Return the text with its code and values; ``say`` makes those that have any."""
        self = super().__new__(cls, text)
        self.code = code
        self.values = values or {}
        return self

    def cleaned(self, max_length: int, clean: Callable[[str, int], str]) -> Sentence:
        """Return it with text and values cleaned; each is cut to ``max_length`` in all."""
        text = clean(str(self), max_length)
        # What was put into a text that is short enough stands in it. Of a stored sentence it need
        # not, and is cleaned, too.
        is_cut = text != self
        left = max_length

        def cleaned(value: Any) -> Any:
            nonlocal left
            if isinstance(value, str):
                value = clean(value, max(0, left))
                left -= len(value) + 1 if is_cut else 0
            elif isinstance(value, list):
                value = [cleaned(item) for item in value if left > 0]
            elif isinstance(value, dict):
                left -= len(value["code"]) if is_cut else 0
                values = {name: cleaned(item) for name, item in value["values"].items()}
                value = {"code": value["code"], "values": values}
            return value

        return Sentence(text, self.code, {name: cleaned(v) for name, v in self.values.items()})


def say(code: str, text: str, one: str | None = None, /, **values: Value) -> Sentence:
    """Return ``text`` with ``values`` put into its ``{names}``.

    Args:
        code: the sentence's name for ever, in kebab case; one code has one text.
        text: a literal. It takes each value, and says nothing of how: a number that is to be
            rounded comes as a text. The values of a list are put one after another with commas.
            Where it says how many there are, that value is called ``count``: languages have
            their own forms for it.
        one: the text for a ``count`` of 1, where English has a form of its own; a literal, too.
        values: numbers stay numbers, sentences keep their codes, and what is neither a text nor a
            list (the cluster's objects may hold anything) becomes its text.

    Raises:
        ValueError: the code has another text elsewhere.
        TypeError: a value is missing or has no place.
    """
    if _names(code, text) != values.keys():
        raise TypeError(f"{code} takes {sorted(_names(code, text))}, not {sorted(values)}")
    shown = {name: _shown(value) for name, value in values.items()}
    if one is not None and shown["count"] == "1":
        text = one
    return Sentence(text.format(**shown), code, {name: _plain(v) for name, v in values.items()})


def foreign(text: str) -> Sentence:
    """Return a text that others wrote as a sentence without a code."""
    return text if isinstance(text, Sentence) else Sentence(text)


def restored(text: str, stored: Json | None) -> Sentence:
    """Return a sentence from its text and what ``as_json`` returned of it."""
    return foreign(text) if stored is None else Sentence(text, stored["code"], stored["values"])


def of_error(error: Exception) -> Sentence:
    """Return the sentence that an error was raised with; another error's text as it is."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, Sentence) else foreign(str(error))


def both(first: Value, second: Value) -> Sentence:
    """Return two sentences as one."""
    return say("both", "{first} {second}", first=first, second=second)


def all_of(parts: Iterable[Value]) -> Value:
    """Return a list in words: ``a, b and c``; nothing for none."""
    *most, last = parts
    return say("all-of", "{most} and {last}", most=most, last=last) if most else last


def capitalized(sentence: Sentence) -> Sentence:
    """Return a part of a sentence as one of its own."""
    return Sentence(sentence[:1].upper() + sentence[1:], sentence.code, sentence.values)


def uncapitalized(sentence: Sentence) -> Sentence:
    """Return a sentence as a part of another one."""
    return Sentence(sentence[:1].lower() + sentence[1:], sentence.code, sentence.values)


def as_json(text: str | None) -> Json | None:
    """Return ``{"code", "values"}`` of a text, None where it has no code."""
    if not isinstance(text, Sentence) or text.code is None:
        return None
    return {"code": text.code, "values": text.values}


_text_of: dict[str, str] = {}


@functools.cache
def _names(code: str, text: str) -> frozenset[str]:
    if _text_of.setdefault(code, text) != text:
        raise ValueError(f"the code {code} has another text: {_text_of[code]!r}")
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def _shown(value: Value) -> str:
    return ", ".join(map(_shown, value)) if isinstance(value, (list, tuple)) else str(value)


def _plain(value: Value) -> Any:
    if isinstance(value, Sentence):
        return str(value) if value.code is None else {"code": value.code, "values": value.values}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float)) else str(value)
