"""The tests of the installed jupyter-scheduler, run against this package's classes.

They run in a process of their own, because they need a pytest set up as upstream has it. The file
is the installed one: a new release that tests more is tested against at once. Which of upstream's
tests cannot apply, and why, is in docs/jupyter-scheduler.md; test_upstream_scheduler.py has those
that were ported.
"""

from __future__ import annotations

import ast
import collections
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import jupyter_scheduler
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.programs

HANDLERS = Path(jupyter_scheduler.__file__).parent / "tests" / "test_handlers.py"
CONFTEST = Path(__file__).with_name("upstream_conftest.py")
THEIR_CLASS = "jupyter_scheduler.scheduler.Scheduler."
OUR_CLASS = "jupyter_kueue.scheduler.KueueScheduler."


def names() -> list[str]:
    defined = ast.parse(HANDLERS.read_text()).body
    functions = [
        item for item in defined if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [item.name for item in functions if item.name.startswith("test_")]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """What became of each case of each test: empty where it passed, else what pytest says."""
    folder = tmp_path_factory.mktemp("upstream")
    source = HANDLERS.read_text()
    assert THEIR_CLASS in source
    (folder / "test_handlers.py").write_text(source.replace(THEIR_CLASS, OUR_CLASS))
    (folder / "pytest.ini").write_text("[pytest]\n")
    shutil.copy(CONFTEST, folder / "conftest.py")
    report = folder / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider"),
            *(f"--junitxml={report}", "test_handlers.py"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=550,
    )
    assert report.exists(), done.stdout + done.stderr
    found = collections.defaultdict(list)
    for case in ET.parse(report).iter("testcase"):
        problems = [item for kind in ("failure", "error") for item in case.iter(kind)]
        name = str(case.get("name")).partition("[")[0]
        found[name].append("\n".join(item.text or "" for item in problems))
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", names())
def test_handlers(outcomes: Mapping[str, list[str]], name: str):
    assert outcomes[name], "it was not run"
    assert not any(outcomes[name]), "\n".join(outcomes[name])
