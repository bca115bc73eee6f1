"""A disk that is full: it ends the run that does not heed it, by its name, and nobody else's."""

from __future__ import annotations

import json
import subprocess
from typing import IO, TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.runner.pod import Job

DISK_BYTES = 32 * 2**20
FILL = (
    "def fill(name):\n"
    "    with open(name, 'wb', buffering=0) as file:\n"
    "        while True: file.write(bytes(4096))\n"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a small disk of its own, for all volumes of a pod."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root alone, outside of a plain container")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Take what is left of the disk, as a neighbour on the node does."""
    with (disk / "neighbour").open("wb", buffering=0) as file, pytest.raises(OSError, match="28"):
        write_for_ever(file)


def write_for_ever(file: IO[bytes]) -> None:
    while True:
        file.write(bytes(4096))


def on(disk: Path, run: Job) -> Job:
    run.folder = disk
    return run


def outputs(run: Job, cell: int) -> Any:
    return json.loads(run.output("train.ipynb"))["cells"][cell]["outputs"]


def test_a_run_that_heeds_a_full_disk_goes_on(new_run: Callable[..., Job], disk: Path) -> None:
    run = new_run(
        FILL,
        # The log, the notebook and the progress are written, and fail, while nothing is free.
        "import os, time\ntry:\n    fill('big')\nexcept OSError as error: code = error.errno\n"
        "for n in range(30): print('x' * 999, n, flush=True); time.sleep(0.1)\n"
        "os.unlink('big'); print(code == 28)",
        "print('went', 'on')",
    )

    pod = on(disk, run).run()

    assert pod.exit_code == 0, pod.log
    assert run.result["outcome"] == "succeeded"
    assert "".join(outputs(run, 1)[0]["text"]).endswith("x 29\nTrue\n")
    log = run.output("run.log").decode()
    assert "characters of output are missing here" in log
    assert "went on" in log


def test_a_run_that_does_not_is_told_so(new_run: Callable[..., Job], disk: Path) -> None:
    run = new_run("print('first')", FILL + "print('so far'); fill('big')", "print('never')")

    pod = on(disk, run).run()

    assert pod.exit_code == pod_contract.EXIT_DISK_FULL, pod.log
    assert "The disk was full in cell 2 of 3" in pod.termination_message
    assert run.result["outcome"] == "disk-full"
    assert run.result["error"]["cell_index"] == 1
    assert [out["output_type"] for out in outputs(run, 1)] == ["stream", "error"]
    assert pod.attempt["reason"] == "disk-full"


def test_memory_that_a_full_disk_cannot_hold(new_run: Callable[..., Job], disk: Path) -> None:
    run = new_run(
        f"import mmap\nfile = open('big', 'wb+'); file.truncate({2 * DISK_BYTES})\n"
        "memory = mmap.mmap(file.fileno(), 0)\n"
        f"for at in range(0, {2 * DISK_BYTES}, 4096): memory[at] = 1"
    )

    pod = on(disk, run).run()

    assert pod.exit_code == pod_contract.EXIT_DISK_FULL, pod.log
    assert "The disk was full in cell 1 of 1" in pod.termination_message


def test_neighbours_of_who_filled_it(new_run: Callable[..., Job], disk: Path) -> None:
    run = on(
        disk,
        new_run(
            "import os, time\nopen('running', 'w').close()\n"
            "while not os.path.exists('go'): time.sleep(0.01)\nprint('x' * 100_000)",
            "print('to the', 'end')",
        ),
    )
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "workspace" / "running").exists, "the cell runs")
    (pod.folder / "workspace" / "go").touch()
    fill(disk)

    assert pod.wait() == 0, pod.log
    pod.stop_sidecar()
    assert len("".join(outputs(run, 0)[0]["text"])) == 100_001
    assert "".join(outputs(run, 1)[0]["text"]) == "to the end\n"


def test_outputs_that_a_full_disk_cannot_hold(new_run: Callable[..., Job], disk: Path) -> None:
    run = new_run(
        FILL + "try:\n    fill('big')\nexcept OSError: print('caught')",
        "print('x' * 12_000_000)\nprint('y')",
    )

    pod = on(disk, run).run()

    assert pod.exit_code == pod_contract.EXIT_DISK_FULL, pod.log
    assert "without its large outputs" in pod.termination_message
    assert "".join(outputs(run, 0)[0]["text"]) == "caught\n"
    assert "An output is left out here: the disk was full" in "".join(outputs(run, 1)[0]["text"])


def test_a_disk_that_is_full_from_the_start(new_run: Callable[..., Job], disk: Path) -> None:
    run = on(disk, new_run("print('never')"))
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start_sidecar()
    until(
        (pod.folder / "runner" / pod_contract.EXECUTE_FOLDER).exists, "stage-out left the program"
    )
    fill(disk)
    pod.start_notebook()

    # Another attempt, on another node, may find room.
    assert pod.wait() == pod_contract.EXIT_STAGING, pod.log
    assert "the node's disk is full" in pod.log
    pod.stop_sidecar()
