"""Which files of a notebook's folder stay behind: ``.jupyterkueueignore``, in gitignore's syntax.

``storage.staging`` asks while it walks the folder. Each folder may hold a file of its own, whose
rules count for what is below it and win over those from above, as in git. It reads these files and
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Self

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from jupyter_kueue import errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE_NAME = ".jupyterkueueignore"
# What tools make, and no run's input. An ignore file can take them back: ``!.git/``.
_BUILT_IN = (".ipynb_checkpoints/", "__pycache__/", ".git/")
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class Rule:
    """One line of an ignore file, about paths below ``folder``.

    pathspec lets a pattern match all that is below what it names, which makes ``!src`` take back
    every file below src. In git a pattern is about an entry itself, and so it is here.
    """

    folder: str
    text: str
    pattern: GitIgnoreSpecPattern

    @classmethod
    def read(cls, folder: str, lines: Iterable[str]) -> tuple[Self, ...]:
        """Return the rules of a file's lines, in their order; comments and empty lines are none.

        Raises:
            GitIgnorePatternError, ValueError: a line is no pattern.
        """
        patterns = [(line, GitIgnoreSpecPattern(line)) for line in lines if line.strip()]
        return tuple(
            cls(folder, line.rstrip().removeprefix("!"), pattern)
            for line, pattern in patterns
            if pattern.include is not None
        )

    def is_about(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether the rule names this path, which lies below its folder."""
        inside = path.removeprefix(self.folder)
        parent, _, name = inside.rpartition("/")
        if self.text.endswith("/**"):
            return self._matches(inside)
        entry = f"{name}/" if is_folder else name
        if "/" not in self.text.rstrip("/"):
            return self._matches(entry)
        is_below_it = bool(parent) and self._matches(f"{parent}/")
        return not is_below_it and self._matches(f"{inside}/" if is_folder else inside)

    def _matches(self, text: str) -> bool:
        return self.pattern.match_file(text) is not None


@dataclass(frozen=True)
class IgnoreRules:
    """The rules that hold in one folder, the strongest last."""

    rules: tuple[Rule, ...] = Rule.read("", _BUILT_IN)

    def below(self, folder: str, file: Path) -> IgnoreRules:
        """Return the rules for ``folder``, whose ignore file is ``file``.

        Args:
            folder: its path from the notebook's folder with a slash at its end; empty for that
                folder itself.
            file: where to read.

        Raises:
            InvalidRequestError: on ``include_folder``; the file cannot be read or understood.
        """
        return IgnoreRules((*self.rules, *_read(folder, file)))

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether ``path``, from the notebook's folder, stays behind.

        What is below a folder that stays behind is not asked for, as in git.
        """
        found = (rule for rule in reversed(self.rules) if rule.is_about(path, is_folder=is_folder))
        strongest = next(found, None)
        return strongest is not None and bool(strongest.pattern.include)


def _read(folder: str, file: Path) -> tuple[Rule, ...]:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
        rules = Rule.read(folder, lines)
    except OSError as error:
        _refuse(folder, f"cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        _refuse(folder, "is no UTF-8 text; save it as such")
    except (GitIgnorePatternError, ValueError) as error:
        _refuse(folder, f"cannot be understood ({error}); its syntax is that of .gitignore")
    if len(data) > _MAX_BYTES:
        _refuse(folder, f"has more than {_MAX_BYTES} bytes; shorten it")
    return rules


def _refuse(folder: str, why: str) -> NoReturn:
    raise errors.InvalidRequestError({"include_folder": f"{folder}{FILE_NAME} {why}"}) from None
