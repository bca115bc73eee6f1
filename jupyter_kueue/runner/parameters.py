"""Write a run's parameters into its notebook as a cell, as papermill does.

Called by ``stage_in``, and only for runs with parameters. Values become literals of the kernel's
language (``parameter_literals``), never code.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from jupyter_kueue import errors, parameter_languages, parameter_literals
from jupyter_kueue.runner import slow_imports

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"


def inject(text: str, parameters: dict[str, Any], kernel_name: str | None) -> str:
    """Return the notebook in ``text`` with a cell that sets ``parameters``.

    It stands after the cell tagged ``parameters``, whose defaults it overrides, or first; a cell
    injected by an earlier run is replaced.

    Raises:
        InvalidRequestError: the text is no notebook, or the parameters cannot be written for the
            kernel's language.
    """
    try:
        notebook = json.loads(text)
        if notebook["nbformat"] != 4:  # noqa: PLR2004 - the format of notebooks since 2015
            notebook = _upgraded(text)
        cells: list[dict[str, Any]] = notebook["cells"]
        metadata = notebook["metadata"] = _object(notebook.get("metadata"))
        minor = notebook.get("nbformat_minor")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise errors.InvalidRequestError({"input_path": f"not a notebook ({error})"}) from error
    source = _source(parameters, metadata, kernel_name)
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED_TAG]},
        "outputs": [],
        "source": source,
    }
    if isinstance(minor, int) and minor >= 5:  # noqa: PLR2004 - cells have ids since 4.5
        cell["id"] = uuid.uuid4().hex[:8]
    former = _tagged(cells, INJECTED_TAG)
    defaults = _tagged(cells, PARAMETERS_TAG)
    if former is not None:
        cells[former] = cell
    else:
        cells.insert(0 if defaults is None else defaults + 1, cell)
    written = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    # Half a character, which JSON may hold and no file can, stays an escape.
    return written.encode("utf-8", "backslashreplace").decode()


def _tagged(cells: list[dict[str, Any]], tag: str) -> int | None:
    """Return the index of the first cell with ``tag``."""
    for at, cell in enumerate(cells):
        metadata = cell.get("metadata") if isinstance(cell, dict) else None
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
        # Other programs write null, or one tag as a text.
        if tag == tags or (isinstance(tags, list) and tag in tags):
            return at
    return None


def _source(parameters: dict[str, Any], metadata: dict[str, Any], kernel_name: str | None) -> str:
    spec = _object(metadata.get("kernelspec"))
    stated = spec.get("language") or _object(metadata.get("language_info")).get("name")
    stated = stated if isinstance(stated, str) else ""
    named = spec.get("name") if isinstance(spec.get("name"), str) else None
    language = parameter_languages.find_language(kernel_name, named, stated)
    if language is None:
        said = parameter_languages.unknown_language(kernel_name or named, stated)
        raise errors.InvalidRequestError({"parameters": said})
    return parameter_literals.write_cell(parameters, language)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _upgraded(text: str) -> Any:
    with slow_imports.left_out():
        import nbformat  # noqa: PLC0415 - slow, and only for notebooks of before 2015
    return nbformat.convert(nbformat.reader.reads(text), 4)
