"""A notebook's file: the one reader of it, for whoever submits it and for the pod that runs it.

What Jupyter opens is read, and completed where other programs leave out what readers count on. What
could not run is refused in words that name the place, before the run waits for quota.

It runs in users' images too and, for large files, as a program of its own, because parsing one
holds the interpreter for seconds: Python 3.9 and the standard library.
Source: the nbformat documentation, "The Notebook file format".
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.nesting import is_deeper_than
from jupyter_kueue.contract.sentences import say

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence

Json = dict[str, Any]

# What runs; older ones are converted to it (``runner.notebook_upgrade``).
NBFORMAT = 4
# Before IPython 0.12, in 2011.
OLDEST_NBFORMAT = 2
# Programs that save it and readers of its cells go down level by level.
MAX_DEPTH = 100
_MINOR_WITHOUT_IDS = 4
# How an escaped half of a surrogate pair begins; most notebooks have none, which is quickly seen.
_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class NotebookError(ValueError):
    """The file cannot run as a notebook; the text follows the file's name and says why."""


def read(data: bytes) -> Json:
    """Return the notebook in ``data``, a file in whatever encoding of JSON.

    It is of format 4, or of 2 or 3. Its metadata, its cells' metadata and their sources are there;
    code cells have no outputs, which are of former runs.

    Raises:
        NotebookError: it could not run.
    """
    notebook = _parsed(data)
    version = _version(notebook)
    notebook["metadata"] = _object(notebook.get("metadata"))
    if version == NBFORMAT:
        if not isinstance(notebook.get("nbformat_minor"), int):
            notebook["nbformat_minor"] = _MINOR_WITHOUT_IDS
        if not isinstance(notebook.get("cells"), list):
            _refuse(
                say(
                    "notebook-without-cells",
                    "is not a notebook: its JSON has no list of cells. Choose a file made by "
                    "Jupyter",
                )
            )
        for number, cell in enumerate(notebook["cells"], 1):
            _complete(cell, number, "source")
    else:
        for number, cell in enumerate(_cells_of_worksheets(notebook), 1):
            _complete(cell, number, "input")
    if is_deeper_than(notebook, MAX_DEPTH):
        _refuse(
            say(
                "notebook-too-deep",
                "is nested deeper than {most} levels. Clear its outputs and metadata",
                most=MAX_DEPTH,
            )
        )
    return notebook


def facts(data: bytes) -> Json:
    """Return what a file says of itself: ``{"kernel_name", "language", "nbformat", "problem", …}``.

    ``problem`` says why it could not run, None if it could; ``problem_sentence`` is what that is
    made of. ``kernel_name`` is None where the
    notebook names none; ``language`` is in lower case, and empty where it says none.
    """
    try:
        notebook = read(data)
    except NotebookError as error:
        return {"kernel_name": None, "language": "", "nbformat": None, **problem_of(error)}
    return {
        "kernel_name": kernel_name(notebook),
        "language": language(notebook).lower(),
        "nbformat": notebook["nbformat"],
        "problem": None,
        "problem_sentence": None,
    }


def problem_of(error: NotebookError) -> Json:
    """Return what ``facts`` says of a notebook that could not run."""
    said = sentences.of_error(error)
    return {"problem": said, "problem_sentence": sentences.as_json(said)}


def kernel_name(notebook: Json) -> str | None:
    """Return the name of the kernel that the notebook asks for, if it does."""
    name = _object(notebook["metadata"].get("kernelspec")).get("name")
    return name if isinstance(name, str) else None


def language(notebook: Json) -> str:
    """Return what the notebook says its language is, an empty text if it does not."""
    metadata = notebook["metadata"]
    said = _object(metadata.get("kernelspec")).get("language")
    said = said or _object(metadata.get("language_info")).get("name")
    return said if isinstance(said, str) else ""


def _parsed(data: bytes) -> Json:
    if not data.strip():
        _refuse(say("notebook-empty", "is not a notebook: it is empty. Choose another file"))
    try:
        # A byte-order mark, UTF-16 and UTF-32 show in the first bytes (RFC 4627, 3).
        text = data.decode(json.detect_encoding(data))
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(
            say(
                "notebook-no-json",
                "is not a valid notebook: it is not JSON ({problem}). Open it in the "
                "text editor, or choose another file",
                problem=str(error)[:100],
            )
        )
    if not isinstance(notebook, dict):
        _refuse(
            say(
                "notebook-without-format",
                "is not a notebook: its JSON has no nbformat. Choose a file made by Jupyter",
            )
        )
    if _MAYBE_HALF.search(text):
        _check_characters(notebook)
    return notebook


