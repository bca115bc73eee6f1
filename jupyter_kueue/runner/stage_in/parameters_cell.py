"""A cell with a run's parameters, injected into its notebook as papermill does.

Values become literals of the kernel's language (``parameter_literals``), never code.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from jupyter_kueue.contract import notebook_document, notebook_upgrade, sentences
from jupyter_kueue.domain import errors, parameter_languages, parameter_literals
from jupyter_kueue.runner.shared import slow_imports

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"


def inject(data: bytes, parameters: dict[str, Any], kernel_name: str | None) -> bytes:
    """Return the notebook file ``data`` with a cell that sets ``parameters``, in format 4.

    The cell follows the one tagged ``parameters``, whose defaults it overrides, or comes first. It
    replaces a cell injected by an earlier run.

    Raises:
        InvalidRequestError: the file is not a notebook, or the kernel's language has no literals
            for the parameters.
    """
    try:
        notebook = notebook_document.read(data)
        if notebook["nbformat"] != notebook_document.NBFORMAT:
            with slow_imports.left_out():
                notebook = notebook_upgrade.upgraded(notebook)
    except notebook_document.NotebookError as error:
        raise errors.InvalidRequestError({"input_path": sentences.of_error(error)}) from error
    cells: list[dict[str, Any]] = notebook["cells"]
    source = _source(parameters, notebook, kernel_name)
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED_TAG]},
        "outputs": [],
        "source": source,
    }
    if notebook["nbformat_minor"] >= 5:  # noqa: PLR2004 - cells have ids since 4.5
        cell["id"] = uuid.uuid4().hex[:8]
    former = _tagged(cells, INJECTED_TAG)
    defaults = _tagged(cells, PARAMETERS_TAG)
    if former is not None:
        cells[former] = cell
    else:
        cells.insert(0 if defaults is None else defaults + 1, cell)
    return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()


def _tagged(cells: list[dict[str, Any]], tag: str) -> int | None:
    """Return the index of the first cell with ``tag``."""
    return next(
        (at for at, cell in enumerate(cells) if tag in cell["metadata"].get("tags", ())), None
    )


def _source(parameters: dict[str, Any], notebook: dict[str, Any], kernel_name: str | None) -> str:
    named, stated = notebook_document.kernel_name(notebook), notebook_document.language(notebook)
    language = parameter_languages.find_language(kernel_name, named, stated)
    if language is None:
        said = parameter_languages.unknown_language(kernel_name or named, stated)
        raise errors.InvalidRequestError({"parameters": said})
    return parameter_literals.write_cell(parameters, language)
