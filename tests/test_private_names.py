"""Tests use what is public: a private name may change without a test noticing."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
FOLDERS = ("tests", "ui-tests", "local_cluster/tests", "benchmarks")
FILES = [REPOSITORY / "conftest.py"]
FILES += [path for folder in FOLDERS for path in sorted((REPOSITORY / folder).rglob("*.py"))]
# Python's own name for an end without cleaning up.
ALLOWED = {"os._exit"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_names(source: str) -> Iterator[str]:
    """Yield each private name that a file takes from elsewhere, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            taken = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            taken = [] if is_own or ast.unparse(node) in ALLOWED else [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):
            values = [item.value for item in node.args if isinstance(item, ast.Constant)]
            taken = [value.rpartition(".")[2] for value in values if isinstance(value, str)]
        else:
            continue
        yield from (f"line {node.lineno}: {name}" for name in taken if is_private(name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_private_name_is_taken_from_elsewhere(path: Path) -> None:
    assert list(private_names(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    ["from a import _b", "from a._b import c", "a._b()", "monkeypatch.setattr(a, '_b', 1)"],
)
def test_it_would_be_found(source: str) -> None:
    assert list(private_names(source)) == ["line 1: _b"]
