"""What the runner may and may not need."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_kueue
from jupyter_kueue.runner.staging import notebook_modules

# The oldest Python that a user's image may have.
OLDEST_PYTHON = (3, 9)


def modules() -> dict[str, str]:
    package = Path(jupyter_kueue.__file__).parent
    return {
        f"jupyter_kueue/{module}": (package / module).read_text()
        for module in notebook_modules.modules()
    }


@pytest.mark.programs
def test_execute_imports_neither_server_nor_cluster_nor_bucket() -> None:
    script = (
        "import sys, jupyter_kueue.runner.notebook.execute\n"
        "print([name for name in ('jupyter_server', 'kubernetes', 'obstore', 'nbclient',"
        " 'jupyter_kueue.storage') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(notebook_modules.__file__).parents[3],
    )
    assert done.stdout == "[]\n"


@pytest.mark.programs
def test_nbformat_gets_the_real_jsonschema_without_its_slow_checkers() -> None:
    script = """
import importlib.util, sys
from jupyter_kueue.runner.shared import slow_imports
with slow_imports.left_out():
    import jsonschema, nbformat
print([name for name in slow_imports.SLOW_AND_UNUSED if name in sys.modules])
print([name for name in slow_imports.SLOW_AND_UNUSED if not importlib.util.find_spec(name)])
try:
    nbformat.validate({"nbformat": 4, "nbformat_minor": 5, "metadata": 7, "cells": []})
except jsonschema.ValidationError as error:
    print(error.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["[]", "[]", "7 is not of type 'object'"], done.stderr


@pytest.mark.parametrize("name", sorted(modules()))
def test_what_goes_into_a_users_image_is_old_enough(name: str) -> None:
    ast.parse(modules()[name], filename=name, feature_version=OLDEST_PYTHON)


def test_the_folder_holds_all_it_imports() -> None:
    held = modules()
    for name, source in held.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jupyter_kueue"):
                base = (node.module or "").replace(".", "/")
                for alias in node.names:
                    paths = {f"{base}.py", f"{base}/__init__.py", f"{base}/{alias.name}.py"}
                    wanted = f"{name} imports {node.module}.{alias.name}"
                    if alias.name != "KueueExtension":  # only Jupyter asks for it
                        assert paths & held.keys(), wanted
