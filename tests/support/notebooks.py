"""Notebooks as a user would have made them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}


def cell(source: str, *tags: str) -> dict[str, Any]:
    """Return a code cell that was never run."""
    return {
        "id": uuid.uuid4().hex[:8],
        "cell_type": "code",
        "metadata": {"tags": list(tags)} if tags else {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def notebook(*cells: Any, **metadata: Any) -> bytes:
    """Return a notebook file, of Python by default; a string is the source of a code cell."""
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata or PYTHON,
        "cells": [cell(one) if isinstance(one, str) else one for one in cells],
    }
    return json.dumps(content).encode()


def write_notebook(root: Path, path: str, *cells: Any, parameters: str | None = None) -> str:
    """Write a notebook to ``path`` below ``root`` and return that path.

    ``parameters`` is the source of a first cell with that tag.
    """
    first = [] if parameters is None else [cell(parameters, "parameters")]
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(notebook(*first, *cells))
    return path
