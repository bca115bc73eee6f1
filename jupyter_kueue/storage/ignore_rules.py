"""Files that are not uploaded with a notebook: ``.jupyterkueueignore``, in gitignore's syntax.

As in git, each folder may have such a file, whose rules hold below it and override those from
above. This module parses the files' content and does no I/O.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.storage.ignore_patterns import IgnorePattern, TooMuchWorkError, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jupyter_kueue.contract.sentences import Sentence

Source = Literal["hidden", "built-in", "file"]

FILE_NAME = ".jupyterkueueignore"
MAX_BYTES = 2**20
# Created by tools, never a run's input. An ignore file can include them again: ``!.git/``.
_BUILT_IN = (".ipynb_checkpoints/", "__pycache__/", ".git/")
# What the contents API hides: keys, tokens, settings. An ignore file can include it again.
_HIDDEN = ".*"
# The number of rules in all ignore files of a notebook's folder.
MAX_RULES = 10_000
# The steps for one notebook's folder (ignore_patterns.Work), a few seconds' work. Two hundred rules
# and ten thousand files need half of them.
MAX_WORK = 2**27
_TOO_MUCH = say(
    "ignore-too-much",
    "there are too many rules in {file} for the number of files in the "
    "folder; name whole folders, or use fewer rules",
    file=FILE_NAME,
)


@dataclass(frozen=True)
class Rule:
    """One line of an ignore file, about paths below its folder.

    Attributes:
        depth: the number of parts in the folder's path.
        source: the rule for hidden files, a built-in rule, or a user's file.
    """

    depth: int
    pattern: IgnorePattern
    source: Source = "file"

    def is_about(self, path: Sequence[str], work: Work, *, is_folder: bool) -> bool:
        """Return whether the rule matches this path, which is below its folder."""
        return self.pattern.matches(path[self.depth :], work, is_folder=is_folder)


@dataclass
class _Spent:
    """What one walk has used up."""

    work: Work = dataclasses.field(default_factory=lambda: Work(MAX_WORK))
    rules: int = 0


@dataclass(frozen=True)
class IgnoreRules:
    """The rules for one folder; later ones take precedence."""

    rules: tuple[Rule, ...]
    _spent: _Spent = dataclasses.field(default_factory=_Spent)

    @classmethod
    def built_in(cls, *, allow_hidden: bool) -> IgnoreRules:
        """Return the rules without any ignore file; call it once per walk, which has own limits."""
        spent = _Spent()
        hidden = [] if allow_hidden else _read_rules(0, [_HIDDEN], spent.work, "hidden")
        return cls((*hidden, *_read_rules(0, _BUILT_IN, spent.work, "built-in")), spent)

    def below(self, folder: str, data: bytes) -> IgnoreRules:
        """Return the rules for ``folder``, whose ignore file holds ``data``.

        Args:
            folder: its path from the notebook's folder with a trailing slash; empty for that folder
                itself.
            data: at most MAX_BYTES + 1 bytes.

        Raises:
            InvalidRequestError: on ``include_folder``; the file is invalid.
        """
        if len(data) > MAX_BYTES:
            _refuse(
                folder,
                say(
                    "ignore-file-too-large",
                    "has more than {most} bytes; shorten it",
                    most=MAX_BYTES,
                ),
            )
        try:
            lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
        except UnicodeDecodeError:
            _refuse(folder, say("ignore-file-no-text", "is not UTF-8 text; save it as UTF-8"))
        self._spent.rules += sum(1 for line in lines if line.strip() and not line.startswith("#"))
        if self._spent.rules > MAX_RULES:
            _refuse(
                folder,
                say(
                    "ignore-too-many-rules",
                    "brings the number of rules to more than {most}; shorten it",
                    most=MAX_RULES,
                ),
            )
        try:
            rules = _read_rules(folder.count("/"), lines, self._spent.work)
        except TooMuchWorkError:
            raise _too_much() from None
        except ValueError as error:
            _refuse(
                folder,
                say(
                    "ignore-rule-invalid",
                    "{problem}; use the syntax of .gitignore",
                    problem=sentences.of_error(error),
                ),
            )
        return dataclasses.replace(self, rules=(*self.rules, *rules))

    def find(self, path: str, *, is_folder: bool) -> Rule | None:
        """Return the rule that excludes ``path``, from the notebook's folder; None if none does.

        As in git, paths below an excluded folder are not asked about.

        Raises:
            InvalidRequestError: on ``include_folder``; there are too many rules for so many files.
        """
        parts = path.split("/")
        try:
            for rule in reversed(self.rules):
                if rule.is_about(parts, self._spent.work, is_folder=is_folder):
                    return None if rule.pattern.takes_back else rule
        except TooMuchWorkError:
            raise _too_much() from None
        return None


def _read_rules(
    depth: int, lines: Iterable[str], work: Work, source: Source = "file"
) -> tuple[Rule, ...]:
    patterns = (IgnorePattern.read(line, work) for line in lines if line.strip())
    return tuple(Rule(depth, pattern, source) for pattern in patterns if pattern is not None)


def _too_much() -> errors.InvalidRequestError:
    return errors.InvalidRequestError({"include_folder": _TOO_MUCH})


def _refuse(folder: str, why: Sentence) -> NoReturn:
    raise errors.InvalidRequestError(
        {
            "include_folder": say(
                "ignore-file-problem",
                "{folder}{file} {problem}",
                folder=folder,
                file=FILE_NAME,
                problem=why,
            )
        }
    ) from None
