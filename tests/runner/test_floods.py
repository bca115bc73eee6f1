"""Whatever a notebook prints: limits and stops are heeded, and what was printed is kept."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from jupyter_kueue.contract import pod_contract
from tests.support.notebooks import notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runner.pod import Job, Pod

# Each keeps on until it is interrupted; with a mark that must be in the outputs.
FLOODS = {
    "long line": "print('0' * 1_000_000); print('mark', flush=True)\nwhile True: time.sleep(0.01)",
    "longer line": "print('0 ' * 15_000_000 + 'mark')\nwhile True: time.sleep(0.01)",
    "carriage returns": "while True: print('\\r', 7 * '\\b', 'mark', end='')",
    "many pieces": "while True: print('mark', flush=True)",
    "two streams": "while True:\n"
    "    print('mark', flush=True); print('\\x1b[31m.\\x1b[0m', file=sys.stderr, flush=True)",
    "displays": "from IPython.display import display\n"
    "print('mark', flush=True)\nwhile True: display('x', display_id='one')",
}


def outputs(data: bytes, cell: int) -> Any:
    return json.loads(data)["cells"][cell]["outputs"]


def text_of(found: Any) -> str:
    return "".join("".join(out.get("text", "")) for out in found)


def client_of(pod: Pod) -> psutil.Process:
    """Return the process that talks to the kernel."""
    return psutil.Process(pod.notebook.pid).children()[0]


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_at_its_limit(new_run: Callable[..., Job], flood: str) -> None:
    run = new_run("import sys, time", FLOODS[flood], "print('never')", timeout_seconds=2)

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_TIME_LIMIT, pod.log[-2000:]
    assert "in cell 2 of 3" in pod.termination_message
    assert run.result["error"]["cell_index"] == 1
    data = run.output("train.ipynb")
    assert "mark" in text_of(outputs(data, 1))
    assert outputs(data, 1)[-1]["ename"] == "KeyboardInterrupt"
    assert b"mark" in run.output("run.log")


def test_the_kernel_is_interrupted_whatever_execute_is_busy_with(
    new_run: Callable[..., Job],
) -> None:
    """A process that is stopped stands for one that reads what takes very long to read."""
    run = new_run(
        "import time\nprint('so far', flush=True); open('running', 'w').close()\n"
        "try:\n    while True: time.sleep(0.01)\nfinally: open('interrupted', 'w').close()",
        timeout_seconds=3,
    )
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "workspace" / "running").exists, "the cell runs")
    client = client_of(pod)
    client.suspend()
    until((pod.folder / "workspace" / "interrupted").exists, "the cell is interrupted")
    client.resume()

    assert pod.wait() == pod_contract.EXIT_TIME_LIMIT
    pod.stop_sidecar()
    assert "in cell 1 of 1" in pod.termination_message
    assert text_of(outputs(run.output("train.ipynb"), 0)) == "so far\n"


def test_a_pod_that_is_to_stop_ends_whatever_execute_is_busy_with(
    new_run: Callable[..., Job],
) -> None:
    run = new_run(
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "open('running', 'w').close(); time.sleep(600)"
    )
    pod = run.pod(**{pod_contract.ENV_GRACE_PERIOD: "4"})
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "workspace" / "running").exists, "the cell runs")
    client = client_of(pod)
    kernel = client.children()[0]
    client.suspend()
    pod.notebook.send_signal(signal.SIGTERM)

    assert pod.wait() == pod_contract.EXIT_INTERRUPTED
    assert "The cluster stopped the run" in pod.termination_message
    until(lambda: not kernel.is_running() or kernel.status() == "zombie", "the kernel is gone")
    pod.stop_sidecar()


def test_a_client_that_is_killed(new_run: Callable[..., Job]) -> None:
    run = new_run("import time; open('running', 'w').close(); time.sleep(600)")
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "workspace" / "running").exists, "the cell runs")
    client_of(pod).kill()

    assert pod.wait() == 128 + signal.SIGKILL
    assert "SIGKILL" in pod.termination_message
    pod.stop_sidecar()


def test_a_thread_that_floods_at_the_end_keeps_no_kernel_from_its_exit(
    new_run: Callable[..., Job],
) -> None:
    run = new_run(
        "import threading\nfrom IPython.display import display\n"
        "left_open = open('left-open.txt', 'w'); left_open.write('kept')\n"
        "def flood():\n"
        "    while True: display({'text/plain': 'x' * 500}, raw=True)\n"
        "threading.Thread(target=flood, daemon=True).start()",
        "import time\ntime.sleep(1)",
    )

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log[-2000:]
    assert run.output("left-open.txt") == b"kept"


def test_nobody_reads_the_containers_log(new_run: Callable[..., Job]) -> None:
    run = new_run("for _ in range(200): print('x' * 9_999)", "raise ValueError('the end')")
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()

    assert pod.notebook.wait(60) == pod_contract.EXIT_NOTEBOOK_FAILED
    pod.stop_sidecar()
    assert "the end" in pod.termination_message
    assert len(run.output("run.log")) > 2_000_000
    assert len(text_of(outputs(run.output("train.ipynb"), 0))) == 2_000_000


def test_outputs_beyond_their_bound_are_left_out_with_a_word(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "for n in range(300): print('a' * 9_999)",
        "from IPython.display import clear_output, display\ndisplay('later')\nprint('b' * 20_000)",
        "raise ValueError('why ' + 'x' * 100_000)",
    )

    pod = run.run(**{pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES: "1000000"})

    assert pod.exit_code == pod_contract.EXIT_NOTEBOOK_FAILED, pod.log[-2000:]
    data = run.output("train.ipynb")
    assert len(data) < 1_100_000
    for cell in (0, 1):
        said = [text_of([out]) for out in outputs(data, cell) if out.get("name") == "stderr"]
        assert len(said) == 1, outputs(data, 1)
        assert "have reached 0.9537 MiB" in said[0]
    failed = outputs(data, 2)[-1]
    assert failed["evalue"].startswith("why xxx")
    assert "more characters" in failed["evalue"]
    log = run.output("run.log").decode()
    assert log.count("have reached 0.9537 MiB") == 2
    assert log.count("The log has reached 0.9537 MiB") == 1
    assert len(log) < 1_100_000


def test_what_is_drawn_over_counts_once(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "from IPython.display import clear_output, display, update_display\n"
        "for n in range(20):\n"
        "    clear_output(wait=True); print(n, 'x' * 100_000)",
        "display('x', display_id='d')\n"
        "for n in range(20): update_display('y' * 100_000 + str(n), display_id='d')",
    )

    pod = run.run(**{pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES: "500000"})

    assert pod.exit_code == 0, pod.log[-2000:]
    data = run.output("train.ipynb")
    assert text_of(outputs(data, 0)) == f"19 {'x' * 100_000}\n"
    assert "".join(outputs(data, 1)[0]["data"]["text/plain"]).endswith("y19'")


ODD = """
import sys
from IPython.display import clear_output, display, HTML, Markdown, update_display
print('before'); display(Markdown('**plot 1**')); print('after')
for n in range(3):
    print('o', n, flush=True); print('e', n, file=sys.stderr, flush=True)
