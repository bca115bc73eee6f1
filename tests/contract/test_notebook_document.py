"""One reader of notebooks: it takes what Jupyter opens, and refuses what could not run."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.contract import notebook_document, notebook_upgrade
from jupyter_kueue.contract.notebook_document import NotebookError


def code(**fields: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": []}
    return {**cell, "execution_count": None, **fields}


def notebook(*cells: Any, **fields: Any) -> dict[str, Any]:
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}
    return {**whole, **fields}


def old(*cells: Any, version: int = 3, **fields: Any) -> dict[str, Any]:
    sheets = [{"cells": list(cells), "metadata": {}}]
    return {"nbformat": version, "metadata": {"name": ""}, "worksheets": sheets, **fields}


def sources(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Read as a run does."""
    data = json.dumps(document).encode()
    upgraded = notebook_upgrade.upgraded(notebook_document.read(data))
    return [(cell.cell_type, cell.source) for cell in upgraded.cells]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json(encoding: str) -> None:
    text = json.dumps(notebook(code(source="print('é')")), ensure_ascii=False)
    [cell] = notebook_document.read(text.encode(encoding))["cells"]
    assert cell["source"] == "print('é')"


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": None},
        {"metadata": []},
        {"nbformat_minor": None},
        {"nbformat_minor": "5"},
        {"metadata": {"kernelspec": None, "language_info": 5}},
        {"metadata": {"kernelspec": {"name": 5, "language": []}}},
    ],
)
def test_what_other_programs_leave_out_or_write_oddly(fields: dict[str, Any]) -> None:
    document = notebook(code(), **fields)
    assert sources(document) == [("code", "1")]
    facts = notebook_document.facts(json.dumps(document).encode())
    assert facts == {
        "kernel_name": None,
        "language": "",
        "nbformat": 4,
        "problem": None,
        "problem_sentence": None,
    }


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "code"},
        code(source=["", ""], metadata=None),
        code(source="", outputs=None),
        code(source="", outputs=[None, 1, {"output_type": []}]),
        code(source="", execution_count="x"),
        code(source="", metadata={"tags": None}),
        code(source="", metadata={"tags": "parameters"}),
        code(source="", metadata={"tags": [1, None]}),
    ],
)
def test_what_cells_may_lack(cell: Any) -> None:
    assert sources(notebook(cell)) == [("code", "")]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (None, "damaged cell 2: it is not an object"),
        (1, "damaged cell 2: it is not an object"),
        ({}, "damaged cell 2: it has no cell_type"),
        (code(cell_type=5), "damaged cell 2: it has no cell_type"),
        (code(source=None), "damaged cell 2: its source is not text"),
        (code(source={}), "damaged cell 2: its source is not text"),
        (code(source=["a", 5]), "damaged cell 2: its source is not text"),
        (code(source="\ud800"), "half a character"),
        (code(metadata={"a": "\udfff"}), "half a character"),
        ({"cell_type": "markdown", "attachments": None}, "damaged cell 2: its attachments"),
        ({"cell_type": "markdown", "attachments": [1]}, "damaged cell 2: its attachments"),
        ({"cell_type": "markdown", "attachments": {"a": None}}, "damaged cell 2: its attachments"),
        (
            {"cell_type": "raw", "attachments": {"a": {"b": 1}}},
            "cell 2: its attachment is not text",
        ),
    ],
)
def test_what_could_not_run_is_refused_and_named(cell: Any, says: str) -> None:
    with pytest.raises(NotebookError, match=says):
        notebook_document.read(json.dumps(notebook(code(), cell)).encode())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"  \n", "it is empty"),
        (b"{'nbformat': 4}", "it is not JSON"),
        (b"\xff\xfe\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[1]", "has no nbformat"),
        (b'{"nbformat": true}', "has no nbformat"),
        (b'{"nbformat": 1}', "old notebook format 1"),
        (b'{"nbformat": 5, "cells": []}', "formats up to 4"),
        (b'{"nbformat": 4}', "no list of cells"),
        (b'{"nbformat": 3, "cells": []}', "no list of worksheets"),
        (b'{"nbformat": 3, "worksheets": [null]}', "no list of cells"),
        (
            json.dumps(notebook(metadata={"a": json.loads("[" * 99 + "]" * 99)})).encode(),
            "deeper than 100",
        ),
    ],
)
def test_what_is_no_notebook(data: bytes, says: str) -> None:
    with pytest.raises(NotebookError, match=says):
        notebook_document.read(data)


@pytest.mark.parametrize("version", [2, 3])
def test_notebooks_of_before_2015(version: int) -> None:
    document = old(
        {"cell_type": "code", "input": ["a\n", "b"], "outputs": [1], "prompt_number": 3},
        {"cell_type": "code", "input": "c", "collapsed": False, "language": "python"},
        {"cell_type": "code"},
        {"cell_type": "heading", "level": 2, "source": "title"},
        {"cell_type": "heading", "level": "x", "source": "title"},
        {"cell_type": "html", "source": "<b>"},
        {"cell_type": "markdown"},
        version=version,
    )
    assert sources(document) == [
        ("code", "a\nb"),
        ("code", "c"),
        ("code", ""),
        ("markdown", "## title"),
        ("markdown", "# title"),
        ("markdown", "<b>"),
        ("markdown", ""),
    ]
    with pytest.raises(NotebookError, match="damaged cell 1: its input is not text"):
        sources(old({"cell_type": "code", "input": None}, version=version))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = ("source", "input", "metadata", "outputs", "attachments", "level", "id", "collapsed")
CELL = st.builds(
    lambda kind, fields: {"cell_type": kind, **fields},
    st.sampled_from(["code", "markdown", "raw", "heading", "html", "other"]),
    st.dictionaries(st.sampled_from(KEYS), JSON | st.just("text"), max_size=4),
)
NOTEBOOK = st.builds(
    lambda version, cells, fields: {
        "nbformat": version,
        "cells": cells,
        "worksheets": [{"cells": cells}],
        **fields,
    },
    st.sampled_from([2, 3, 4]),
    st.lists(CELL | JSON, max_size=3),
    st.dictionaries(st.sampled_from(["metadata", "nbformat_minor", "worksheets", "cells"]), JSON),
)


@settings(deadline=None, max_examples=300)
@given(NOTEBOOK)
def test_whatever_is_accepted_can_be_run_and_saved(document: Any) -> None:
    data = json.dumps(document).encode()
    if notebook_document.facts(data)["problem"] is not None:
        return
    try:
        upgraded = notebook_upgrade.upgraded(notebook_document.read(data))
    except NotebookError:
        # Refused at submission as well, where that is tried.
        assert document["nbformat"] < notebook_document.NBFORMAT
        return
    for cell in upgraded.cells:
        assert isinstance(cell.source, str)
        assert isinstance(cell.metadata, dict)
        assert cell.cell_type != "code" or cell.outputs == []
    nbformat.writes(upgraded)
