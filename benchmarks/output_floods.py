"""How late a stop and a time limit reach a kernel while its outputs are being read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

import report

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.staging import notebook_modules
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from bench import Bench

BOUND_SECONDS = 0.05
LIMIT_SECONDS = 3
PATIENCE_SECONDS = 120

# The outputs of a cell before it waits, or repeatedly while it does.
ONCE = {
    "a line of {size} MB": "print('0' * {size}_000_000)",
    "{size} MB of short lines": "print('0123456\\n' * ({size} * 125_000))",
    "{size} MB of carriage returns": "print('\\r 12345 %' * ({size} * 100_000))",
    "{size} MB of backspaces": "print('a\\b' * ({size} * 500_000))",
    "{size} MB of ANSI colors": "print('\\x1b[31mx\\x1b[0m' * ({size} * 100_000))",
    "HTML of {size} MB": "display(HTML('<p>text</p>\\n' * ({size} * 80_000)))",
    "a picture of {size} MB": "display({{'image/png': 'iVBORw0KGgo=' * ({size} * 80_000)}}, "
    "raw=True)",
    "JSON of {size} MB": "display({{'application/json': [{{'a': [1, 'b']}}] * ({size} * 55_000)}}, "
    "raw=True)",
}
ENDLESS = {
    "pieces of a few bytes": "print('.', flush=True)",
    "two streams in turn": "print('o', flush=True); print('e', file=sys.stderr, flush=True)",
    "changes of one display": "handle.update('x' * 10_000)",
    "displays of one id": "display('x', display_id='one')",
    "outputs that are cleared": "clear_output(); print('x' * 10_000)",
}
CELL = """
import json, sys, time
from IPython.display import HTML, clear_output, display
handle = display('first', display_id=True)
started = time.monotonic()
try:
    {once}
    sys.stdout.flush()
    open('printed', 'w').close()
    while True:
        {endless}
        time.sleep(0.0005)
finally:
    with open('interrupted', 'w') as file: json.dump([started, time.monotonic()], file)
"""
HOW = (
    "A cell puts out what the first column says; a moment later, while `execute` reads it, the pod "
    f"is told to stop, or a cell's limit of {LIMIT_SECONDS} s is over. *Late* is when the cell met "
    "the interrupt, measured in the kernel; *end* is when the last word with the outputs was "
    "written. No cluster or bucket takes part."
)


class Ended(NamedTuple):
    """How a run ended, in seconds, and what was logged and kept."""

    late: float
    end: float
    outcome: str
    kept_bytes: int


def measure(bench: Bench) -> report.Section:
    """Return how much each kind of output delays a stop, and a limit."""
    size = 10 if bench.quick else 90
    kinds = {
        **{name.format(size=size): (code.format(size=size), "pass") for name, code in ONCE.items()},
        **{name: ("pass", code) for name, code in ENDLESS.items()},
    }
    rows, late, wrong = [], [], []
    for name, (once, endless) in kinds.items():
        source = CELL.format(once=once, endless=endless)
        stopped = _run(bench.folder / "floods", source, stop=True)
        limited = _run(bench.folder / "floods", source, stop=False)
        late += [stopped.late, limited.late]
        if (stopped.outcome, limited.outcome) != (
            pod_contract.INTERRUPTED,
            pod_contract.TIME_LIMIT,
        ):
            wrong.append(name)
        rows.append(
            (
                name,
                report.milliseconds(stopped.late),
                report.milliseconds(limited.late),
                f"{stopped.end:.2f} s",
                f"{stopped.kept_bytes / 1e6:.1f} MB",
            )
        )
    table = report.Table(("output", "stop is late", "limit is late", "end", "kept"), rows)
    return report.Section(
        "A stop and a limit while outputs are read",
        HOW,
        [table],
        [
            report.Check(
                f"the interrupt is at most {report.milliseconds(BOUND_SECONDS)} late "
                f"({report.milliseconds(max(late))})",
                max(late) <= BOUND_SECONDS,
            ),
            report.Check(f"each ends as what it is ({', '.join(wrong) or 'all'})", not wrong),
        ],
    )


def _run(folder: Path, source: str, *, stop: bool) -> Ended:
    """Run a cell like the notebook container; this process replaces the other containers."""
    shutil.rmtree(folder, ignore_errors=True)
    names = {
        pod_contract.ENV_CONTROL_DIR: "control",
        pod_contract.ENV_RUNNER_DIR: "runner",
        pod_contract.ENV_WORKSPACE_DIR: "workspace",
        pod_contract.ENV_SCRATCH_DIR: "scratch",
    }
    environment = {name: str(folder / path) for name, path in names.items()}
    for path in environment.values():
        os.makedirs(path)  # noqa: PTH103
    environment |= {
        pod_contract.ENV_POD_UID: str(uuid.uuid4()),
        pod_contract.ENV_NOTEBOOK: "flood.ipynb",
        pod_contract.ENV_KERNEL_NAME: pod_contract.DEFAULT_KERNEL,
        pod_contract.ENV_TERMINATION_LOG: str(folder / "termination-log"),
    }
    write_notebook(folder / "workspace", "flood.ipynb", source)
    run = {"notebook": "flood.ipynb", "kernel_name": pod_contract.DEFAULT_KERNEL}
    if not stop:
        run["cell_timeout_seconds"] = LIMIT_SECONDS
    (folder / "runner" / pod_contract.RUN_FILE).write_text(json.dumps(run))
    notebook_modules.write(str(folder / "runner" / pod_contract.EXECUTE_FOLDER))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", pod_contract.EXECUTE_PROGRAM],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
        try:
            return _watch(folder, process, stop=stop)
        finally:
            process.kill()
            process.wait()


def _watch(folder: Path, process: subprocess.Popen[bytes], *, stop: bool) -> Ended:
    workspace, control = folder / "workspace", folder / "control"
    due = None
    if stop:
        _wait(process, workspace / "printed")
        time.sleep(0.1)
        due = time.monotonic()
        process.send_signal(signal.SIGTERM)
    _wait(process, control / pod_contract.ENDED_FILE)
    ended_at = time.monotonic()
    started, interrupted = json.loads((workspace / "interrupted").read_text())
    if due is None:
        due = started + LIMIT_SECONDS
    ended = json.loads((control / pod_contract.ENDED_FILE).read_text())
    kept = (control / pod_contract.NOTEBOOK_FILE).stat().st_size
    (folder / "runner" / pod_contract.COMMITTED_FILE).write_text(
        '{"committed": true, "message": ""}'
    )
    process.wait(PATIENCE_SECONDS)
    return Ended(interrupted - due, ended_at - due, ended["outcome"], kept)


def _wait(process: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{path} is not there: see {path.parents[1] / 'log'}")
        time.sleep(0.005)
