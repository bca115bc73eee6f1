"""``execute``: runs the notebook in the user's image, and exits once its outputs are put away.

Started in the notebook container from a zip file that ``stage_in`` left (see ``archive``). It talks
to ``stage_out`` through the control folder only, has no credential, and needs Python 3.9, nbclient
and a kernel. Whatever happens, it leaves ended.json and an exit code of ``contract``.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import shutil
import tempfile
import time
import traceback
from typing import TYPE_CHECKING, Any

from jupyter_kueue import contract
from jupyter_kueue.runner import control, slow_imports
from jupyter_kueue.runner.saving import Log, Saver
from jupyter_kueue.runner.stopping import Stop

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.runner.cells import Ending

DEFAULT_KERNEL = "python3"
COMMIT_POLL_SECONDS = 0.02
# Left of the grace period when execute stops waiting, so that its exit code is its own.
GRACE_MARGIN_SECONDS = 2.0

# What reading a file raises that is no notebook; nbformat's own are ValueErrors too.
UNREADABLE = (ValueError, AttributeError, KeyError, TypeError)

# Ours, and no business of a notebook. What tells it about its run stays.
HIDDEN_VARIABLES = frozenset(
    {
        contract.ENV_BUCKET_DIR,
        contract.ENV_COMMIT_SECONDS,
        contract.ENV_CONTROL_DIR,
        contract.ENV_POD_UID,
        contract.ENV_RUNNER_DIR,
        contract.ENV_STAGE_IN_SECONDS,
        contract.ENV_STAGE_OUT_SECONDS,
        contract.ENV_TERMINATION_LOG,
    }
)


def main() -> None:
    """Run the notebook that run.json names and exit."""
    stop = Stop()
    folder = control.folder(contract.ENV_CONTROL_DIR)
    if (folder / contract.FINISHED_FILE).exists():
        control.end(contract.EXIT_SUCCEEDED, "")
    run = control.read(folder / contract.RUN_FILE)
    if run is None:
        control.end(
            contract.EXIT_STAGING,
            f"{folder} holds no {contract.RUN_FILE}: stage-in did not do its work. See its log.",
        )
    log = Log(folder / contract.LOG_FILE)
    ended = _attempt(folder, run, stop, log)
    log.close()
    control.write(folder / contract.ENDED_FILE, ended)
    code, message = _after_commit(folder, ended, stop)
    control.end_now(code, message)


def _attempt(folder: Path, run: control.Json, stop: Stop, log: Log) -> control.Json:
    """Run the notebook and return ENDED, whatever happened."""
    started_at = control.now()
    saver: Saver | None = None
    try:
        saver, ending = _run_notebook(folder, run, stop, log)
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
    folder: Path, run: control.Json, stop: Stop, log: Log
) -> tuple[Saver | None, Ending]:
    path = control.folder(contract.ENV_WORKSPACE_DIR) / run["notebook"]
    environment = _kernel_environment()
    kernel_name = run.get("kernel_name") or _named_kernel(path) or DEFAULT_KERNEL

    async def run_all() -> tuple[Saver | None, Ending]:
        stopped = stop.event()
        with slow_imports.left_out():
            launching = importlib.import_module("jupyter_kueue.runner.launching")
            launched = await launching.launch(kernel_name, path.parent, environment)
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


def _kernel_environment() -> dict[str, str]:
    """Return the kernel's environment: the container's, without what is ours."""
    # The image's user may have no home to write connection files to.
    scratch = os.environ.get(contract.ENV_SCRATCH_DIR)
    os.environ["JUPYTER_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="jupyter-runtime-", dir=scratch)
    return {key: value for key, value in os.environ.items() if key not in HIDDEN_VARIABLES}


def _after_commit(folder: Path, ended: control.Json, stop: Stop) -> tuple[int, str]:
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
        committed = control.read(folder / contract.COMMITTED_FILE)
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


if __name__ == "__main__":
    main()
