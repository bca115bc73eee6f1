"""The work of ``execute``: wait for the inputs, run the notebook, report how it ended.

It runs in the user's image, in the process that talks to the kernel. If that process is given up,
``limit_keeper`` continues at ``put_away``.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import resource
import select
import shutil
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue.contract import notebook_document, notebook_upgrade, pod_contract, sentences
from jupyter_kueue.contract.sentences import both, say
from jupyter_kueue.runner.notebook.files_outside import Elsewhere
from jupyter_kueue.runner.notebook.keeper_link import KeeperLink
from jupyter_kueue.runner.notebook.last_word import CUT, WHOLE, LastWord
from jupyter_kueue.runner.notebook.notebook_text import cut_text
from jupyter_kueue.runner.notebook.saving import Log, Saver
from jupyter_kueue.runner.shared import bounds, control, slow_imports, stage_in_lock

if TYPE_CHECKING:
    import socket
    from pathlib import Path
    from typing import NoReturn

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.runner.notebook.cells import Ending
    from jupyter_kueue.runner.notebook.early_kernel import EarlyKernel
    from jupyter_kueue.runner.shared.stopping import Stop

COMMIT_POLL_SECONDS = 0.01
STAGED_POLL_SECONDS = 0.01
# Time left of the grace period when execute stops waiting, so that it sets its own exit code.
GRACE_MARGIN_SECONDS = 2.0

# How long the last message waits for a reader of this container's log.
LOG_SECONDS = 0.5
STDERR = 2


def main(
    stop: Stop, link: socket.socket, environment: dict[str, str], kernel: EarlyKernel | None
) -> None:
    """Run the notebook that run.json names and exit.

    Args:
        stop: SIGTERM, which the keeper forwards.
        link: the socket to the keeper of the limits.
        environment: the kernel's environment.
        kernel: a kernel that is already running, possibly the wrong one.
    """
    folder = control.folder(pod_contract.ENV_CONTROL_DIR)
    runner = control.folder(pod_contract.ENV_RUNNER_DIR)
    keeper = KeeperLink(link)
    _import_ahead()
    run = _staged(runner, stop)
    if run is None:
        if kernel is not None:
            kernel.end()
        end_now(*_without_inputs(runner, stop))
    last_word = LastWord(folder)
    max_bytes = control.whole_number(
        pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES, pod_contract.DEFAULT_MAX_NOTEBOOK_OUTPUT_BYTES
    )
    log = Log(folder / pod_contract.LOG_FILE, max_bytes)
    attempt = _Attempt(folder, run, keeper, log, last_word, max_bytes)
    try:
        ended = attempt.run(Kernel(environment, kernel))
        log.close()
        put_away(ended, stop, last_word)
    except Exception as error:  # noqa: BLE001 - no container ends without a word
        traceback.print_exc(file=_Unread())
        end_now(pod_contract.EXIT_STAGING, f"How the run ended could not be kept: {_named(error)}.")


def put_away(ended: control.Json, stop: Stop, last_word: LastWord | None = None) -> NoReturn:
    """Report how the run ended, wait until its outputs are stored, and exit."""
    folder = control.folder(pod_contract.ENV_CONTROL_DIR)
    data = json.dumps(ended, ensure_ascii=False).encode("utf-8", "backslashreplace")
    try:
        if last_word is None:
            control.write_bytes(folder / pod_contract.ENDED_FILE, data)
        else:
            last_word.write_ended(data)
    except OSError as error:  # the disk was already full when space was to be reserved
        end_now(pod_contract.EXIT_STAGING, f"The run's end could not be written: {error}.")
    end_now(*_after_commit(control.folder(pod_contract.ENV_RUNNER_DIR), ended, stop))


def end_now(code: int, message: str) -> NoReturn:
    """Leave a termination message and exit, even if nobody reads this container's log."""
    sys.stdout = sys.stderr = _Unread()
    control.end_now(code, message)


class _Unread(io.TextIOBase):
    """Writes to the container's log what fits into its pipe, and drops the rest."""

    def write(self, text: str) -> int:
        _, ready, _ = select.select([], [STDERR], [], LOG_SECONDS)
        if ready:  # then that much can be written without blocking (pipe(7))
            os.write(STDERR, text.encode("utf-8", "backslashreplace")[: select.PIPE_BUF])
        return len(text)


class Kernel(NamedTuple):
    """What is known of the kernel before the notebook arrives: its environment and a process."""

    environment: dict[str, str]
    early: EarlyKernel | None


def _import_ahead() -> None:
    """Import what the run needs while the inputs are being fetched."""
    with slow_imports.left_out():
        for module in ("kernel_launch", "cells"):
            try:
                importlib.import_module(f"jupyter_kueue.runner.notebook.{module}")
            except ImportError:
                return  # it occurs again once the run can report it