print('a\\rb\\x08c', end=''); print('\\x1b[31mred\\x1b[0m \\u2028 \\x00'); 'result'
"""
DISPLAYS = """
display('one', display_id='d'); display('two', display_id='d'); print('x')
update_display(HTML('<b>three</b>'), display_id='d'); clear_output(wait=True)
"""
AGAIN = """
update_display('four', display_id='d'); h = display('five', display_id=True)
h.update('six'); clear_output(); display('seven', display_id='d'); print('y' * 200_000)
"""


def test_outputs_are_those_of_bare_nbclient(new_run: Callable[..., Job], tmp_path: Path) -> None:
    cells = (ODD, DISPLAYS, AGAIN)
    bare = nbformat.reads(notebook(*cells).decode(), as_version=4)
    NotebookClient(bare, resources={"metadata": {"path": str(tmp_path)}}).execute()
    run = new_run(*cells)

    assert run.run().exit_code == 0
    ours = nbformat.reads(run.output("train.ipynb").decode(), as_version=4)
    for mine, theirs in zip(ours.cells, bare.cells, strict=True):
        assert _joined(mine.outputs) == _joined(theirs.outputs)


def _joined(found: Any) -> list[Any]:
    """Return outputs with the pieces of a stream that follow each other as one."""
    joined: list[Any] = []
    for out in found:
        last = joined[-1] if joined else {}
        if out.output_type == "stream" == last.get("output_type") and out.name == last["name"]:
            last["text"] += out.text
        else:
            joined.append(dict(out))
    return joined


def test_data_nested_too_deep_costs_its_output_alone(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "from IPython.display import publish_display_data\nimport sys\n"
        "sys.setrecursionlimit(100_000)\ndeep = []\n"
        "for _ in range(700): deep = [deep]\n"
        "publish_display_data({'application/json': deep}); print('after')"
    )

    pod = run.run()

    assert pod.exit_code == 0, pod.log
    found = text_of(outputs(run.output("train.ipynb"), 0))
    assert "nested too deep" in found
    assert found.endswith("after\n")


def test_a_cell_of_many_megabytes(new_run: Callable[..., Job]) -> None:
    run = new_run(f"x = '{'s' * 3_000_000}'\nraise ValueError(len(x))")

    assert run.run().exit_code == pod_contract.EXIT_NOTEBOOK_FAILED
    error = run.result["error"]
    assert len(error["cell_source"]) < 11_000
    assert "raise ValueError" in error["cell_source"]


def test_outputs_whose_end_does_not_come_are_waited_for_and_that_is_said(
    new_run: Callable[..., Job],
) -> None:
    silent = "get_ipython().kernel._publish_status = lambda *_, **__: None"
    run = new_run(f"{silent}\nprint('first')", "print('second')")

    pod = run.run()

    assert pod.exit_code == 0, pod.log
    for cell, text in zip(
        json.loads(run.output("train.ipynb"))["cells"], ("first", "second"), strict=True
    ):
        said = "".join("".join(out["text"]) for out in cell["outputs"])
        assert said.startswith(f"{text}\n")
        assert "the last ones may be missing" in said


def test_nothing_is_lost_while_the_reader_has_no_turn(new_run: Callable[..., Job]) -> None:
    """A process that is stopped stands for one that a busy machine gives no time to."""
    pieces = 12_000
    run = new_run(
        "import os, time\nopen('running', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "kernel = get_ipython().kernel\n"
        f"for number in range({pieces}):\n"
        "    text = f'{number:<2000}\\n'\n"
        "    content = {'name': 'stdout', 'text': text}\n"
        "    kernel.send_response(kernel.iopub_socket, 'stream', content)\n"
        "open('sent', 'w').close()"
    )
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    workspace = pod.folder / "workspace"
    until((workspace / "running").exists, "the cell runs")
    client = client_of(pod)
    client.suspend()
    (workspace / "go").touch()
    until((workspace / "sent").exists, "all is sent", seconds=60)
    client.resume()

    assert pod.wait() == 0, pod.log[-2000:]
    pod.stop_sidecar()
    lines = text_of(outputs(run.output("train.ipynb"), 0)).splitlines()
    assert [line.strip() for line in lines] == [str(number) for number in range(pieces)]
