"""Sentences for people: English text with the code and the values that translations need.

Pure, and compatible with Python 3.9. Each sentence is a call of ``say`` with its code and text as
literals, because ``scripts/sentences`` collects them from the source into the front end's
catalogue. Text from a cluster, a bucket or a notebook is passed as a value, or as a whole through
``foreign``.
"""

from __future__ import annotations

import functools
import string

TYPE_CHECKING = False  # typing is slow to import, and a run's first process does not need it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Self

    Json = dict[str, Any]
    Value = str | int | float | Sequence["Value"]


class Sentence(str):
    """A text that knows its sentence code and the values in it.

    Attributes:
        code: the sentence's code; None for foreign text.
        values: its values, as JSON: texts, numbers, lists of values, and for a sentence within a
            sentence ``{"code", "values"}``.
    """

    __slots__ = ("code", "values")

    code: str | None
    values: Json

    def __new__(cls, text: str, code: str | None = None, values: Json | None = None) -> Self:
        """Return the text with its code and values; use ``say`` for sentences that have a code."""
        self = super().__new__(cls, text)
        self.code = code
        self.values = values or {}
        return self

    def cleaned(self, max_length: int, clean: Callable[[str, int], str]) -> Sentence:
        """Return the sentence with text and values passed through ``clean(text, max_length)``.

        The text, and all values of a text that was cut, have at most ``max_length`` characters.
        """
        text = clean(str(self), max_length)
        # The values of an uncut text are part of it, so they are short enough. This may not hold
        # for a stored sentence, so its values are cleaned as well.
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
        ValueError: another sentence has the same code.
        TypeError: a value is missing or unexpected.
    """
    if _names(code, text) != values.keys():
        raise TypeError(f"{code} takes {sorted(_names(code, text))}, not {sorted(values)}")
    shown = {name: _shown(value) for name, value in values.items()}
    if one is not None and shown["count"] == "1":
        text = one
    return Sentence(text.format(**shown), code, {name: _plain(v) for name, v in values.items()})


def foreign(text: str) -> Sentence:
    """Return text from elsewhere as a sentence without a code."""
    return text if isinstance(text, Sentence) else Sentence(text)


def restored(text: str, stored: Json | None) -> Sentence:
    """Return a sentence from its text and the result of ``as_json``."""
    return foreign(text) if stored is None else Sentence(text, stored["code"], stored["values"])


def of_error(error: Exception) -> Sentence:
    """Return the sentence that an error was raised with, or the text of any other error."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, Sentence) else foreign(str(error))


def both(first: Value, second: Value) -> Sentence:
    """Return two sentences joined into one."""
    return say("both", "{first} {second}", first=first, second=second)


def all_of(parts: Iterable[Value]) -> Value:
    """Return parts as a list in words: ``a, b and c``."""
    *most, last = parts
    return say("all-of", "{most} and {last}", most=most, last=last) if most else last


def capitalized(sentence: Sentence) -> Sentence:
    """Return the sentence with a capital first letter."""
    return Sentence(sentence[:1].upper() + sentence[1:], sentence.code, sentence.values)


def uncapitalized(sentence: Sentence) -> Sentence:
    """Return the sentence with a lower-case first letter."""
    return Sentence(sentence[:1].lower() + sentence[1:], sentence.code, sentence.values)


def as_json(text: str | None) -> Json | None:
    """Return ``{"code", "values"}`` of a text, or None if it has no code."""
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
