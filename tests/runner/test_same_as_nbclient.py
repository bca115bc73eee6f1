"""The notebooks that nbclient, nbconvert and papermill test themselves with end here as there.

They come with the packages' sources, which are downloaded and not installed. nbclient's own are
run each time, those of the other two with JUPYTER_KUEUE_TEST_ALL_NOTEBOOKS=1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from jupyter_kueue.contract import pod_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.runner.pod import Job

SOURCES = Path(__file__).parents[2] / "requirements" / "notebooks.txt"
# They go on until they are interrupted, or until another notebook runs beside them.
ENDLESS = (
    "Interrupt.ipynb",
    "Parallel Execute A.ipynb",
    "Parallel Execute B.ipynb",
    "keyboard_interrupt.ipynb",
)
# Their outputs are of random numbers: the kinds are compared.
RANDOM = ("notebook2.ipynb",)
# Longer than any of them takes, and less than the pod is waited for.
SECONDS = 50
ALL = bool(os.environ.get("JUPYTER_KUEUE_TEST_ALL_NOTEBOOKS"))
# Run by Python: executes a notebook as bare nbclient does and prints how it ended.
BARE = """
import sys, nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
path, folder = sys.argv[1:]
notebook = nbformat.read(path, as_version=4)
client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": folder}})
try:
    client.execute()
    print("succeeded")
except CellExecutionError:
    print("notebook-failed")
except DeadKernelError:
    print("kernel-died")
nbformat.write(notebook, path)
"""
# What differs from run to run.
VARYING = re.compile(
    r"0x[0-9a-f]{6,}|ipykernel_\d+|\b[0-9a-f]{32}\b|\b\d+(?:\.\d+)? [mµn]?s\b"
    r"|\d{4}-\d\d-\d\d[T ][\d:.]+|/\S*/(?:bare|workspace)\b"
)


def notebooks(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Download the packages and yield each notebook that they are tested with: name, content."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
            *("--no-deps", "--no-build-isolation", "--no-binary", "nbclient,nbconvert"),
            *("--dest", str(folder), "-r", str(SOURCES)),
        ],
        check=True,
    )
    for path in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                if is_wanted(member.name) and (file := archive.extractfile(member)):
                    yield member.name, file.read()
    for path in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if is_wanted(name):
                    yield name, wheel.read(name)


def is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    of_tests = path.suffix == ".ipynb" and "tests" in path.parts and path.name not in ENDLESS
    return of_tests and (ALL or name.startswith("nbclient"))


def outputs_of(cell: Any, *, is_random: bool) -> list[Any]:
    """Return a cell's outputs with the pieces of one stream joined, less what varies."""
    if is_random:
        return [(out.output_type, sorted(out.get("data", ()))) for out in cell.get("outputs", ())]
    joined: list[Any] = []
    for out in cell.get("outputs", ()):
        last = joined[-1] if joined else {}
        if out.output_type == "stream" == last.get("output_type") and out.name == last["name"]:
            last["text"] += out.text
        else:
            joined.append(dict(out))
        # An SVG has random ids in it.
        data = joined[-1].get("data", {})
        joined[-1] |= {"data": {**data, "image/svg+xml": ""}} if "image/svg+xml" in data else {}
    found: list[Any] = json.loads(VARYING.sub("…", json.dumps(joined)))
    return found


def compare(
    new_run: Callable[..., Job], folder: Path, content: bytes, *, is_random: bool
) -> str | None:
    """Run a notebook both ways and return where the two differ, None where they do not."""
    (folder / "bare").mkdir(parents=True)
    path = folder / "bare.ipynb"
    path.write_bytes(content)
    try:
        bare = subprocess.run(
            [sys.executable, "-c", BARE, str(path), str(folder / "bare")],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"bare nbclient: not at its end after {SECONDS} s"
    run = new_run(content=content, kernel_name="python3", timeout_seconds=SECONDS)
    pod = run.run()
    ended = pod_contract.OUTCOME_OF_EXIT_CODE.get(pod.exit_code)
    if bare.returncode != 0:
        is_refused = ended == pod_contract.NOTEBOOK_FAILED
        return None if is_refused else f"bare nbclient: {bare.stderr[-300:]}; here: {ended}"
    if ended != bare.stdout.strip():
        return f"bare nbclient: {bare.stdout.strip()}; here: {ended} {pod.log[-300:]}"
    if ended == pod_contract.KERNEL_DIED:
        return None  # another attempt may follow, so that nothing is kept yet
    theirs = nbformat.read(path, as_version=4).cells
    ours = nbformat.reads(run.output("train.ipynb").decode(), as_version=4).cells
    error = run.result["error"]
    # Cells that were not reached keep their old outputs there, and have none here.
    reached = len(ours) if error is None else error["cell_index"] + 1
    for at, (one, other) in enumerate(zip(ours[:reached], theirs[:reached], strict=True)):
        if one.cell_type == "code" and not one.source.strip():
            continue  # not run, and what it held is left out here: docs/rest.md says so
        if one.get("execution_count") != other.get("execution_count"):
            return f"cell {at}: {one.execution_count} is not {other.execution_count}"
        ours_of, theirs_of = (outputs_of(cell, is_random=is_random) for cell in (one, other))
        if ours_of != theirs_of:
            return f"cell {at}: {ours_of} is not {theirs_of}"[:2000]
    return None


def test_their_own_notebooks_end_as_under_bare_nbclient(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    found = list(notebooks(tmp_path / "sources"))
    assert len(found) >= (66 if ALL else 20)

    def differs(numbered: tuple[int, tuple[str, bytes]]) -> str | None:
        number, (name, content) = numbered
        is_random = name.endswith(RANDOM)
        why = compare(new_run, tmp_path / str(number), content, is_random=is_random)
        return why and f"{name}: {why}"

    with ThreadPoolExecutor(4) as pool:
        differences = [why for why in pool.map(differs, enumerate(found)) if why]
    if differences:
        pytest.fail("\n".join(differences))
