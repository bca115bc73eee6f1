"""A notebook as the text of its file, encoded repeatedly while its outputs grow.

The text is the same as nbformat's, but encoded parts are kept, so that each save costs only what is
new. Large JSON in an output is written on one line, which is ten times as fast in Python.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring as _quoted
from typing import Any

# As in nbformat's rwbase: what a file stores as lists of lines.
_SPLIT_MIME_TYPES = ("application/javascript", "image/svg+xml")
_NOT_STORED = ("orig_nbformat", "orig_nbformat_minor", "signature")

# Longer JSON is written without line breaks.
LARGE_CHARACTERS = 2**20

# For a notebook on a nearly full disk: the limit of one output, and of all together.
MAX_CUT_OUTPUT_BYTES = 100_000
MAX_CUT_BYTES = 2 * 2**20

# The parts of an output that hold texts of many lines.
_BUNDLES = ("data", "metadata")

# The place of a notebook's cells, and of a cell's outputs, in their text.
_NO_CELLS = '\n "cells": []'
_NO_OUTPUTS = '\n "outputs": []'
# Precedes each line of a cell, and of an output, in the notebook's text.
_CELL_INDENT = "\n  "
_OUTPUT_INDENT = "\n    "


class NotebookText:
    """The text of ``notebook``, a node of nbformat 4.

    After each change of a cell, call ``touch``, or ``extend`` if outputs were only added at its
    end; the last output may still grow.
    """

    def __init__(self, notebook: Any) -> None:
        self._notebook = notebook
        self._cells: dict[int, list[bytes]] = {}
        self._growing: dict[int, _GrowingCell] = {}

    def touch(self, cell_index: int) -> None:
        """Note that a cell was changed in any way."""
        self._cells.pop(cell_index, None)
        self._growing.pop(cell_index, None)

    def extend(self, cell_index: int) -> None:
        """Note that a cell has more outputs, or that its last one has grown."""
        self._cells.pop(cell_index, None)

    def encode(self) -> list[bytes]:
        """Return the text in UTF-8, as consecutive parts."""
        cells = self._notebook.get("cells", [])
        metadata = {k: v for k, v in self._notebook["metadata"].items() if k not in _NOT_STORED}
        frame = _dumps({**self._notebook, "metadata": metadata, "cells": []})
        before, after = frame.split(_NO_CELLS, 1)
        if not cells:
            return [_encoded(f"{frame}\n")]
        parts = [_encoded(f'{before}\n "cells": [')]
        for index in range(len(cells)):
            parts.append(_encoded(("," if index else "") + _CELL_INDENT))
            parts += self._cell(index, cells[index])
        parts.append(_encoded(f"\n ]{after}\n"))
        return parts

    def _cell(self, index: int, cell: Any) -> list[bytes]:
        parts = self._cells.get(index)
        if parts is None:
            growing = self._growing.setdefault(index, _GrowingCell())
            parts = self._cells[index] = growing.encode(cell)
        return parts


class _GrowingCell:
    """The text of a cell's outputs; a stream at the end may still grow and is not kept."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._count = 0

    def encode(self, cell: Any) -> list[bytes]:
        frame = _dumps(_stored_cell(cell)).replace("\n", _CELL_INDENT)
        outputs = cell.get("outputs") if cell.get("cell_type") == "code" else None
        if not outputs:
            return [_encoded(frame)]
        mark = _NO_OUTPUTS.replace("\n", _CELL_INDENT)
        before, after = frame.split(mark, 1)
        growing = outputs[-1].get("output_type") == "stream"
        done = len(outputs) - 1 if growing else len(outputs)
        new = [self._output(at, outputs[at]) for at in range(self._count, done)]
        if new:
            self._done.append(b"".join(new))
            self._count = done
        return [
            _encoded(f"{before}{mark[:-1]}"),
            *self._done,
            *([self._output(done, outputs[done])] if growing else ()),
            _encoded(f"{_CELL_INDENT} ]{after}"),
        ]

    def _output(self, at: int, output: Any) -> bytes:
        try:
            text = _object_text(_stored_output(output))
        except RecursionError:
            text = _object_text(_stored_output(_word("it is nested too deep to be written.")))
        text = text.replace("\n", _OUTPUT_INDENT)
        return _encoded(("," if at else "") + _OUTPUT_INDENT + text)


def cut_text(notebook: Any) -> list[bytes]:
    """Return a notebook's text with a note in place of each large output."""
    room = MAX_CUT_BYTES
    cells = []
    for cell in notebook["cells"]:
        outputs = []
        for output in cell.get("outputs") or ():
            size = len(_object_text(_stored_output(output)))
            if size <= min(MAX_CUT_OUTPUT_BYTES, room):
                outputs.append(output)
                room -= size
            elif room > 0:
                word = _word(f"the disk was full, and it takes {size:,} bytes.")
                outputs.append(word)
                room -= len(word["text"])
        cells.append({**cell, "outputs": outputs} if "outputs" in cell else cell)
    return NotebookText({**notebook, "cells": cells}).encode()


def _word(why: str) -> dict[str, Any]:
    """Return the output that stands in for one that is left out."""
    text = f"--- An output is left out here: {why}\n"
    return {"output_type": "stream", "name": "stderr", "text": text}


def _stored_cell(cell: Any) -> dict[str, Any]:
    """Return a cell as stored in files, without its outputs."""
    stored = dict(cell)
    if isinstance(stored.get("source"), str):
        stored["source"] = stored["source"].splitlines(keepends=True)
    if "attachments" in stored:
        bundles = stored["attachments"].items()
        stored["attachments"] = {name: _stored_bundle(bundle) for name, bundle in bundles}
    stored["metadata"] = {k: v for k, v in stored["metadata"].items() if k != "trusted"}
    if stored.get("cell_type") == "code":
        stored["outputs"] = []
    return stored


def _stored_output(output: Any) -> dict[str, Any]:
    stored = dict(output)
    kind = stored.get("output_type")
    if kind in ("execute_result", "display_data"):
        stored["data"] = _stored_bundle(stored.get("data", {}))
    elif kind == "stream" and isinstance(stored.get("text"), str):
        stored["text"] = stored["text"].splitlines(keepends=True)
    return stored


def _stored_bundle(bundle: Any) -> dict[str, Any]:
    return {
        kind: value.splitlines(keepends=True)
        if isinstance(value, str) and (kind.startswith("text/") or kind in _SPLIT_MIME_TYPES)
        else value
        for kind, value in bundle.items()
    }


def _object_text(value: dict[str, Any]) -> str:
    """Return an output, or a part of it, as ``_dumps`` does, which is slow for many lines."""
    if not value:
        return "{}"
    items = (
        f"{_quoted(key)}: {_indented(_value_text(value[key], is_bundle=key in _BUNDLES))}"
        for key in sorted(value)
    )
    return "{\n " + ",\n ".join(items) + "\n}"


def _value_text(value: Any, *, is_bundle: bool) -> str:
    if isinstance(value, str):
        return str(_quoted(value))
    if is_bundle and isinstance(value, dict):
        return _object_text(value)
    if isinstance(value, list) and value and set(map(type, value)) == {str}:
        return "[\n " + ",\n ".join(map(_quoted, value)) + "\n]"
    compact = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ": "))
    return compact if len(compact) > LARGE_CHARACTERS else _dumps(value)


def _indented(text: str) -> str:
    return text.replace("\n", "\n ")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))


def _encoded(text: str) -> bytes:
    # A lone surrogate, which a kernel may print, becomes an escape that is valid in JSON.
    return text.encode("utf-8", "backslashreplace")
