"""The text of a notebook while it grows: always what nbformat would write."""

from __future__ import annotations

from typing import Any

import nbformat
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import v4

from jupyter_kueue.runner.notebook.notebook_text import NotebookText

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['\n "outputs": []', '\n "cells": []', "a\rb\r\nc\u2028d\x85e", "\x00\x1b[31m", '"', "\\"]
)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, st.lists, max_leaves=4)
OUTPUTS = st.one_of(
    st.builds(lambda name, text: v4.new_output("stream", name=name, text=text), TEXT, TEXT),
    st.builds(
        lambda data: v4.new_output("display_data", data=data),
        st.dictionaries(
            st.sampled_from(["text/plain", "image/svg+xml", "image/png", "text/x"]), TEXT
        )
        | st.dictionaries(st.just("application/json"), JSON),
    ),
    st.builds(
        lambda lines: v4.new_output("error", ename="E", evalue="v", traceback=lines),
        st.lists(TEXT, max_size=3),
    ),
)


def cells() -> list[Any]:
    attached = v4.new_markdown_cell("![x](attachment:x.svg)\nü")
    attached["attachments"] = {"x.svg": {"image/svg+xml": "<svg>\n</svg>"}}
    trusted = v4.new_code_cell('a = 1\n "outputs": []\nb', metadata={"trusted": True, "k": [1]})
    return [attached, trusted, v4.new_raw_cell(""), v4.new_code_cell("")]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "grow", "clear", "change", "save"]), OUTPUTS),
        max_size=12,
    ),
    st.dictionaries(st.sampled_from(["Aa", "signature", "zz", "cells"]), TEXT),
)
def test_it_is_what_nbformat_writes(steps: list[tuple[str, Any]], metadata: Any) -> None:
    notebook = v4.new_notebook(cells=cells(), metadata=metadata)
    text = NotebookText(notebook)
    for at, (step, output) in enumerate(steps):
        index = 1 if at < 8 else 3
        outputs = notebook.cells[index].outputs
        if step == "add":
            outputs.append(output)
            text.extend(index)
        elif step == "grow" and outputs and outputs[-1].output_type == "stream":
            outputs[-1].text += "more\n"
            text.extend(index)
        elif step == "clear":
            outputs[:] = []
            text.touch(index)
        elif step == "change" and outputs:
            outputs[0] = output
            text.touch(index)
        elif step == "save":
            assert b"".join(text.encode()).decode() == v4.writes(notebook) + "\n"
    assert b"".join(text.encode()).decode() == v4.writes(notebook) + "\n"


def test_an_empty_notebook() -> None:
    notebook = v4.new_notebook()
    assert b"".join(NotebookText(notebook).encode()).decode() == v4.writes(notebook) + "\n"


def test_half_a_character_is_read_back() -> None:
    notebook = v4.new_notebook(cells=[v4.new_code_cell("")])
    notebook.cells[0].outputs = [v4.new_output("stream", text="a\ud800b")]
    read = nbformat.reads(b"".join(NotebookText(notebook).encode()).decode(), as_version=4)
    assert read.cells[0].outputs[0].text == "a\ud800b"


def test_large_json_is_the_same_in_another_layout() -> None:
    data = [{"a": [1, "b", None], "ü": {"x": 1.5}}] * 35_000
    notebook = v4.new_notebook(cells=[v4.new_code_cell("")])
    shown = v4.new_output("display_data", data={"application/json": data, "text/plain": "a\nb"})
    notebook.cells[0].outputs = [shown, shown]
    text = b"".join(NotebookText(notebook).encode()).decode()
    assert nbformat.reads(text, as_version=4) == notebook
    assert text.count("\n") < 50


def test_json_too_deep_for_the_encoder_costs_its_output_alone() -> None:
    deep: Any = []
    for _ in range(3_000):
        deep = [deep]
    notebook = v4.new_notebook(cells=[v4.new_code_cell("")])
    notebook.cells[0].outputs = [v4.new_output("stream", text="a\n")]
    shown = nbformat.NotebookNode(output_type="display_data", metadata=nbformat.NotebookNode())
    dict.__setitem__(shown, "data", {"application/json": deep})
    notebook.cells[0].outputs.append(shown)
    read = nbformat.reads(b"".join(NotebookText(notebook).encode()).decode(), as_version=4)
    assert read.cells[0].outputs[0].text == "a\n"
    assert "nested too deep" in read.cells[0].outputs[1].text
