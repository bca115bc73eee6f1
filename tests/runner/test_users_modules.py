"""Files beside the notebook are called as modules are: the run uses none of them by itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract
from tests.runner.test_kernel_starts import kernelspec
from tests.support.notebooks import notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runner.pod import Job

OTHERS = (
    *("IPython", "ipykernel", "ipykernel_launcher", "jupyter_client", "jupyter_core", "traitlets"),
    *("zmq", "tornado", "comm", "nbclient", "nbformat", "nbconvert", "jupyter_kueue", "obstore"),
    *("dateutil", "psutil", "decorator", "matplotlib_inline", "prompt_toolkit", "wcwidth"),
    *("debugpy", "packaging", "fastjsonschema", "jsonschema", "sitecustomize", "usercustomize"),
)
NAMES = sorted({*sys.stdlib_module_names, *OTHERS} - {"__main__"})
ENDINGS = {
    "print('done')": pod_contract.EXIT_SUCCEEDED,
    "def f(x): return 1 / x\nf(0)": pod_contract.EXIT_NOTEBOOK_FAILED,
}


@pytest.mark.parametrize("name", [None, "wrapped"])
@pytest.mark.parametrize("code", ENDINGS)
def test_no_module_is_taken_from_the_notebooks_folder(
    new_run: Callable[..., Job], tmp_path: Path, code: str, name: str | None
) -> None:
    """All of them at once, and each fails when it is imported."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    files: dict[str, Any] = {f"{module}.py": b"raise RuntimeError(__name__)" for module in NAMES}
    run = new_run(
        content=notebook(code), files=files, kernel_name=name, output_formats=["ipynb", "html"]
    )
    pod = run.run(**kernelspec(tmp_path, argv))

    assert pod.exit_code == ENDINGS[code], pod.log[-3000:]
    outputs = json.loads(run.output("train.ipynb"))["cells"][0]["outputs"]
    shown = "".join(outputs[-1].get("text", [])) or outputs[-1]["evalue"]
    assert shown in ("done\n", "division by zero")
    assert run.result["format_errors"] == {}


@pytest.mark.parametrize("name", [None, "wrapped"])
def test_a_cell_may_import_them(
    new_run: Callable[..., Job], tmp_path: Path, name: str | None
) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    run = new_run(
        content=notebook("import mine\nprint(mine.WORD)"),
        files={"mine.py": b"WORD = 'from beside the notebook'"},
        kernel_name=name,
    )
    pod = run.run(**kernelspec(tmp_path, argv))
    assert pod.exit_code == 0, pod.log
    assert "from beside the notebook" in pod.log
