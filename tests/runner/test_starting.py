"""A pod's first second: inputs, kernel and ``execute`` come up side by side."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from jupyter_kueue.contract import pod_contract
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job, Pod

pytestmark = pytest.mark.integration


def kernels(pod: Pod) -> list[psutil.Process]:
    """Return the processes below the one that the notebook container's runs the notebook in."""
    return [
        kernel
        for client in psutil.Process(pod.notebook.pid).children()
        for kernel in client.children()
    ]


def test_the_kernel_comes_up_before_the_inputs(new_run: Callable[..., Job]) -> None:
    pod = new_run("import os\nprint(os.getpid())").pod()
    pod.start()
    early = until(lambda: kernels(pod), "a kernel runs")[0]
    assert pod.control(pod_contract.RUN_FILE) is None

    assert pod.stage_in() == 0
    assert pod.wait() == 0, pod.log
    assert str(early.pid) in pod.log.splitlines()
    pod.stop_sidecar()


def test_inputs_that_never_come(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)")
    pod = run.pod()
    pod.start()
    kernel = until(lambda: kernels(pod), "a kernel runs")[0]
    (pod.folder / "bucket" / "endpoint").write_text("http://127.0.0.1:9")  # nobody answers there
    staging = pod.start_stage_in()
    until((pod.folder / "runner" / pod_contract.STAGE_IN_LOCK_FILE).exists, "stage-in is at work")
    staging.kill()
    staging.wait()

    assert pod.wait() == pod_contract.EXIT_STAGING
    assert "The inputs were not fetched" in pod.termination_message
    assert not kernel.is_running()
    pod.stop_sidecar()


def test_stage_in_that_fails_ends_the_notebook_container(new_run: Callable[..., Job]) -> None:
    pod = new_run("print(1)").pod(**{pod_contract.ENV_OWNER: "nobody"})
    pod.staging[pod_contract.ENV_OWNER] = "nobody"
    pod.staging[pod_contract.ENV_STAGING_SECONDS] = "0.5"
    pod.start()
    assert pod.stage_in() == pod_contract.EXIT_STAGING
    assert pod.wait() == pod_contract.EXIT_STAGING
    pod.stop_sidecar()


def test_sigterm_while_the_inputs_are_awaited(new_run: Callable[..., Job]) -> None:
    pod = new_run("print(1)").pod()
    pod.start()
    kernel = until(lambda: kernels(pod), "a kernel runs")[0]
    pod.notebook.send_signal(signal.SIGTERM)

    assert pod.wait() == pod_contract.EXIT_INTERRUPTED
    assert "stopped the run while inputs were fetched" in pod.termination_message
    assert not kernel.is_running()
    pod.stop_sidecar()


def test_sigterm_before_anything(new_run: Callable[..., Job]) -> None:
    pod = new_run("print(1)").pod()
    pod.start_notebook()
    until(lambda: _heeds_sigterm(pod.notebook.pid), "it listens")
    pod.notebook.send_signal(signal.SIGTERM)
    assert pod.wait() == pod_contract.EXIT_INTERRUPTED


def test_another_kernel_of_the_same_name_comes_first(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    own = {"argv": launch, "display_name": "Own", "language": "python", "env": {"WHOSE": "own"}}
    (spec / "kernel.json").write_text(json.dumps(own))

    pod = new_run("import os\nprint('of', os.environ.get('WHOSE'))").run(JUPYTER_PATH=str(tmp_path))
    assert pod.exit_code == 0, pod.log
    assert "of own" in pod.log


def test_debugpy_is_there_for_a_notebook(new_run: Callable[..., Job]) -> None:
    pod = new_run("import debugpy\nprint('has', debugpy.__version__)").run()
    assert pod.exit_code == 0, pod.log
    assert "has 1" in pod.log


def test_a_file_left_open_is_written(new_run: Callable[..., Job]) -> None:
    run = new_run("file = open('left-open.txt', 'w')\nfile.write('all of it');")
    pod = run.run()
    assert pod.exit_code == 0, pod.log
    assert run.output("left-open.txt") == b"all of it"


def test_a_notebooks_own_garbage_is_collected(new_run: Callable[..., Job]) -> None:
    pod = new_run(
        "import gc\nclass Cycle:\n    def __init__(self): self.itself = self\n"
        "    def __del__(self): print('collected')\n"
        "Cycle()\nprint('collects:', gc.isenabled())\ngc.collect();"
    ).run()
    assert pod.exit_code == 0, pod.log
    assert "collects: True\ncollected" in pod.log


def _heeds_sigterm(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught & 1 << (signal.SIGTERM - 1))


def test_stage_in_stays_until_the_pod_ends_and_keeps_nothing(new_run: Callable[..., Job]) -> None:
    pod = new_run("print(1)").pod()
    staging = pod.start_stage_in()
    pod.start()
    assert pod.wait() == 0, pod.log
    # A container that had ended would leave the pod not ready, and Kueue would evict the run.
    process = psutil.Process(staging.pid)
    assert "stage_in" not in " ".join(process.cmdline())
    assert process.memory_info().rss < 20 * 2**20
    staging.terminate()
    assert staging.wait(10) == 0
    pod.stop_sidecar()


def test_a_stage_in_that_was_killed_and_started_again_fetches_nothing(
    new_run: Callable[..., Job],
) -> None:
    pod = new_run("print(1)").pod()
    assert pod.stage_in() == 0
    notebook = pod.folder / "workspace" / "a.ipynb"
    notebook.write_text("being run")
    again = pod.start_stage_in()
    until(lambda: "-I" in psutil.Process(again.pid).cmdline(), "it waits")
    assert pod.end_stage_in(again) == 0
    assert notebook.read_text() == "being run"