def _staged(runner: Path, stop: Stop) -> control.Json | None:
    """Wait for the inputs and return run.json; None if they do not come or are not needed."""
    deadline = time.monotonic() + pod_contract.START_SECONDS
    while True:
        # Checked first: stage-in writes its files before it releases the lock.
        is_at_work = stage_in_lock.is_held(runner)
        if is_at_work is None:
            is_at_work = time.monotonic() < deadline
        run = control.read(runner / pod_contract.RUN_FILE)
        finished = (runner / pod_contract.FINISHED_FILE).exists()
        if run is not None or finished or stop.at is not None or not is_at_work:
            return run
        time.sleep(STAGED_POLL_SECONDS)


def _without_inputs(runner: Path, stop: Stop) -> tuple[int, str]:
    """Return exit code and message for a notebook that does not run."""
    if (runner / pod_contract.FINISHED_FILE).exists():
        return pod_contract.EXIT_SUCCEEDED, ""
    if stop.at is not None:
        return (
            pod_contract.EXIT_INTERRUPTED,
            "The cluster stopped the run while inputs were fetched.",
        )
    return (
        pod_contract.EXIT_STAGING,
        "The inputs were not fetched: stage-in did not start, or ended and says why.",
    )


class _Attempt:
    """One run of the notebook: what it needs, and how it ended."""

    def __init__(
        self,
        folder: Path,
        run: control.Json,
        keeper: KeeperLink,
        log: Log,
        last_word: LastWord,
        max_output_bytes: int,
    ) -> None:
        self._folder = folder
        self._run = run
        self._keeper = keeper
        self._log = log
        self._last_word = last_word
        self._max_output_bytes = max_output_bytes
        self._started_at = control.now()
        self._saver: Saver | None = None
        self._notebook: Any = None
        self._elsewhere: Elsewhere | None = None

    def run(self, kernel: Kernel) -> control.Json:
        """Run the notebook and return ENDED in every case."""
        error = None
        try:
            ending = asyncio.run(self._run_heeding_keeper(kernel))
            outcome, message, error = ending.outcome, ending.message, ending.error
        except ImportError as missing:
            outcome = pod_contract.NO_KERNEL
            message = say(
                "environment-without-nbclient",
                "The environment cannot run notebooks: {problem}. Install nbclient and a "
                "kernel there (pip install nbclient ipykernel), or choose another "
                "environment.",
                problem=str(missing),
            )
        except Exception as unforeseen:  # noqa: BLE001 - the pod's end must be told in any case
            outcome = pod_contract.KERNEL_DIED
            message = say(
                "notebook-not-run",
                "The notebook could not be run: {problem}",
                problem=_named(unforeseen),
            )
            self._log.write(traceback.format_exc())
        finally:
            if kernel.early is not None:  # an adopted kernel has already ended
                kernel.early.end()
        if self._saver is not None:
            try:
                outcome, message = self._save_last(self._saver, outcome, message)
            except Exception as unsaved:  # noqa: BLE001 - as above
                self._log.write(traceback.format_exc())
                outcome = (
                    pod_contract.STAGING if outcome in pod_contract.FINAL_OUTCOMES else outcome
                )
                word = say(
                    "notebook-not-saved",
                    "The notebook with its outputs could not be saved: {problem}.",
                    problem=_named(unsaved),
                )
                message = both(message, word) if message else word
        ended = self._ended(outcome, message, error)
        if message and outcome != pod_contract.INTERRUPTED:
            self._log.say(ended["message"])
        return ended

    def _ended(self, outcome: str, message: Sentence, error: control.Json | None) -> control.Json:
        saver = self._saver
        said = message.cleaned(pod_contract.MAX_MESSAGE_LENGTH, bounds.text)
        return {
            "pod_uid": control.pod_uid(),
            "outcome": outcome,
            "error": None if error is None else bounds.error(error),
            "message": said,
            "sentence": sentences.as_json(said),
            "started_at": self._started_at,
            "ended_at": control.now(),
            "cells": saver.cells if saver else None,
            "cells_done": saver.done if saver else 0,
            # Of the largest descendant process, in kilobytes on Linux (getrusage(2)).
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
            or None,
            "elsewhere": self._elsewhere.written() if self._elsewhere else [],
        }

    def _save_last(self, saver: Saver, outcome: str, message: Sentence) -> tuple[str, Sentence]:
        """Save the final notebook; return outcome and message, changed on a full disk."""
        saver.finish()
        kept = self._last_word.write_notebook(saver.text.encode(), lambda: cut_text(self._notebook))
        if kept == WHOLE:
            return outcome, message
        lost = (
            say("large-outputs", "its large outputs")
            if kept == CUT
            else say("last-outputs", "its last outputs")
        )
        word = say(
            "disk-full-at-the-end",
            "The disk was full at the end; the notebook was saved without {lost}.",
            lost=lost,
        )
        if outcome in pod_contract.FINAL_OUTCOMES:
            outcome = pod_contract.DISK_FULL
        return outcome, both(message, word) if message else word

    async def _run_heeding_keeper(self, kernel: Kernel) -> Ending:
        self._keeper.use_loop()
        try:
            return await self._run_notebook(kernel)
        finally:
            self._keeper.forget_loop()

    async def _run_notebook(self, kernel: Kernel) -> Ending:
        run, folder = self._run, self._folder
        workspace = control.folder(pod_contract.ENV_WORKSPACE_DIR)
        self._elsewhere = Elsewhere(workspace, kernel.environment.get("HOME"))
        path = workspace / run["notebook"]
        kernel_name = run.get("kernel_name") or _named_kernel(path) or pod_contract.DEFAULT_KERNEL
        with slow_imports.left_out():
            kernel_launch = importlib.import_module("jupyter_kueue.runner.notebook.kernel_launch")
            launched = await kernel_launch.launch(
                kernel_name, path.parent, kernel.environment, kernel.early
            )
            try:
                # Imported while the kernel starts.
                cells = importlib.import_module("jupyter_kueue.runner.notebook.cells")
                document = notebook_document.read(path.read_bytes())
                self._notebook = notebook_upgrade.upgraded(document)
            except notebook_document.NotebookError as error:
                await launched.abandon()
                shutil.copyfile(path, folder / pod_contract.NOTEBOOK_FILE)
                unreadable: Ending = cells.unreadable(run["notebook"], error)
                return unreadable
            except ImportError:
                await launched.abandon()
                raise
        plan = cells.Plan(
            self._notebook,
            path.parent,
            kernel_name,
            self._max_output_bytes,
            run.get("timeout_seconds"),
            run.get("cell_timeout_seconds"),
        )
        self._saver = Saver(folder, self._notebook, len(plan.code_cells))
        self._saver.save()
        self._saver.write_progress()
        saving = asyncio.ensure_future(self._saver.keep_saving())
        try:
            ending: Ending = await cells.Cells(
                plan,
                launched,
                self._saver,
                self._log,
                self._keeper,
                lambda ending: self._ended(ending.outcome, ending.message, ending.error),
            ).run()
        finally:
            saving.cancel()
        return ending


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _named_kernel(path: Path) -> str | None:
    """Return the kernel that a notebook names; None if it names none or cannot be read."""
    try:
        return notebook_document.kernel_name(notebook_document.read(path.read_bytes()))
    except notebook_document.NotebookError:
        return None


