"""Run a notebook's cells in a kernel, one by one, and determine how the run ended.

Only this module and ``kernel_client`` use nbclient. It raises nothing for what can happen to a
notebook: each outcome is an ``Ending``.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbclient.util import ensure_async

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.runner.notebook.keeper_link import DISK, LIMIT, STOP
from jupyter_kueue.runner.notebook.kernel_client import Client, NotEncryptedError
from jupyter_kueue.runner.notebook.last_word import is_full
from jupyter_kueue.runner.notebook.limit_keeper import (
    INTERRUPT_SECONDS_AT_LIMIT,
    INTERRUPT_SECONDS_AT_STOP,
)
from jupyter_kueue.runner.shared import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from jupyter_kueue.contract.sentences import Sentence, Value
    from jupyter_kueue.runner.notebook.keeper_link import KeeperLink
    from jupyter_kueue.runner.notebook.kernel_launch import Launched
    from jupyter_kueue.runner.notebook.saving import Log, Saver

# How often to start a kernel that dies before its first answer.
STARTS = 4
# How long a kernel may take to answer first. One that found its port taken may neither answer nor
# exit.
FIRST_ANSWER_SECONDS = 30
ANSWER_SECONDS = 60
# How long the client may take to notice that a kernel was killed, and to read its last output.
NOTICE_SECONDS = 3.0
DRAIN_SECONDS = 2.0

# How much of an exception's name a message contains, so that the cell number still fits.
SHOWN_NAME_LENGTH = 100
SHOWN_VALUE_LENGTH = 600

# How a full disk or an exhausted quota (errno ENOSPC, EDQUOT) appears in errors of any language.
_DISK_FULL = re.compile(r"\[Errno (?:28|122)\]|No space left on device|Disk quota exceeded")
# Of longer values, only the first characters are searched.
_SEARCHED_CHARACTERS = 10_000


_NOTHING = foreign("")


@dataclass(frozen=True)
class Ending:
    """How a notebook ended: one of OUTCOMES in ``pod_contract``, a sentence, and a cell's error."""

    outcome: str
    message: Sentence = _NOTHING
    error: dict[str, Any] | None = None


