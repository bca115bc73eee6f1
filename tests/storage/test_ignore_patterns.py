"""A line names what it names for git, asked of git itself, and takes no time to speak of."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.storage.ignore_patterns import MAX_LENGTH, IgnorePattern, TooMuchWorkError, Work

if TYPE_CHECKING:
    from pathlib import Path

# Made into lines at random, always the same ones.
PIECES = (
    *("a", "b", "ab", "*", "**", "?", "/", "[ab]", "[!a]", "[^b]", "\\*", "\\", "\\/", ".", " "),
    *("[a-]", "[]a]", "[[:alpha:]]", "[[:none:]]", "[b-a]", "[a-c]", "[a\\]]", "[a/b]", "[", "]"),
    *("-", "!", "**/", "/**", "/**/", "\\ ", "é", "(", "+", "$", "^", "{a,b}", "|"),
)
NAMES = (
    *("a", "b", "ab", "ba", "aab", "a.b", "*", "]", "-", "[", " a", "a b", "\\", ".a", "!", "é"),
    *("(", "+", "$", "a+", "{a,b}", "a\tb"),
)
ENOUGH = Work(2**60)
LINES = 1500
PATHS = 6


def named_by(lines: list[str], paths: list[str], folder: Path) -> dict[str, list[bool]]:
    """Ask git which of the paths, or of the folders they lie in, each line names."""
    found: dict[str, list[bool]] = {}
    for number, line in enumerate(lines):
        # Many ignore files in one work tree: a start of git takes longer than its answer.
        (folder / str(number)).mkdir()
        (folder / str(number) / ".gitignore").write_text(f"{line}\n")
    asked = [f"{number}/{path}" for number in range(len(lines)) for path in paths]
    command = ["git", "-C", str(folder), "check-ignore", "--no-index", "-vnz", "--stdin"]
    answer = subprocess.run(
        command, input="\0".join([*asked, ""]), capture_output=True, text=True, check=False
    )
    sources = answer.stdout.split("\0")[::4]
    for number, line in enumerate(lines):
        found[line] = [bool(source) for source in sources[number * len(paths) :][: len(paths)]]
    return found


def is_named(pattern: IgnorePattern | None, path: str) -> bool:
    parts = path.split("/")
    return pattern is not None and any(
        pattern.matches(parts[:end], ENOUGH, is_folder=end < len(parts))
        for end in range(1, len(parts) + 1)
    )


@pytest.mark.programs
@pytest.mark.parametrize("seed", range(3))
def test_it_names_what_it_names_for_git(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    lines = {"".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(LINES)}
    asked = sorted(line for line in lines if not line.startswith("!"))
    paths = ["/".join(chance.choices(NAMES, k=chance.randint(1, 3))) for _ in range(PATHS)]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    wrong = [
        (line, path, by_git)
        for line, answers in named_by(asked, paths, tmp_path).items()
        for path, by_git in zip(paths, answers, strict=True)
        if is_named(IgnorePattern.read(line, ENOUGH), path) != by_git
        # For git a character is a byte, and é has two of them.
        and not ("é" in path and set(line) & set("?[é"))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("*a*a*a*a*a*a*ab", "a" * 72),
        ("*a" * 499 + "b", "a" * 255),
        ("a*" * 499 + "b", "a" * 255),
        ("?*" * 499, "a" * 255),
        ("[a-z]*" * 166 + "1", "a" * 255),
        ("**/a/" * 199 + "b", "/".join("a" * 400)),
        ("**/*a*a*a*a*a*b/" * 60 + "b", "/".join(["a" * 255] * 15)),
        ("*" * 999, "a" * 255),
        ("[" * 999, "[" * 255),
    ],
)
def test_no_line_takes_long(line: str, path: str):
    # Each took minutes, or longer than anybody would wait, as one regular expression.
    pattern = IgnorePattern.read(line, ENOUGH)
    assert len(line) <= MAX_LENGTH
    for _ in range(3):
        is_named(pattern, path)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("**/[a]" + "/[a]" * 190 + "/b", "/".join("a" * 400)),
        ("/".join(["**", "a"] * 160) + "/b", "/".join("a" * 400)),
        ("*a" * 499 + "b", "a" * 255),
    ],
)
def test_all_work_is_counted(line: str, path: str):
    work = Work(10**6)
    pattern = IgnorePattern.read(line, work)
    assert pattern is not None
    with pytest.raises(TooMuchWorkError):
        all(not pattern.matches(path.split("/"), work, is_folder=False) for _ in range(500))
    with pytest.raises(TooMuchWorkError):
        IgnorePattern.read("?*" * 490, Work(10**5))


def test_what_is_no_pattern():
    for line in ("!", "! "):
        with pytest.raises(ValueError, match="only a !"):
            IgnorePattern.read(line, ENOUGH)
    with pytest.raises(ValueError, match="more than 1000 characters"):
        IgnorePattern.read("a" * 1001, ENOUGH)
