"""The one reader of notebook files, for submission and for the pod.

It accepts what Jupyter opens, and fills in fields that other programs leave out. A notebook that
cannot run is refused with a message that names the place, before the run waits for quota.

It also runs in users' images and, for large files, as a program of its own, because parsing one
blocks the interpreter for seconds. It therefore needs only Python 3.9's standard library. Source:
the nbformat documentation, "The Notebook file format".
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

# The format that runs; ``notebook_upgrade`` converts older ones to it.
NBFORMAT = 4
# The format before IPython 0.12 (2011).
OLDEST_NBFORMAT = 2
# Some programs that read or save notebooks recurse once per level.
MAX_DEPTH = 100
_MINOR_WITHOUT_IDS = 4
# The start of an escaped surrogate half. Most notebooks contain none, so the search is cheap.
_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class NotebookError(ValueError):
    """The file cannot run as a notebook. The message follows the file's name and says why."""


def read(data: bytes) -> Json:
    """Return the notebook in ``data``, which is JSON in UTF-8, UTF-16 or UTF-32.

    Its format is 4, 3 or 2. Its metadata, its cells' metadata and their sources are always present;
    outputs of former runs are removed.

    Raises:
        NotebookError: the notebook cannot run.
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
    """Return what a notebook needs: ``{"kernel_name", "language", "nbformat", "problem", …}``.

    ``problem`` says why it cannot run, or is None; ``problem_sentence`` is its code and values.
    ``kernel_name`` is None if the notebook names none; ``language`` is in lower case, or empty.
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
    """Return ``problem`` and ``problem_sentence`` of ``facts`` for a notebook that cannot run."""
    said = sentences.of_error(error)
    return {"problem": said, "problem_sentence": sentences.as_json(said)}


def kernel_name(notebook: Json) -> str | None:
    """Return the name of the kernel that the notebook asks for, or None."""
    name = _object(notebook["metadata"].get("kernelspec")).get("name")
    return name if isinstance(name, str) else None


def language(notebook: Json) -> str:
    """Return the language in the notebook's metadata, or an empty text."""
    metadata = notebook["metadata"]
    said = _object(metadata.get("kernelspec")).get("language")
    said = said or _object(metadata.get("language_info")).get("name")
    return said if isinstance(said, str) else ""


def _parsed(data: bytes) -> Json:
    if not data.strip():
        _refuse(say("notebook-empty", "is not a notebook: it is empty. Choose another file"))
    try:
        # The first bytes show a byte-order mark, UTF-16 and UTF-32 (RFC 4627, 3).
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
    except RecursionError:  # the depth is checked later
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
    """Return the cells of a notebook of format 2 or 3."""
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
    """Fill in the fields that readers of a cell expect; refuse a malformed cell.

    Args:
        cell: a cell of the notebook.
        number: its position, from 1, for messages.
        code_field: the field that holds a code cell's text.
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
    if not isinstance(cell.get("level", 1), int):  # the level of a heading, before 2015
        del cell["level"]
    _check_attachments(cell, number)


def _text(value: Any, number: int, field: str) -> str:
    """Return a text that may be stored as a list of lines."""
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
    """Refuse attachments that do not map file name -> media type -> content."""
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
    """Write the facts of the notebook on standard input as JSON."""
    sys.stdout.write(json.dumps(facts(sys.stdin.buffer.read())))