class StoppedError(Exception):
    """The cells cannot go on; ``ending`` says why."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


@dataclass
class Plan:
    """What to run: run.json with its defaults filled in."""

    notebook: Any
    folder: Path
    kernel_name: str
    max_output_bytes: int
    timeout_seconds: float | None = None
    cell_timeout_seconds: float | None = None
    code_cells: list[int] = field(init=False)

    def __post_init__(self) -> None:
        # Selected as nbclient selects them.
        self.code_cells = [
            at
            for at, cell in enumerate(self.notebook.cells)
            if cell.cell_type == "code"
            and cell.source.strip()
            and NotebookClient.skip_cells_with_tag.default_value
            not in cell.metadata.get("tags", [])
        ]


class Cells:
    """One run of a notebook.

    Args:
        plan: what to run.
        launched: the kernel's process.
        saver, log: receive progress and output.
        keeper: decides when no further cell may run.
        ended: returns ENDED for an ending.
    """

    def __init__(
        self,
        plan: Plan,
        launched: Launched,
        saver: Saver,
        log: Log,
        keeper: KeeperLink,
        ended: Callable[[Ending], dict[str, Any]],
    ) -> None:
        self.plan = plan
        self._launched = launched
        self._saver = saver
        self._log = log
        self._keeper = keeper
        self._ended = ended
        self._deadline: float | None = None
        self._cell = 0
        self._where = say("before-first-cell", "before the first cell")
        self._client = self._new_client()

    def _new_client(self) -> Client:
        plan, saver = self.plan, self._saver
        return Client(
            plan.notebook,
            max_output_bytes=plan.max_output_bytes,
            printed=self._log.write,
            said=self._log.say,
            extended=saver.extended,
            changed=saver.changed,
            kernel_name=plan.kernel_name,
            timeout=None,  # the keeper enforces the limits
            resources={"metadata": {"path": str(plan.folder)}},
        )

    async def run(self) -> Ending:
        """Run all cells and return how the run ended; the kernel has ended by then."""
        graceful = False
        try:
            await self._start_kernel()
            if self.plan.timeout_seconds:
                self._deadline = time.monotonic() + self.plan.timeout_seconds
            for number, cell_index in enumerate(self.plan.code_cells, 1):
                await self._run_cell(number, cell_index)
            self._client.set_widgets_metadata()
            graceful = True
        except StoppedError as stopped:
            graceful = stopped.ending.outcome in (
                pod_contract.NOTEBOOK_FAILED,
                pod_contract.DISK_FULL,
            )
            return stopped.ending
        finally:
            self._keeper.tell_kernel_ended()
            await self._end_kernel(graceful=graceful)
        return Ending(pod_contract.SUCCEEDED)

    async def _start_kernel(self) -> None:
        """Connect to the kernel, and start it again if it dies before its first answer.

        A port that was free when it was chosen may be taken by the time the kernel binds it.
        """
        for number in range(1, STARTS + 1):
            self._client.reset_execution_trackers()
            self._client.startup_timeout = FIRST_ANSWER_SECONDS if number == 1 else ANSWER_SECONDS
            self._client.km = self._launched.manager
            try:
                if self._launched.error is not None:
                    raise self._launched.error
                group, by_signal = self._launched.signalled()
                self._keeper.tell_kernel(group, by_signal=by_signal)
                await self._unless_stopped(self._client.async_start_new_kernel_client())
            except NoSuchKernel as error:
                message = missing_kernel(self.plan.kernel_name)
                raise StoppedError(Ending(pod_contract.NO_KERNEL, message)) from error
            except (DeadKernelError, RuntimeError, OSError) as error:
                await self._not_started(error, is_last=number == STARTS)
            else:
                return

    async def _not_started(self, error: Exception, *, is_last: bool) -> None:
        """Start a kernel again that never answered.

        Raises:
            StoppedError: a new start would not help, or failed.
        """
        name = self.plan.kernel_name
        missing = await self._launched.missing(error)
        if missing is not None:
            message = say(
                "kernel-cannot-start",
                "The kernel {kernel} is installed but cannot start: {missing}. Repair "
                "the environment's kernel (for Python: pip install ipykernel).",
                kernel=repr(name),
                missing=missing,
            )
            raise StoppedError(Ending(pod_contract.NO_KERNEL, message)) from error
        code = await self._exit_code()
        if code is None:
            how = say(
                "kernel-did-not-come-up",
                "it did not become ready ({problem})",
                problem=sentences.of_error(error),
            )
        elif code < 0:
            how = say("kernel-killed-by", "it was killed by {signal}", signal=_signal_name(code))
        else:
            how = say("kernel-ended-with-code", "it exited with code {code}", code=code)
        if is_last:
            message = say(
                "kernel-not-started",
                "The kernel {kernel} failed to start {count} times: {how}. See the run's log.",
                kernel=repr(name),
                count=STARTS,
                how=how,
            )
            raise StoppedError(Ending(pod_contract.KERNEL_DIED, message)) from error
        self._log.say(f"The kernel did not start: {how}. Starting it again.")
        self._keeper.tell_kernel_ended()
        if self._client.kc is not None:
            self._client.kc.stop_channels()
        await self._launched.abandon()
        is_encrypted = not isinstance(error, NotEncryptedError)
        self._launched = await self._launched.again(encrypted=is_encrypted)

    async def _unless_stopped(self, what: Coroutine[Any, Any, Any]) -> None:
        """Await ``what``, unless the pod is to stop."""
        task = asyncio.ensure_future(what)
        await asyncio.wait({task, self._keeper.over}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        if self._keeper.over.done():
            if not task.cancelled():
                task.exception()
            raise StoppedError(self._stopped())
        task.result()

    async def _run_cell(self, number: int, cell_index: int) -> None:
        cell = self.plan.notebook.cells[cell_index]
        self._cell = number
        self._where = say(
            "in-cell", "in cell {cell} of {cells}", cell=number, cells=len(self.plan.code_cells)
        )
        self._log.say(f"cell {number}/{len(self.plan.code_cells)}")
        self._saver.cell_started(number, cell_index)
        started = time.monotonic()
        limit_at, at_limit = self._limit(started, cell, cell_index)
        if not await self._keeper.start_cell(limit_at, self._ended(at_limit)):
            raise StoppedError(self._stopped())
        running = self._client.async_execute_cell(
            cell, cell_index, execution_count=self._client.code_cells_executed + 1
        )
        try:
            await self._unless_over(running, at_limit)
        except CellExecutionError as error:
            raise StoppedError(self._failed(error, cell, cell_index)) from error
        except DeadKernelError as error:
            raise StoppedError(await self._kernel_died(cell, cell_index)) from error
        self._saver.cell_ended(cell_index)
        took = time.monotonic() - started
        self._log.say(f"cell {number}/{len(self.plan.code_cells)} took {took:.2f} s")

    def _limit(self, started: float, cell: Any, cell_index: int) -> tuple[float | None, Ending]:
        """Return this cell's deadline (time.monotonic), None without one, and its ending."""
        limits = []
        whole, single = self.plan.timeout_seconds, self.plan.cell_timeout_seconds
        if self._deadline is not None:
            text = say(
                "over-time-limit",
                "Stopped at the time limit of {seconds} s, {where}.",
                seconds=f"{whole:g}",
                where=self._where,
            )
            limits.append((self._deadline, text))
        if single:
            text = say(
                "over-cell-time-limit",
                "Stopped at the time limit of {seconds} s for one cell, {where}.",
                seconds=f"{single:g}",
                where=self._where,
            )
            limits.append((started + single, text))
        at, text = min(limits, default=(None, _NOTHING))
        message = say(
            "over-limit-advice",
            "{what} Earlier outputs are kept. Raise the time limit, or make the notebook faster.",
            what=text,
        )
        error = self._error("TimeLimit", text, cell, cell_index, [])
        return at, Ending(pod_contract.TIME_LIMIT, message, error)

    async def _unless_over(self, what: Coroutine[Any, Any, Any], at_limit: Ending) -> None:
        """Await a running cell, unless the keeper ends the run.

        The keeper then interrupts the kernel, so that the cell's traceback shows the place, and
        finally kills it. Output until then is kept, and StoppedError is raised with ``at_limit`` or
        the ending of a stop.
        """
        over = self._keeper.over
        task = asyncio.ensure_future(what)
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and await self._keeper.end_cell():
            if isinstance(task.exception(), DeadKernelError):
                await self._client.drain(DRAIN_SECONDS)
            task.result()
            return
        # The keeper sends its reason before it answers end_cell with no.
        why = await over
        ending = at_limit if why == LIMIT else self._stopped()
        self._log.say(ending.message)
        if not task.done():
            await self._let_end(task, why)
        if not task.cancelled():
            task.exception()  # fetched so that asyncio does not warn; the ending has the reason
        raise StoppedError(ending)

    async def _let_end(self, task: asyncio.Future[Any], why: str) -> None:
        """Wait for a cell to react to the interrupt, or for its kernel to be killed."""
        if not self._keeper.by_signal:
            await ensure_async(self._client.km.interrupt_kernel())
        patience = INTERRUPT_SECONDS_AT_STOP if why == STOP else INTERRUPT_SECONDS_AT_LIMIT
        await asyncio.wait({task}, timeout=patience + NOTICE_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        await self._client.drain(DRAIN_SECONDS)

    def _stopped(self) -> Ending:
        """Return the ending of a run that the keeper ended, except at a time limit."""
        if self._keeper.over.done() and self._keeper.over.result() == DISK:
            return Ending(
                pod_contract.DISK_FULL,
                say(
                    "over-disk-limit",
                    "{what} This happened {where}. Earlier outputs are kept.",
                    what=self._keeper.said,
                    where=self._where,
                ),
            )
        return Ending(
            pod_contract.INTERRUPTED,
            say(
                "told-to-stop",
                "The cluster stopped the run {where}.",
                where=self._where,
            ),
        )

    async def _kernel_died(self, cell: Any, cell_index: int) -> Ending:
        # When the pod is stopped, the kernel may get its signal first; ours follows within moments.
        await asyncio.wait({self._keeper.over}, timeout=0.1)
        if self._keeper.over.done():
            return self._stopped()
        code = await self._exit_code()
        outcome = pod_contract.KERNEL_DIED
        if code is None:
            what = say("kernel-ended", "The kernel ended {where}.", where=self._where)
        elif code == -signal.SIGKILL:
            what = say(
                "kernel-out-of-memory",
                "The kernel was killed {where}, most likely because it ran out of "
                "memory. Run it again with more.",
                where=self._where,
            )
        elif code == -signal.SIGBUS and is_full(self.plan.folder):
            # The kernel wrote to memory mapped to a file, and the disk has no room for it.
            outcome = pod_contract.DISK_FULL
            what = say(
                "disk-full-ended-kernel",
                "The disk was full {where}, which ended the kernel.",
                where=self._where,
            )
        elif code < 0:
            what = say(
                "kernel-crashed",
                "The kernel crashed {where} ({signal}). A native library is the usual cause.",
                where=self._where,
                signal=_signal_name(code),
            )
        else:
            what = say(
                "kernel-ended-with-code-where",
                "The kernel exited with code {code} {where}.",
                code=code,
                where=self._where,
            )
        message = say("kernel-ended-outputs-kept", "{what} Earlier outputs are kept.", what=what)
        error = self._error("DeadKernelError", message, cell, cell_index, [])
        return Ending(outcome, message, error)

    def _failed(self, raised: Any, cell: Any, cell_index: int) -> Ending:
        """Return the ending for a cell that raised; the cell's error output holds the traceback."""
        shown = next((out for out in reversed(cell.outputs) if out.output_type == "error"), None)
        traceback = list(shown.traceback) if shown is not None else str(raised).splitlines()
        error = self._error(raised.ename, raised.evalue, cell, cell_index, traceback)
        if raised.ename == "StdinNotImplementedError":
            message = say(
                "cell-asks-for-input",
                "Cell {cell} asks for input, which a queued run cannot give. Use a "
                "parameter instead.",
                cell=self._cell,
            )
            return Ending(pod_contract.NOTEBOOK_FAILED, message, error)
        name = bounds.text(raised.ename, SHOWN_NAME_LENGTH)
        value = bounds.text(raised.evalue.strip().partition("\n")[0], SHOWN_VALUE_LENGTH)
        raised_text = ": ".join(filter(None, (name, value)))
        message = (
            say(
                "cell-failed-because",
                "Cell {cell} failed: {error}",
                cell=self._cell,
                error=raised_text,
            )
            if raised_text
            else say("cell-failed-wordless", "Cell {cell} failed", cell=self._cell)
        )
        if _DISK_FULL.search(str(raised.evalue)[:_SEARCHED_CHARACTERS]):
            message = say(
                "disk-full-where",
                "The disk was full {where}. Write less, or ask an admin for "
                "more disk space. ({error})",
                where=self._where,
                error=message,
            )
            return Ending(pod_contract.DISK_FULL, message, error)
        return Ending(pod_contract.NOTEBOOK_FAILED, message, error)

    def _error(
        self, name: str, value: str, cell: Any, cell_index: int, traceback: list[str]
    ) -> dict[str, Any]:
        return {
            "name": name,
            "value": value,
            "cell": self._cell,
            "cell_index": cell_index,
            "cell_source": cell.source,
            "traceback": traceback,
        }

    async def _exit_code(self) -> int | None:
        """Return the kernel's exit code: negative for a signal, None if unknown."""
        provisioner = getattr(self._client.km, "provisioner", None)
        if provisioner is None:
            return None
        code = await ensure_async(provisioner.poll())
        return code if isinstance(code, int) else None

    async def _end_kernel(self, *, graceful: bool) -> None:
        """End the kernel; if the run went well, let the kernel finish its own writes at exit."""
        manager, channels = self._client.km, self._client.kc
        if manager is not None and manager.has_kernel:
            if graceful:
                # Like shutdown_kernel, but polling faster: its interval of 0.1 s would delay every
                # run.
                await ensure_async(manager.request_shutdown())
                await ensure_async(manager.finish_shutdown(pollinterval=0.01))
                await ensure_async(manager.cleanup_resources())
            else:
                await ensure_async(manager.shutdown_kernel(now=True))
        if channels is not None:
            channels.stop_channels()


def missing_kernel(name: str) -> Sentence:
    """Return the message for a kernel that this environment lacks."""
    installed: Value = sorted(KernelSpecManager().find_kernel_specs()) or say("no-kernels", "none")
    return say(
        "kernel-missing",
        "The kernel {kernel} is not installed in this environment (installed: "
        "{installed}). Choose another kernel or another environment.",
        kernel=repr(name),
        installed=installed,
    )


def unreadable(name: str, error: Exception) -> Ending:
    """Return the ending for a file that is not a notebook."""
    return Ending(
        pod_contract.NOTEBOOK_FAILED,
        say(
            "notebook-unreadable",
            "{notebook} {problem}.",
            notebook=name,
            problem=sentences.of_error(error),
        ),
    )


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
