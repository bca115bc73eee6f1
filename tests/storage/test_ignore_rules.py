"""What stays behind is what git would leave out by the same rules, asked of git itself."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.storage import ignore_rules
from jupyter_kueue.storage.ignore_rules import FILE_NAME
from jupyter_kueue.storage.input_upload import InputLimits, find_input

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.programs

LIMITS = InputLimits(max_notebook_bytes=2**20, max_folder_files=100, max_folder_bytes=2**20)
TREE = (
    *("a b.txt", "keep.txt", "x.log", "Grüße 😀.csv", "#odd"),
    *("src/a.py", "src/x.log", "src/build/o.txt", "src/deep/x.log", "src/deep/keep.txt"),
    *("data/big.bin", "data/keep.txt", "data/sub/x.log", "data/sub/keep.txt"),
    *("build/out.txt", "docs/src/x.log"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A server's root that is git's work tree too, so that both can be asked."""
    root = tmp_path / "root"
    for path in TREE:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    (root / "main.ipynb").write_text(json.dumps(notebook))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def taken(root: Path) -> list[str]:
    found = find_input(root, "main.ipynb", include_folder=True, limits=LIMITS)
    return sorted(file.path for file in found.files if not file.path.endswith(FILE_NAME))


def kept_by_git(root: Path) -> list[str]:
    listing = [
        *("git", "-c", "core.quotePath=off", "-C", str(root)),
        *("ls-files", "-z", "--others", f"--exclude-per-directory={FILE_NAME}"),
    ]
    shown = subprocess.run(listing, capture_output=True, check=True).stdout.decode()
    return sorted(path for path in shown.split("\0") if path and not path.endswith(FILE_NAME))


@pytest.mark.parametrize(
    "rules",
    [
        {"": "*.log\n"},
        {"": "# a comment\n\n\\#odd\n  \na\\ b.txt\nGrüße*\n"},
        {"": "/build\n"},
        {"": "build/\r\n!src/build/\r\n"},
        {"": "**/build\n!src/**\n"},
        {"": "data/**\n!data/keep.txt\n"},
        {"": "data/*\n!data/sub\n"},
        {"": "data/\n!data/keep.txt\n"},
        {"": "src/*\n!src/deep\n*.log\n"},
        {"": "*.log\n!src\n"},
        {"": "*\n!*/\n!*.py\n!main.ipynb\n"},
        {"": "src/**/x.log\n[ks]*.t?t\n"},
        {"": "*.log\n", "src/": "!x.log\n/deep/x.log\n"},
        {"": "sub\n", "data/": "!sub/\n/keep.txt\n"},
        {"": "\ufeff*.log\n"},
    ],
)
def test_the_same_files_as_git(root: Path, rules: dict[str, str]):
    for folder, text in rules.items():
        (root / folder / FILE_NAME).write_bytes(text.encode())
    assert taken(root) == kept_by_git(root)


def test_what_tools_make_stays_behind_unless_it_is_taken_back(root: Path):
    for folder in (".ipynb_checkpoints", "src/__pycache__"):
        (root / folder).mkdir()
        (root / folder / "made").touch()
    assert taken(root) == sorted([*TREE, "main.ipynb"])
    (root / FILE_NAME).write_text("!__pycache__/\n")
    assert taken(root) == sorted([*TREE, "main.ipynb", "src/__pycache__/made"])


def test_rules_that_would_take_long_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch):
    (root / ("a" * 72)).touch()
    (root / FILE_NAME).write_text("*a*a*a*a*a*a*ab\n")
    assert "a" * 72 in taken(root)

    (root / FILE_NAME).write_text("x\n" * 10_001)
    with pytest.raises(errors.InvalidRequestError, match="more than 10000"):
        taken(root)
    (root / FILE_NAME).write_text("".join(f"{'?*' * 490}{number}\n" for number in range(1000)))
    with pytest.raises(errors.InvalidRequestError, match="there are too many rules"):
        taken(root)
    monkeypatch.setattr(ignore_rules, "MAX_WORK", 200_000)
    (root / FILE_NAME).write_text("*a*b*c\n" * 100)
    with pytest.raises(errors.InvalidRequestError, match="there are too many rules"):
        taken(root)


def test_the_notebook_goes_along_whatever_the_rules_say(root: Path):
    (root / FILE_NAME).write_text("*\n")
    assert taken(root) == ["main.ipynb"]


def test_what_stays_behind_cannot_be_in_the_way(root: Path):
    (root / "away").symlink_to("/etc")
    (root / "nowhere").symlink_to("not-there")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    with pytest.raises(errors.InvalidRequestError, match=f"or list it in {FILE_NAME}"):
        taken(root)
    (root / FILE_NAME).write_text("away\nnowhere\ncircle\npipe\n")
    assert taken(root) == sorted([*TREE, "main.ipynb"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe*\x00", "is not UTF-8 text"),
        (b"!\n", "use the syntax of .gitignore"),
        (b"x" * (2**20 + 1), "has more than 1048576 bytes"),
    ],
)
def test_rules_that_cannot_be_understood_are_no_rules_that_are_passed_over(
    root: Path, content: bytes, says: str
):
    (root / "src" / FILE_NAME).write_bytes(content)
    with pytest.raises(errors.InvalidRequestError) as caught:
        taken(root)
    assert list(caught.value.fields) == ["include_folder"]
    assert caught.value.fields["include_folder"].startswith(f"src/{FILE_NAME} ")
    assert says in caught.value.fields["include_folder"]


def test_an_ignore_file_that_is_none(root: Path):
    os.mkfifo(root / FILE_NAME)
    with pytest.raises(errors.InvalidRequestError, match="is not a regular file"):
        taken(root)
    (root / FILE_NAME).unlink()
    (root / FILE_NAME).symlink_to("/etc/hostname")
    with pytest.raises(
        errors.InvalidRequestError, match="link to something outside the server's root"
    ):
        taken(root)
