"""One line of an ignore file, in gitignore's syntax, matched in time linear in path and pattern.

The lines come from folders that anybody may have written, such as a cloned repository, and are
matched in the server's process. As one regular expression, ``*a*a*a*b`` would take time exponential
in its stars. Here each part of a path is matched separately, and each ``*`` takes the first place
where the following text fits, without backtracking (an atomic group): a later place could not
succeed if the first does not. The same holds for ``**`` and whole parts. Source: gitignore(5), and
git's dir.c and wildmatch.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from jupyter_kueue.contract.sentences import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_LENGTH = 1000
# Costs in steps of a few tens of nanoseconds: reading one character of a line with wildcards, and
# visiting one part of a path.
_READ_STEPS = 256
_LOOK_STEPS = 16
# How many characters are compared in one step.
_LETTERS = 16

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t-\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


class TooMuchWorkError(Exception):
    """The steps that a ``Work`` allows are used up."""


@dataclass
class Work:
    """The steps that reading and matching may take together, and have taken."""

    most: int
    done: int = 0

    def spend(self, steps: int) -> None:
        """Count steps before they are done.

        Raises:
            TooMuchWorkError: fewer steps are left.
        """
        self.done += steps
        if self.done > self.most:
            raise TooMuchWorkError


@dataclass(frozen=True)
class Part:
    """A pattern for one part of a path, between slashes; ``regex`` is None for a literal ``text``.

    ``length`` is that of the text or of the regular expression.
    """

    text: str
    length: int
    regex: re.Pattern[str] | None = None

    def matches(self, name: str, work: Work) -> bool:
        """Return whether ``name`` matches."""
        if self.regex is None:
            work.spend(_LOOK_STEPS)
            return self.text == name
        work.spend(_LOOK_STEPS + len(name) * self.length // _LETTERS)
        return self.regex.match(name) is not None


# Any number of parts, including none.
_ANY_PARTS = None


@dataclass(frozen=True)
class IgnorePattern:
    """The pattern of one line.

    Attributes:
        takes_back: it begins with ``!``.
        is_folder: it ends in a slash, and names only folders.
        parts: the patterns of the whole path; None stands for ``**``.
        is_name: it has no other slash: its one part names entries in any folder.
    """

    takes_back: bool
    is_folder: bool
    is_name: bool
    parts: tuple[Part | None, ...]

    @classmethod
    def read(cls, line: str, work: Work) -> Self | None:
        """Read a line without its end; None for a comment and for a line that names nothing.

        Raises:
            ValueError: it is not a pattern; the message follows the file's name.
            TooMuchWorkError: it takes more steps than ``work`` allows.
        """
        text = _without_trailing_blanks(line)
        if not text or text.startswith("#"):
            return None
        if len(text) > MAX_LENGTH:
            raise ValueError(
                say(
                    "ignore-line-too-long",
                    "has a line of more than {most} characters",
                    most=MAX_LENGTH,
                )
            )
        work.spend(len(text) * _READ_STEPS)
        takes_back = text.startswith("!")
        text = text.removeprefix("!")
        if not text:
            raise ValueError(say("ignore-line-with-mark-alone", "has a line with only a !"))
        is_folder = text.endswith("/")
        text = text.removesuffix("/")
        is_name = "/" not in text
        try:
            tokens = list(_tokens(text.removeprefix("/")))
        except _NothingError:
            return None
        parts = [_part(part) for part in _split(tokens)]
        if not is_name and parts[-1] is _ANY_PARTS:
            # Everything below a folder, but not the folder itself.
            parts.append(_part([_STAR]))
        match parts:
            case [None, Part()]:  # **/name: the same as the name alone, which is faster
                is_name, parts = True, parts[1:]
        if is_name:
            parts = [_part([_STAR]) if part is _ANY_PARTS else part for part in parts]
        return cls(takes_back, is_folder, is_name, tuple(parts))

    def matches(self, path: Sequence[str], work: Work, *, is_folder: bool) -> bool:
        """Return whether it names an entry, given the parts of its path below the file's folder.

        Raises:
            TooMuchWorkError: that takes more steps than ``work`` allows.
        """
        work.spend(_LOOK_STEPS)
        if self.is_folder and not is_folder:
            return False
        if self.is_name:
            part = self.parts[0]
            return part is not None and part.matches(path[-1], work)
        return _match(self.parts, path, work)


def _match(parts: Sequence[Part | None], path: Sequence[str], work: Work) -> bool:
    """Match part by part, backtracking only to the last ``**``."""
    at = here = 0
    last_any, resume = -1, 0
    while here < len(path):
        part = parts[at] if at < len(parts) else _END
        if part is _ANY_PARTS:
            last_any, resume = at, here
            at += 1
        elif part is not _END and isinstance(part, Part) and part.matches(path[here], work):
            at += 1
            here += 1
        elif last_any >= 0:
            work.spend(_LOOK_STEPS)
            resume += 1
            at, here = last_any + 1, resume
        else:
            return False
    return all(part is _ANY_PARTS for part in parts[at:])


_END = object()


class _NothingError(Exception):
    """A pattern that names nothing, which git ignores."""


@dataclass(frozen=True)
class _Token:
    regex: str
    text: str | None = None


_STAR = _Token("*")
_SLASH = _Token("/")


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the tokens of a pattern from left to right."""
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if letter == "*":
            yield _STAR
        elif letter == "/":
            yield _SLASH
        elif letter == "?":
            yield _Token(".")
        elif letter == "[":
            regex, at = _class(text, at)
            yield _Token(regex)
        else:
            if letter == "\\":
                if at == len(text):
                    raise _NothingError
                letter = text[at]
                at += 1
            yield _SLASH if letter == "/" else _Token(re.escape(letter), letter)


