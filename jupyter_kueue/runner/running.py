"""The work of ``execute``: wait for the inputs, run the notebook, say how it ended.

Called by ``execute``, and running in the user's image as that does.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import resource
import shutil
import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue import contract
from jupyter_kueue.runner import control, slow_imports, stage_in_lock
from jupyter_kueue.runner.saving import Log, Saver

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.runner.cells import Ending
    from jupyter_kueue.runner.early_kernel import EarlyKernel
    from jupyter_kueue.runner.stopping import Stop

COMMIT_POLL_SECONDS = 0.01
STAGED_POLL_SECONDS = 0.01
# Left of the grace period when execute stops waiting, so that its exit code is its own.
GRACE_MARGIN_SECONDS = 2.0

# What reading a file raises that is no notebook; nbformat's own are ValueErrors too.
UNREADABLE = (ValueError, AttributeError, KeyError, TypeError)


def main(stop: Stop, environment: dict[str, str], kernel: EarlyKernel | None) -> None:
    """Run the notebook that run.json names and exit.

    Args:
        stop: SIGTERM.
        environment: the kernel's.
        kernel: one that was started already, perhaps not the right one.
    """
    folder = control.folder(contract.ENV_CONTROL_DIR)
    runner = control.folder(contract.ENV_RUNNER_DIR)
    _import_ahead()
    run = _staged(runner, stop)
    if run is None:
        if kernel is not None:
            kernel.end()
        control.end_now(*_without_inputs(runner, stop))
    log = Log(folder / contract.LOG_FILE)
    ended = _attempt(folder, run, Kernel(environment, kernel), stop, log)
    log.close()
    control.write(folder / contract.ENDED_FILE, ended)
    code, message = _after_commit(runner, ended, stop)
    control.end_now(code, message)


class Kernel(NamedTuple):
    """What is known of the kernel before the notebook is there: its environment, and a process."""

    environment: dict[str, str]
    early: EarlyKernel | None


def _import_ahead() -> None:
    """Import what running needs while the inputs are on their way."""
    with slow_imports.left_out(), slow_imports.jsonschema_left_out():
        for module in ("launching", "cells"):
            try:
                importlib.import_module(f"jupyter_kueue.runner.{module}")
            except ImportError:
                return  # met again, and told, once there is a run to tell it of


def _staged(runner: Path, stop: Stop) -> control.Json | None:
    """Wait for the inputs and return run.json; None if they do not come or are not needed."""
    deadline = time.monotonic() + contract.START_SECONDS
    while True:
        # Asked first: whoever ends after its work has left its word by then.
        is_at_work = stage_in_lock.is_held(runner)
        if is_at_work is None:
            is_at_work = time.monotonic() < deadline
        run = control.read(runner / contract.RUN_FILE)
        finished = (runner / contract.FINISHED_FILE).exists()
        if run is not None or finished or stop.at is not None or not is_at_work:
            return run
        time.sleep(STAGED_POLL_SECONDS)


def _without_inputs(runner: Path, stop: Stop) -> tuple[int, str]:
    """Return exit code and message of a pod whose notebook does not run."""
    if (runner / contract.FINISHED_FILE).exists():
        return contract.EXIT_SUCCEEDED, ""
    if stop.at is not None:
        return contract.EXIT_INTERRUPTED, "The pod was told to stop while inputs were fetched."
    return (
        contract.EXIT_STAGING,
        "The inputs were not fetched: stage-in did not start, or ended and says why.",
    )


def _attempt(folder: Path, run: control.Json, kernel: Kernel, stop: Stop, log: Log) -> control.Json:
    """Run the notebook and return ENDED, whatever happened."""
    started_at = control.now()
    saver: Saver | None = None
    try:
        saver, ending = _run_notebook(folder, run, kernel, stop, log)
        outcome, message, error = ending.outcome, ending.message, ending.error
    except ImportError as missing:
        outcome, error = contract.NO_KERNEL, None
        message = (
            f"The environment cannot run notebooks: {missing}. Install nbclient and a kernel there "
            "(pip install nbclient ipykernel), or choose another environment."
        )
    except Exception as unforeseen:  # noqa: BLE001 - the pod's end must be told in any case
        outcome, error = contract.KERNEL_DIED, None
        message = f"The notebook could not be run: {type(unforeseen).__name__}: {unforeseen}"
        log.write(traceback.format_exc())
    finally:
        if kernel.early is not None:  # where it was adopted, it has ended already
            kernel.early.end()
    if message and outcome != contract.INTERRUPTED:
        log.say(message)
    return {
        "pod_uid": control.pod_uid(),
        "outcome": outcome,
        "error": error,
        "message": message,
        "started_at": started_at,
        "ended_at": control.now(),
        "cells": saver.cells if saver else None,
        "cells_done": saver.done if saver else 0,
        # Kilobytes on Linux, of the largest process below this one (getrusage(2)).
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 or None,
    }


def _run_notebook(
    folder: Path, run: control.Json, kernel: Kernel, stop: Stop, log: Log
) -> tuple[Saver | None, Ending]:
    path = control.folder(contract.ENV_WORKSPACE_DIR) / run["notebook"]
    kernel_name = run.get("kernel_name") or _named_kernel(path) or contract.DEFAULT_KERNEL

    async def run_all() -> tuple[Saver | None, Ending]:
        stopped = stop.event()
        with slow_imports.left_out(), slow_imports.jsonschema_left_out():
            launching = importlib.import_module("jupyter_kueue.runner.launching")
            launched = await launching.launch(
                kernel_name, path.parent, kernel.environment, kernel.early
            )
            try:
                # Imported and read while the kernel comes up.
                cells = importlib.import_module("jupyter_kueue.runner.cells")
                notebook = _read_notebook(path)
            except UNREADABLE as error:
                await launched.abandon()
                shutil.copyfile(path, folder / contract.NOTEBOOK_FILE)
                return None, cells.unreadable(run["notebook"], error)
            except ImportError:
                await launched.abandon()
                raise
        plan = cells.Plan(
            notebook,
            path.parent,
            kernel_name,
            run.get("timeout_seconds"),
            run.get("cell_timeout_seconds"),
        )
        saver = Saver(folder, notebook, len(plan.code_cells))
        saver.save()
        saver.write_progress()
        saving = asyncio.ensure_future(saver.keep_saving())
        try:
            ending: Ending = await cells.Cells(plan, launched, saver, log, stopped).run()
        finally:
            saving.cancel()
            saver.save()
        saver.write_progress()
        return saver, ending

    async def run_heeding_stop() -> tuple[Saver | None, Ending]:
        try:
            return await run_all()
        finally:
            stop.forget_loop()

    return asyncio.run(run_heeding_stop())


def _named_kernel(path: Path) -> str | None:
    """Return the kernel a notebook names, None where it names none or cannot be read."""
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(name)


def _read_notebook(path: Path) -> Any:
    """Return the notebook in nbformat 4, without the outputs of former runs.

    What is left of them after a failure would pass for results of this run.
    """
    import nbformat  # noqa: PLC0415 - a missing nbformat must be told as such

    notebook = nbformat.convert(nbformat.reader.reads(path.read_text(encoding="utf-8")), 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
            cell.metadata.pop("execution", None)
    return notebook


def _after_commit(runner: Path, ended: control.Json, stop: Stop) -> tuple[int, str]:
    """Wait for stage-out's word and return exit code and termination message."""
    patience = control.seconds(contract.ENV_COMMIT_SECONDS, contract.DEFAULT_COMMIT_SECONDS)
    grace = control.seconds(contract.ENV_GRACE_PERIOD, contract.DEFAULT_GRACE_PERIOD_SECONDS)
    deadline = time.monotonic() + patience
    committed = None
    while committed is None:
        end = deadline
        if stop.at is not None:
            end = min(end, stop.at + max(grace - GRACE_MARGIN_SECONDS, grace / 2))
        if time.monotonic() > end:
            break
        time.sleep(COMMIT_POLL_SECONDS)
        committed = control.read(runner / contract.COMMITTED_FILE)
    if stop.at is not None:
        # Also where the result is up: a pod that is told to stop must not decide the Job's fate.
        return contract.EXIT_INTERRUPTED, ended["message"] or "The pod was told to stop."
    if committed is None:
        return contract.EXIT_STAGING, f"The outputs were not put away within {patience:g} s."
    return _verdict(ended, committed)


def _verdict(ended: control.Json, committed: control.Json) -> tuple[int, str]:
    """Return exit code and message for what the notebook and stage-out said."""
    if committed.get("superseded"):
        return contract.EXIT_INTERRUPTED, committed["message"]
    if committed.get("result_of"):
        return contract.EXIT_SUCCEEDED, ""
    if ended["outcome"] in contract.FINAL_OUTCOMES and not committed["committed"]:
        return contract.EXIT_STAGING, committed["message"]
    return contract.EXIT_CODES[ended["outcome"]], ended["message"]
