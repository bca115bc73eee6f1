"""What a notebook file says of itself: is it one, and for which kernel.

``storage.staging`` calls ``read`` in a thread, or runs this file as a program for large notebooks,
because parsing one holds the interpreter for seconds. It imports nothing but the standard library,
and never changes a file.
"""

from __future__ import annotations

import json
import sys
from typing import IO, Any

OLDEST_NBFORMAT = 4


def read(file: IO[bytes]) -> dict[str, Any]:
    """Return ``{"kernel_name", "language", "problem"}`` of an open file.

    ``problem`` says why it is no notebook that can run, and what to do; None if it is one.
    ``kernel_name`` is None where the notebook names none; ``language`` is in lower case,
    and empty where it says none.
    """
    facts: dict[str, Any] = {"kernel_name": None, "language": "", "problem": None}
    try:
        notebook = json.load(file)
    except (ValueError, RecursionError) as error:
        facts["problem"] = (
            f"is not a notebook: it holds no JSON ({str(error)[:100]}). Open it in JupyterLab and "
            "save it again"
        )
        return facts
    facts["problem"] = _problem(notebook)
    metadata = notebook.get("metadata") if isinstance(notebook, dict) else None
    if isinstance(metadata, dict):
        kernel = _object(metadata.get("kernelspec"))
        language = kernel.get("language") or _object(metadata.get("language_info")).get("name")
        facts["kernel_name"] = kernel.get("name") if isinstance(kernel.get("name"), str) else None
        facts["language"] = language.lower() if isinstance(language, str) else ""
    return facts


def _problem(notebook: Any) -> str | None:
    if not isinstance(notebook, dict) or not isinstance(notebook.get("nbformat"), int):
        return "is not a notebook: its JSON has no nbformat. Choose a file made by Jupyter"
    version = notebook["nbformat"]
    if version < OLDEST_NBFORMAT:
        return (
            f"is a notebook of the old format {version}: open it in JupyterLab and save it, which "
            f"converts it to format {OLDEST_NBFORMAT}"
        )
    if not isinstance(notebook.get("cells"), list):
        return "is not a notebook: its JSON has no list of cells. Choose a file made by Jupyter"
    return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read(sys.stdin.buffer)))