def _class(text: str, at: int) -> tuple[str, int]:
    """Return the regular expression of the class whose inside begins at ``at``, and its end."""
    is_negated = text[at : at + 1] in tuple("!^")
    at += is_negated
    ranges: list[str] = []
    is_first = True
    while is_first or text[at : at + 1] != "]":
        is_first = False
        if at >= len(text):
            raise _NothingError
        if text.startswith("[:", at):
            end = text.find(":]", at + 2)
            if end >= 0:
                name = text[at + 2 : end]
                if name not in _CLASSES:
                    raise _NothingError
                ranges.append(_CLASSES[name])
                at = end + 2
                continue
        low, at = _letter(text, at)
        ranges.append(_escaped(low))  # even if its range is empty
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("]", ""):
            high, at = _letter(text, at + 1)
            if low <= high:
                ranges.append(f"{_escaped(low)}-{_escaped(high)}")
    return f"[{'^' if is_negated else ''}{''.join(ranges)}]", at + 1


def _letter(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == "\\":
        at += 1
    if at >= len(text):
        raise _NothingError
    return text[at], at + 1


def _escaped(letter: str) -> str:
    return f"\\U{ord(letter):08x}"


def _split(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    part: list[_Token] = []
    for token in tokens:
        if token is _SLASH:
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _part(tokens: Sequence[_Token]) -> Part | None:
    if len(tokens) > 1 and all(token is _STAR for token in tokens):
        return _ANY_PARTS
    letters = [token.text for token in tokens if token.text is not None]
    if len(letters) == len(tokens):
        text = "".join(letters)
        return Part(text, len(text))
    pieces = [""]
    for token in tokens:
        if token is _STAR:
            pieces.append("")
        else:
            pieces[-1] += token.regex
    first, *others = pieces
    regex = first
    if others:
        *middle, last = others
        regex += "".join(f"(?>.*?{piece})" for piece in middle if piece) + f".*{last}"
    return Part("", len(regex), re.compile(rf"{regex}\Z", re.DOTALL))


def _without_trailing_blanks(line: str) -> str:
    """Return a line without trailing blanks, except those after a backslash."""
    text = line.rstrip(" ")
    if len(text) < len(line):
        slashes = len(text) - len(text.rstrip("\\"))
        if slashes % 2:
            text += " "
    return text