def _after_commit(runner: Path, ended: control.Json, stop: Stop) -> tuple[int, str]:
    """Wait for stage-out's answer and return exit code and termination message."""
    patience = control.seconds(pod_contract.ENV_COMMIT_SECONDS, pod_contract.DEFAULT_COMMIT_SECONDS)
    grace = control.seconds(
        pod_contract.ENV_GRACE_PERIOD, pod_contract.DEFAULT_GRACE_PERIOD_SECONDS
    )
    storing = runner / pod_contract.STORING_FILE
    seen, deadline = None, time.monotonic() + patience
    committed = None
    while committed is None:
        if (sign := _time_of_change(storing)) != seen:
            seen, deadline = sign, time.monotonic() + patience
        end = deadline
        if stop.at is not None:
            end = min(end, stop.at + max(grace - GRACE_MARGIN_SECONDS, grace / 2))
        if time.monotonic() > end:
            break
        time.sleep(COMMIT_POLL_SECONDS)
        committed = control.read(runner / pod_contract.COMMITTED_FILE)
    if stop.at is not None:
        # Even if the result is stored: a pod that was asked to stop must not decide the Job's fate.
        is_full = ended["outcome"] == pod_contract.DISK_FULL
        code = pod_contract.EXIT_DISK_FULL_AT_STOP if is_full else pod_contract.EXIT_INTERRUPTED
        return code, ended["message"] or "The cluster stopped the run."
    if committed is None:
        return pod_contract.EXIT_STAGING, f"stage-out gave no sign of life for {patience:g} s."
    return _verdict(ended, committed)


def _time_of_change(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _verdict(ended: control.Json, committed: control.Json) -> tuple[int, str]:
    """Return exit code and message for the notebook's end and stage-out's answer."""
    if committed.get("superseded"):
        return pod_contract.EXIT_INTERRUPTED, committed["message"]
    if committed.get("result_of"):
        return pod_contract.EXIT_SUCCEEDED, ""
    if ended["outcome"] in pod_contract.FINAL_OUTCOMES and not committed["committed"]:
        return pod_contract.EXIT_STAGING, committed["message"]
    return pod_contract.EXIT_CODES[ended["outcome"]], ended["message"]