def _check_characters(notebook: Json) -> None:
    try:
        json.dumps(notebook, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        _refuse(
            say(
                "notebook-half-character",
                "contains half a character (a lone surrogate), which no file can store. Remove it",
            )
        )
    except RecursionError:  # the depth is looked at later
        return


def _version(notebook: Json) -> int:
    version = notebook.get("nbformat")
    if not isinstance(version, int) or isinstance(version, bool):
        _refuse(
            say(
                "notebook-without-format",
                "is not a notebook: its JSON has no nbformat. Choose a file made by Jupyter",
            )
        )
    if version < OLDEST_NBFORMAT:
        _refuse(
            say(
                "notebook-old-format",
                "has the old notebook format {version}: open it in JupyterLab and "
                "save it, which converts it to format {newest}",
                version=version,
                newest=NBFORMAT,
            )
        )
    if version > NBFORMAT:
        _refuse(
            say(
                "notebook-newer-format",
                "has notebook format {version}, but only formats up to {newest} can "
                "run. Save it in an older format",
                version=version,
                newest=NBFORMAT,
            )
        )
    return version


def _cells_of_worksheets(notebook: Json) -> list[Any]:
    """Return the cells of a notebook of before 2015."""
    sheets = notebook.get("worksheets")
    if not isinstance(sheets, list):
        _refuse(
            say(
                "notebook-without-worksheets",
                "is not a notebook: its JSON has no list of worksheets",
            )
        )
    cells = []
    for sheet in sheets:
        if not isinstance(sheet, dict) or not isinstance(sheet.get("cells"), list):
            _refuse(
                say(
                    "notebook-worksheet-without-cells",
                    "is not a notebook: one of its worksheets has no list of cells",
                )
            )
        sheet["metadata"] = _object(sheet.get("metadata"))
        cells += sheet["cells"]
    return cells


def _complete(cell: Any, number: int, code_field: str) -> None:
    """Give a cell what its readers count on; one that is odd is refused.

    Args:
        cell: of the notebook.
        number: its place, from 1, for messages.
        code_field: what holds a code cell's text.
    """
    if not isinstance(cell, dict):
        _refuse(
            say(
                "notebook-cell-no-object",
                "has a damaged cell {number}: it is not an object. Open it in JupyterLab and save "
                "it again",
                number=number,
            )
        )
    if not isinstance(cell.get("cell_type"), str):
        _refuse(
            say(
                "notebook-cell-without-type",
                "has a damaged cell {number}: it has no cell_type. Open it in JupyterLab and save "
                "it again",
                number=number,
            )
        )
    metadata = cell["metadata"] = _object(cell.get("metadata"))
    if "tags" in metadata:
        tags = metadata["tags"]
        tags = tags if isinstance(tags, list) else [tags]
        metadata["tags"] = [tag for tag in tags if isinstance(tag, str)]
    is_code = cell["cell_type"] == "code"
    field = code_field if is_code else "source"
    cell[field] = _text(cell.get(field, ""), number, field)
    if is_code:
        cell["outputs"] = []
        cell.pop("prompt_number", None)
        metadata.pop("execution", None)
        if code_field == "source":
            cell["execution_count"] = None
    if not isinstance(cell.get("level", 1), int):  # of a heading, before 2015
        del cell["level"]
    _check_attachments(cell, number)


def _text(value: Any, number: int, field: str) -> str:
    """Return a text that may be a list of its lines."""
    lines = value if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        _refuse(
            say(
                "notebook-cell-field-no-text",
                "has a damaged cell {number}: its {field} is not text. Open the "
                "notebook in JupyterLab, rewrite the cell and save",
                number=number,
                field=field,
            )
        )
    return "".join(lines)


def _check_attachments(cell: Json, number: int) -> None:
    """Refuse attachments that are not file name -> media type -> content."""
    attachments = cell.get("attachments", {})
    bundles = attachments.values() if isinstance(attachments, dict) else [None]
    for bundle in bundles:
        if not isinstance(bundle, dict):
            _refuse(
                say(
                    "notebook-cell-attachments",
                    "has a damaged cell {number}: its attachments are not objects. Remove them",
                    number=number,
                )
            )
        for media_type, content in bundle.items():
            bundle[media_type] = _text(content, number, "attachment")


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _refuse(why: Sentence) -> NoReturn:
    raise NotebookError(why)


def main() -> None:
    """Write the facts of the file on standard input as JSON."""
    sys.stdout.write(json.dumps(facts(sys.stdin.buffer.read())))
