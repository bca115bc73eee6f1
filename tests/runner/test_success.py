"""A notebook that comes to its end: what is in the bucket afterwards."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract
from tests.support.notebooks import cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job

PLOT = """
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot([1, 2, 3]); plt.show()
"""

PARAMETERS: dict[str, Any] = {
    "text": 'it\'s "quoted" \\ and\nü',
    "flag": True,
    "nothing": None,
    "many": [1, 2.5, "x", [False]],
    "mapping": {"a b": 1, "c": None},
}


def outputs_of(run: Job, path: str = "train.ipynb") -> list[str]:
    """Return the text each code cell printed."""
    cells = json.loads(run.output(path))["cells"]
    return [
        "".join("".join(out.get("text", "")) for out in cell["outputs"])
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def test_a_run_with_everything(new_run: Callable[..., Job]) -> None:
    run = new_run(
        cell("text = flag = nothing = many = mapping = 'default'", "parameters"),
        "import json; print(json.dumps([text, flag, nothing, many, mapping]))",
        "print(open('data.csv').read())",
        PLOT,
        "import os; os.makedirs('out/deep'); open('out/deep/new.txt', 'w').write('new')\n"
        "open('data.csv', 'a').write('3,4'); open('run.log', 'w').write('mine')\n"
        "os.symlink('/etc/hostname', 'leak'); os.mkfifo('pipe'); os.makedirs('__pycache__')\n"
        "open('__pycache__/x.pyc', 'w').write('x'); open('train.html', 'w').write('mine too')\n"
        "open('we\\nird\\\\na me ü😀#?.txt', 'w').write('odd')",
        "print(sorted(name for name in os.environ if name.startswith('JUPYTER_KUEUE')))",
        files={"data.csv": b"1,2\n", "unused.bin": b"\x00" * 10},
        parameters=PARAMETERS,
        output_formats=["ipynb", "html", "nonsense"],
    )

    pod = run.run()

    assert pod.exit_code == 0, pod.log
    result = run.result
    assert result["outcome"] == "succeeded"
    assert result["run_id"] == run.id
    assert result["pod_uid"] == pod.uid
    assert (result["cells"], result["cells_done"]) == (7, 7)  # with the injected one
    assert result["error"] is None
    assert result["attempt_uids"] == [pod.uid]
    assert result["peak_memory_bytes"] > 10_000_000

    printed = outputs_of(run)
    assert json.loads(printed[2]) == list(PARAMETERS.values())
    assert printed[3] == "1,2\n\n"
    assert "JUPYTER_KUEUE_RUN_ID" in printed[6]
    assert pod_contract.ENV_CONTROL_DIR not in printed[6]
    images = [
        out
        for one in json.loads(run.output("train.ipynb"))["cells"]
        for out in one["outputs"]
        if "image/png" in out.get("data", {})
    ]
    assert len(images) == 1

    files = {file["path"]: file for file in result["files"]}
    assert {path: file["role"] for path, file in files.items()} == {
        "train.ipynb": "notebook",
        "train.html": "export",
        "data.csv": "side-effect",
        "out/deep/new.txt": "side-effect",
        "run.log": "side-effect",
        "train-1.html": "side-effect",
        "we_ird_na me ü😀#?.txt": "side-effect",
        "run-1.log": "log",
    }
    assert result["files"][0]["path"] == "train.ipynb"
    for path, file in files.items():
        data = run.output(path)
        assert len(data) == file["size_bytes"], path
        assert hashlib.sha256(data).hexdigest() == file["sha256"], path
    assert b"<html" in run.output("train.html")
    assert b"image/png" in run.output("train.html")
    assert run.output("run.log") == b"mine"
    assert b"1,2" in run.output("run-1.log")
    assert list(result["format_errors"]) == ["nonsense"]
    assert "nonsense" in result["format_errors"]["nonsense"]
    said = result["format_error_sentences"]["nonsense"]
    assert (said["code"], said["values"]["format"]) == ("export-failed", "nonsense")

    assert pod.attempt["reason"] == "succeeded"
    assert pod.attempt["cells_done"] == 7
    assert pod.attempt["ended_at"] >= pod.attempt["started_at"]


def test_a_notebook_in_a_folder_of_odd_names(new_run: Callable[..., Job]) -> None:
    name = "nötes & co/my run #1.ipynb"
    run = new_run(
        "from helper import answer; print(answer)",
        "import os; print(os.path.basename(os.getcwd()))",
        name=name,
        files={"nötes & co/helper.py": b"answer = 42", "top.txt": b""},
        include_folder=True,
        metadata={"kernelspec": {"name": "python3", "display_name": "x"}},
        parameters={"x": 1},  # no cell is tagged: the injected one comes first
    )

    pod = run.run()

    assert pod.exit_code == 0, pod.log
    assert outputs_of(run, name)[1:] == ["42\n", "nötes & co\n"]
    assert [file["path"] for file in run.result["files"]] == [name, "run.log"]


def test_a_large_output_file(new_run: Callable[..., Job]) -> None:
    run = new_run("import os; open('big.bin', 'wb').write(os.urandom(50_000_001));")

    pod = run.run()

    assert pod.exit_code == 0, pod.log
    big = next(file for file in run.result["files"] if file["path"] == "big.bin")
    assert big["size_bytes"] == 50_000_001
    assert hashlib.sha256(run.output("big.bin")).hexdigest() == big["sha256"]


def test_errors_a_cell_may_raise(new_run: Callable[..., Job]) -> None:
    run = new_run(cell("1 / 0", "raises-exception"), "print('went on')")

    assert run.run().exit_code == 0
    assert outputs_of(run)[1] == "went on\n"


def test_progress_bars_and_many_lines_are_one_output(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "for n in range(500): print(n, flush=True)\nfor n in range(9): print(f'\\r{n} %', end='')"
    )

    assert run.run().exit_code == 0
    only = json.loads(run.output("train.ipynb"))["cells"][0]
    assert len(only["outputs"]) == 1
    lines = "".join(f"{n}\n" for n in range(500))
    bar = "".join(f"\r{n} %" for n in range(9))
    assert "".join(only["outputs"][0]["text"]) == lines + bar


@pytest.mark.parametrize("tags", [None, "parameters", 7, {"parameters": 1}])
def test_notebooks_that_other_programs_wrote(new_run: Callable[..., Job], tags: Any) -> None:
    first = {**cell("a = 1"), "metadata": {"tags": tags}}
    bare = {"cell_type": "code", "source": "print('a is', a)"}
    text = {"cell_type": "markdown", "source": "words", "metadata": None}
    content = {"nbformat": 4, "nbformat_minor": 4, "cells": [first, text, bare]}
    run = new_run(content=json.dumps(content).encode(), parameters={"a": "$(id) 😀"})

    pod = run.run()

    assert pod.exit_code == 0, pod.log
    shown = outputs_of(run)[-1]
    # After the cell of the defaults, where one says so.
    assert shown == ("a is $(id) 😀\n" if tags == "parameters" else "a is 1\n")
