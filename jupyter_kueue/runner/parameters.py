"""Write a run's parameters into its notebook as a cell, as papermill does.

Called by ``stage_in``, and only for runs with parameters: papermill takes half a second to import.
Values become literals of the kernel's language by papermill's translators, never code.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from jupyter_kueue import errors
from jupyter_kueue.runner import slow_imports

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"

# What a kernel's name says of its language, where the notebook does not name one.
LANGUAGE_OF_KERNEL = {
    "python": "python",
    "ir": "R",
    "julia": "julia",
    "bash": "bash",
    "scala": "scala",
    "matlab": "matlab",
}


def inject(text: str, parameters: dict[str, Any], kernel_name: str | None) -> str:
    """Return the notebook in ``text`` with a cell that sets ``parameters``.

    It stands after the cell tagged ``parameters``, whose defaults it overrides, or first; a cell
    injected by an earlier run is replaced.

    Raises:
        InvalidRequestError: the text is no notebook, or papermill has no translator for the
            kernel's language.
    """
    try:
        notebook = json.loads(text)
        if notebook["nbformat"] != 4:  # noqa: PLR2004 - the format of notebooks since 2015
            notebook = _upgraded(text)
        cells: list[dict[str, Any]] = notebook["cells"]
        metadata = notebook.setdefault("metadata", {})
    except (ValueError, KeyError, TypeError) as error:
        raise errors.InvalidRequestError({"input_path": f"not a notebook ({error})"}) from error
    source = _source(parameters, *_kernel(metadata, kernel_name))
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED_TAG]},
        "outputs": [],
        "source": source,
    }
    if notebook.get("nbformat_minor", 0) >= 5:  # noqa: PLR2004 - cells have ids since 4.5
        cell["id"] = uuid.uuid4().hex[:8]
    former = _tagged(cells, INJECTED_TAG)
    defaults = _tagged(cells, PARAMETERS_TAG)
    if former is not None:
        cells[former] = cell
    else:
        cells.insert(0 if defaults is None else defaults + 1, cell)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _tagged(cells: list[dict[str, Any]], tag: str) -> int | None:
    """Return the index of the first cell with ``tag``."""
    for at, cell in enumerate(cells):
        if tag in (cell.get("metadata") or {}).get("tags", []):
            return at
    return None


def _kernel(metadata: dict[str, Any], kernel_name: str | None) -> tuple[str, str]:
    """Return name and language of the kernel that the notebook will run in."""
    spec = metadata.get("kernelspec") or {}
    name = kernel_name or spec.get("name") or "python3"
    language = spec.get("language") or (metadata.get("language_info") or {}).get("name")
    if language is None or (kernel_name is not None and kernel_name != spec.get("name")):
        known = (word for start, word in LANGUAGE_OF_KERNEL.items() if name.startswith(start))
        language = next(known, language or "")
    return name, language


def _source(parameters: dict[str, Any], kernel_name: str, language: str) -> str:
    with slow_imports.left_out():
        from papermill.exceptions import PapermillException  # noqa: PLC0415 - slow, rarely needed
        from papermill.translators import translate_parameters  # noqa: PLC0415 - slow
    try:
        source: str = translate_parameters(kernel_name, language, parameters, "Parameters")
    except (PapermillException, NotImplementedError) as error:
        message = (
            f"papermill cannot write parameters for the kernel {kernel_name!r} (language "
            f"{language or 'unknown'!r}). Run the notebook without parameters."
        )
        raise errors.InvalidRequestError({"parameters": message}) from error
    return source


def _upgraded(text: str) -> Any:
    with slow_imports.left_out():
        import nbformat  # noqa: PLC0415 - slow, and only for notebooks of before 2015
    return nbformat.convert(nbformat.reader.reads(text), 4)
