"""Notebooks that do not come to a good end: what each leaves, and with which exit code."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract
from tests.support.notebooks import cell
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job

# Tells through a file that the cell runs, then computes for ever.
RUNS_LONG = """
import os, time
print('first words', flush=True)
open('running', 'w').close()
try:
    while True: time.sleep(0.01)
finally:
    print('last words', flush=True)
"""


def test_a_cell_that_raises(new_run: Callable[..., Job]) -> None:
    run = new_run("x = 1", "print('before'); raise ValueError('no such <thing>')", "print('never')")

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_NOTEBOOK_FAILED
    assert "ValueError: no such <thing>" in pod.termination_message
    assert pod.termination_message.startswith("Cell 2 failed: ValueError: no such")
    result = run.result
    assert result["outcome"] == "notebook-failed"
    assert result["cells_done"] == 1
    error = result["error"]
    assert (error["name"], error["value"]) == ("ValueError", "no such <thing>")
    assert error["cell_index"] == 1
    assert "raise ValueError" in error["cell_source"]
    assert any("ValueError" in line for line in error["traceback"])
    cells = json.loads(run.output("train.ipynb"))["cells"]
    assert [out["output_type"] for out in cells[1]["outputs"]] == ["stream", "error"]
    assert cells[2]["execution_count"] is None
    assert b"no such <thing>" in run.output("run.log")
    assert pod.attempt["reason"] == "notebook-failed"
    said = {"cell": 2, "error": "ValueError: no such <thing>"}
    assert result["sentence"] == {"code": "cell-failed-because", "values": said}
    assert pod.attempt["sentence"] == result["sentence"]


def test_a_kernel_that_is_killed(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "print('done')",
        "import os, signal; print('so far', flush=True)\n"
        "import time; time.sleep(0.2); os.kill(os.getpid(), signal.SIGKILL)",
    )

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_KERNEL_DIED
    assert "was killed in cell 2 of 2" in pod.termination_message
    assert "cell 2 of 2" in pod.termination_message
    assert run.result is None  # another attempt may do better
    live = json.loads(run.read(pod_contract.LIVE_NOTEBOOK_KEY) or b"{}")
    assert live["cells"][1]["outputs"][0]["text"] == ["so far\n"]
    assert pod.attempt["reason"] == "kernel-died"
    assert pod.attempt["cells_done"] == 1


def test_the_time_limit_of_the_run(new_run: Callable[..., Job]) -> None:
    run = new_run("x = 1", RUNS_LONG, "print('never')", timeout_seconds=1.5)

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_TIME_LIMIT
    assert "1.5 s" in pod.termination_message
    result = run.result
    assert result["outcome"] == "time-limit"
    assert result["error"]["cell_index"] == 1
    assert result["cells_done"] == 1
    text = "".join(json.loads(run.output("train.ipynb"))["cells"][1]["outputs"][0]["text"])
    assert text == "first words\nlast words\n"


def test_the_time_limit_of_a_cell(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "import time; time.sleep(0.4)",
        "time.sleep(0.4)",
        # Deaf to the interrupt: its kernel is killed, and what it printed is kept.
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True)\n"
        "time.sleep(60)",
        timeout_seconds=60,
        cell_timeout_seconds=1,
    )

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_TIME_LIMIT
    assert "time limit of 1 s for one cell" in pod.termination_message
    assert "cell 3 of 3" in pod.termination_message
    outputs = json.loads(run.output("train.ipynb"))["cells"][2]["outputs"]
    assert outputs[0]["text"] == ["deaf\n"]


def test_sigterm_while_a_cell_runs(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "import os; open(os.environ['CHECKPOINT_DIR'] + '/step-1', 'w').write('1')", RUNS_LONG
    )
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "workspace" / "running").exists, "the cell runs")
    pod.notebook.send_signal(signal.SIGTERM)

    assert pod.wait() == pod_contract.EXIT_INTERRUPTED
    pod.stop_sidecar()
    assert run.result is None
    assert run.read("checkpoints/step-1") == b"1"
    live = json.loads(run.read(pod_contract.LIVE_NOTEBOOK_KEY) or b"{}")
    assert live["cells"][1]["outputs"][0]["text"] == ["first words\n", "last words\n"]
    assert pod.attempt["reason"] == "interrupted"
    assert pod.attempt["cells_done"] == 1
    assert b"first words" in (run.read(pod_contract.LIVE_LOG_KEY) or b"")

    # The next attempt finds the checkpoint, and what it deletes is deleted for all.
    again = run.pod()
    assert again.stage_in() == 0
    kept = again.folder / "checkpoints" / "step-1"
    assert kept.read_text() == "1"
    kept.unlink()
    (again.folder / "checkpoints" / "step-2").write_text("2")
    again.start()
    until((again.folder / "workspace" / "running").exists, "the cell runs again")
    again.notebook.send_signal(signal.SIGTERM)
    assert again.wait() == pod_contract.EXIT_INTERRUPTED
    again.stop_sidecar()
    assert run.keys("checkpoints") == ["checkpoints/step-1", "checkpoints/step-2"]
    assert sorted(run.keys("attempts")) == sorted(
        f"attempts/{one.uid}.json" for one in (pod, again)
    )


def test_sigterm_before_the_first_cell(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)")
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "control" / pod_contract.NOTEBOOK_FILE).exists, "execute has started")
    pod.notebook.send_signal(signal.SIGTERM)

    assert pod.wait() == pod_contract.EXIT_INTERRUPTED
    pod.stop_sidecar()
    assert run.result is None
    assert pod.attempt["reason"] == "interrupted"


def test_an_unknown_kernel(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)", kernel_name="no-such-kernel")

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_NO_KERNEL
    assert "'no-such-kernel'" in pod.termination_message
    assert "python3" in pod.termination_message  # what there is instead
    assert pod.attempt["reason"] == "no-kernel"


def test_an_environment_without_nbclient(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)")
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start("-I", "-S")  # Python without its packages stands for an image that has none

    assert pod.wait() == pod_contract.EXIT_NO_KERNEL
    assert "pip install nbclient ipykernel" in pod.termination_message
    pod.stop_sidecar()
    assert pod.attempt["reason"] == "no-kernel"


def test_something_that_is_no_notebook(new_run: Callable[..., Job]) -> None:
    run = new_run(content=b"this is not JSON")

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_NOTEBOOK_FAILED, pod.log
    assert "not a valid notebook" in pod.termination_message
    assert run.result["outcome"] == "notebook-failed"
    assert run.output("train.ipynb") == b"this is not JSON"


def test_execute_is_killed_outright(new_run: Callable[..., Job]) -> None:
    """As when the container runs out of memory: only the sidecar is left to tell."""
    run = new_run("print('done')", RUNS_LONG)
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until(
        lambda: (run.read_json(pod_contract.LIVE_PROGRESS_KEY) or {}).get("cell") == 2,
        "cell 2 seen",
    )
    assert run.read_json(pod_contract.LIVE_PROGRESS_KEY)["pod_uid"] == pod.uid
    until(
        lambda: b"first words" in (run.read(pod_contract.LIVE_NOTEBOOK_KEY) or b""),
        "what a long cell printed is in the live notebook while it runs",
    )
    pod.notebook.kill()
    pod.wait()

    pod.stop_sidecar()

    assert run.result is None
    assert pod.attempt["ended_at"] is not None
    assert pod.attempt["reason"] is None  # the pod's status says: OOMKilled
    assert pod.attempt["cells_done"] == 1
    assert b"first words" in (run.read(pod_contract.LIVE_LOG_KEY) or b"")


def test_outputs_of_a_former_run_do_not_survive(new_run: Callable[..., Job]) -> None:
    stale = cell("print('never')")
    stale["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["stale"]}]
    stale["execution_count"] = 7
    run = new_run("1/0", stale)

    run.run()

    assert b"stale" not in run.output("train.ipynb")


def test_the_sidecar_is_killed_and_started_again(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "import os, time; os.mkdir('folder'); os.symlink('nowhere', 'dangling')\n"
        "while not os.path.exists('go'): time.sleep(0.01)"
    )
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until(lambda: (pod.control(pod_contract.PROGRESS_FILE) or {}).get("cell") == 1, "the cell runs")
    pod.sidecar.kill()
    (pod.folder / "workspace" / "go").touch()
    until(lambda: pod.control(pod_contract.ENDED_FILE), "the notebook ended")

    pod.start_sidecar()

    assert pod.wait() == 0
    pod.stop_sidecar()
    assert [file["path"] for file in run.result["files"]] == ["train.ipynb", "go", "run.log"]
    pod.start_sidecar()  # and once more, with its work done
    pod.stop_sidecar()
    assert run.result["pod_uid"] == pod.uid


def test_an_exception_of_megabytes(new_run: Callable[..., Job]) -> None:
    name = "N" * 1000
    run = new_run(
        f"class {name}(ValueError): pass\n" + "# filler\n" * 5_000 + "def f(n):\n"
        f"    if n == 0: raise {name}('x' * 3_000_000)\n    f(n - 1)\nf(600)"
    )

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_NOTEBOOK_FAILED, pod.log[-2000:]
    result = run.result
    assert len(result["message"]) < 1_100
    assert result["message"].startswith("Cell 1 failed: ")
    assert result["sentence"]["code"] == "cell-failed-because"
    assert len(json.dumps(result["sentence"])) < 1_500
    assert pod.termination_message.startswith("Cell 1 failed: ")
    error = result["error"]
    assert error["name"].startswith("NNN")
    assert error["name"].endswith("… (745 more characters; the notebook has all)")
    assert error["value"].endswith("… (2,990,000 more characters; the notebook has all)")
    assert error["cell_source"].startswith(f"class {name}")
    assert "characters in between; the notebook has all" in error["cell_source"]
    assert error["cell_source"].endswith("f(600)")
    assert len(error["traceback"]) <= 202
    assert sum(map(len, error["traceback"])) < 41_000
    assert len(json.dumps(pod.control(pod_contract.ENDED_FILE))) < 100_000
    whole = json.loads(run.output("train.ipynb"))["cells"][0]["outputs"][-1]
    assert len(whole["evalue"]) == 3_000_000
