"""Notebooks as NotebookNodes of format 4; older formats are converted by nbformat."""

from __future__ import annotations

from typing import Any

from jupyter_kueue.contract import notebook_document
from jupyter_kueue.contract.sentences import say


def upgraded(notebook: dict[str, Any]) -> Any:
    """Return a notebook from ``notebook_document.read`` as a NotebookNode of format 4.

    Raises:
        ImportError: nbformat is missing.
        NotebookError: it cannot be converted.
    """
    import nbformat  # noqa: PLC0415 - slow, and where it is missing that must be told as such

    version = notebook["nbformat"]
    if version == notebook_document.NBFORMAT:
        return nbformat.v4.to_notebook(notebook)
    try:
        node = nbformat.versions[version].to_notebook_json(notebook)
        return nbformat.convert(node, notebook_document.NBFORMAT)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:200]
        message = say(
            "notebook-not-converted",
            "has the old notebook format {version} and cannot be converted "
            "({problem}). Open it in JupyterLab and save it",
            version=version,
            problem=said,
        )
        raise notebook_document.NotebookError(message) from error
