"""Run a notebook's cells in a kernel, one by one, and say how it ended.

Called by ``execute`` in the user's image; only this and ``kernel_client`` know nbclient. It
raises nothing for what can happen to a notebook: each end is an ``Ending``.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbclient.util import ensure_async

from jupyter_kueue import contract
from jupyter_kueue.runner.kernel_client import Client

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from jupyter_kueue.runner.launching import Launched
    from jupyter_kueue.runner.saving import Log, Saver

# How long a cell may take to react to an interrupt before its kernel is killed.
INTERRUPT_SECONDS_AT_LIMIT = 5.0
INTERRUPT_SECONDS_AT_STOP = 3.0


@dataclass(frozen=True)
class Ending:
    """How a notebook ended: one of contract.OUTCOMES, a sentence, and the error of a cell."""

    outcome: str
    message: str = ""
    error: dict[str, Any] | None = None


class StoppedError(Exception):
    """The cells cannot go on; ``ending`` says why."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


@dataclass
class Plan:
    """What is to run: as run.json says it, with the defaults filled in."""

    notebook: Any
    folder: Path
    kernel_name: str
    timeout_seconds: float | None = None
    cell_timeout_seconds: float | None = None
    code_cells: list[int] = field(init=False)

    def __post_init__(self) -> None:
        cells = self.notebook.cells
        self.code_cells = [at for at, cell in enumerate(cells) if cell.cell_type == "code"]


class Cells:
    """One run of a notebook. ``stopped`` is set from outside when the pod is to end."""

    def __init__(
        self, plan: Plan, launched: Launched, saver: Saver, log: Log, stopped: asyncio.Event
    ) -> None:
        self.plan = plan
        self._launched = launched
        self._saver = saver
        self._log = log
        self._stopped = stopped
        self._deadline: float | None = None
        self._where = "before the first cell"
        self._client = Client(
            plan.notebook,
            printed=log.write,
            changed=saver.changed,
            kernel_name=plan.kernel_name,
            timeout=None,  # limits are kept here, where SIGTERM is seen too
            resources={"metadata": {"path": str(plan.folder)}},
        )
        if self._client.has_trait("coalesce_streams"):  # nbclient 0.9 has none
            self._client.coalesce_streams = True

    async def run(self) -> Ending:
        """Run all cells and return how it ended; the kernel is gone by then."""
        stop = asyncio.ensure_future(self._stopped.wait())
        graceful = False
        try:
            await self._start_kernel(stop)
            if self.plan.timeout_seconds:
                self._deadline = time.monotonic() + self.plan.timeout_seconds
            for number, cell_index in enumerate(self.plan.code_cells):
                await self._run_cell(number, cell_index, stop)
            self._client.set_widgets_metadata()
            graceful = True
        except StoppedError as stopped:
            graceful = stopped.ending.outcome == contract.NOTEBOOK_FAILED
            return stopped.ending
        finally:
            stop.cancel()
            await self._end_kernel(graceful=graceful)
        return Ending(contract.SUCCEEDED)

    async def _start_kernel(self, stop: asyncio.Future[Any]) -> None:
        client = self._client
        client.reset_execution_trackers()
        client.km = self._launched.manager
        try:
            if self._launched.error is not None:
                raise self._launched.error
            await self._unless_stopped(client.async_start_new_kernel_client(), stop, None)
        except NoSuchKernel as error:
            raise StoppedError(
                Ending(contract.NO_KERNEL, missing_kernel(self.plan.kernel_name))
            ) from error
        except (DeadKernelError, RuntimeError, OSError) as error:
            raise StoppedError(await self._not_started(error)) from error

    async def _not_started(self, error: Exception) -> Ending:
        """Return the ending for a kernel that never answered."""
        code = await self._exit_code()
        name = self.plan.kernel_name
        if code is not None and code < 0:
            return Ending(
                contract.KERNEL_DIED,
                f"The kernel {name!r} was killed by {_signal_name(code)} while it started.",
            )
        why = f"it ended with exit code {code}" if code is not None else str(error)
        return Ending(
            contract.NO_KERNEL,
            f"The kernel {name!r} is installed but does not start: {why}. The run's log has its "
            "words. Mend the environment's kernel (for Python: pip install ipykernel).",
        )

    async def _run_cell(self, number: int, cell_index: int, stop: asyncio.Future[Any]) -> None:
        cell = self.plan.notebook.cells[cell_index]
        self._where = f"in code cell {number + 1} of {len(self.plan.code_cells)}"
        self._log.say(f"cell {number + 1}/{len(self.plan.code_cells)}")
        self._saver.cell_started(number, cell_index)
        started = time.monotonic()
        limit, ending = self._limit(started, cell, cell_index)
        running = self._client.async_execute_cell(
            cell, cell_index, execution_count=self._client.code_cells_executed + 1
        )
        try:
            await self._unless_stopped(running, stop, limit, ending)
        except CellExecutionError as error:
            raise StoppedError(_failed(error, self._where, cell, cell_index)) from error
        except DeadKernelError as error:
            raise StoppedError(await self._kernel_died(cell, cell_index)) from error
        self._saver.cell_ended()
        took = time.monotonic() - started
        self._log.say(f"cell {number + 1}/{len(self.plan.code_cells)} took {took:.2f} s")

    def _limit(
        self, started: float, cell: Any, cell_index: int
    ) -> tuple[float | None, Ending | None]:
        """Return the seconds this cell may take, and how it ends if it takes longer."""
        limits = []
        whole, single = self.plan.timeout_seconds, self.plan.cell_timeout_seconds
        if self._deadline is not None:
            text = f"The run reached its time limit of {whole:g} s {self._where}."
            limits.append((self._deadline - started, text))
        if single:
            text = f"A cell may take {single:g} s; that was over {self._where}."
            limits.append((single, text))
        if not limits:
            return None, None
        seconds, text = min(limits)
        message = f"{text} Outputs up to there are kept. Raise the limit, or make it faster."
        error = _error("TimeLimit", text, cell, cell_index, [])
        return max(seconds, 0.0), Ending(contract.TIME_LIMIT, message, error)

    async def _unless_stopped(
        self,
        what: Awaitable[Any],
        stop: asyncio.Future[Any],
        seconds: float | None,
        ending: Ending | None = None,
    ) -> None:
        """Await ``what``, unless the pod is to stop or ``seconds`` have passed.

        Then the kernel is interrupted, so that the cell's traceback says where it was, and
        StoppedError is raised with ``ending`` or that of a stop.
        """
        task = asyncio.ensure_future(what)
        waiting: set[asyncio.Future[Any]] = {task, stop}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not self._stopped.is_set():
            return task.result()  # type: ignore[no-any-return]
        patience = INTERRUPT_SECONDS_AT_LIMIT
        if self._stopped.is_set() or ending is None:
            ending = Ending(
                contract.INTERRUPTED,
                f"The pod was told to stop {self._where}. What was done so far is kept.",
            )
            patience = INTERRUPT_SECONDS_AT_STOP
        self._log.say(ending.message)
        if not task.done():
            await self._interrupt(task, patience)
        if not task.cancelled():
            task.exception()  # fetched, so that asyncio does not complain; the ending says it all
        raise StoppedError(ending)

    async def _interrupt(self, task: asyncio.Future[Any], patience: float) -> None:
        manager = self._client.km
        if manager is not None and manager.has_kernel:
            await ensure_async(manager.interrupt_kernel())
            await asyncio.wait({task}, timeout=patience)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1)

    async def _kernel_died(self, cell: Any, cell_index: int) -> Ending:
        # Whoever stops the pod may reach the kernel first: SIGTERM for us comes within moments.
        await asyncio.wait({asyncio.ensure_future(self._stopped.wait())}, timeout=0.1)
        if self._stopped.is_set():
            return Ending(
                contract.INTERRUPTED,
                f"The pod was told to stop {self._where}. What was done so far is kept.",
            )
        code = await self._exit_code()
        if code is None:
            how = "ended"
        elif code < 0:
            how = f"was killed by {_signal_name(code)}"
            if code == -signal.SIGKILL:
                how += " (mostly: out of memory; ask for more, or use less)"
        else:
            how = f"ended with exit code {code}"
        message = f"The kernel {how} {self._where}. Outputs up to there are kept."
        error = _error("DeadKernelError", message, cell, cell_index, [])
        return Ending(contract.KERNEL_DIED, message, error)

    async def _exit_code(self) -> int | None:
        """Return the kernel's exit code, negative for a signal; None if unknown."""
        provisioner = getattr(self._client.km, "provisioner", None)
        if provisioner is None:
            return None
        code = await ensure_async(provisioner.poll())
        return code if isinstance(code, int) else None

    async def _end_kernel(self, *, graceful: bool) -> None:
        """End the kernel; where it ran well, let it write what it writes at its exit."""
        manager, channels = self._client.km, self._client.kc
        if manager is not None and manager.has_kernel:
            if graceful:
                # As shutdown_kernel does, with a shorter look: its own of 0.1 s delays every run.
                await ensure_async(manager.request_shutdown())
                await ensure_async(manager.finish_shutdown(pollinterval=0.01))
                await ensure_async(manager.cleanup_resources())
            else:
                await ensure_async(manager.shutdown_kernel(now=True))
        if channels is not None:
            channels.stop_channels()


def missing_kernel(name: str) -> str:
    """Return what to say of a kernel that this environment lacks."""
    installed = ", ".join(sorted(KernelSpecManager().find_kernel_specs())) or "none"
    return (
        f"The environment has no kernel {name!r} (it has: {installed}). Choose one of these as the "
        "kernel, another environment, or install the kernel there."
    )


def unreadable(name: str, error: Exception) -> Ending:
    """Return the ending for a file that is no notebook."""
    kind, value = type(error).__name__, str(error)
    failure: dict[str, Any] = {
        "name": kind,
        "value": value,
        "cell_index": None,
        "cell_source": "",
        "traceback": [],
    }
    message = f"{name} is not a notebook: {kind}: {value}"
    return Ending(contract.NOTEBOOK_FAILED, message, failure)


def _error(
    name: str, value: str, cell: Any, cell_index: int, traceback: list[str]
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "cell_index": cell_index,
        "cell_source": cell.source,
        "traceback": traceback,
    }


def _failed(raised: Any, where: str, cell: Any, cell_index: int) -> Ending:
    """Return the ending for a cell that raised; its error output holds the traceback."""
    shown = next((out for out in reversed(cell.outputs) if out.output_type == "error"), None)
    traceback = list(shown.traceback) if shown is not None else str(raised).splitlines()
    message = f"{raised.ename}: {raised.evalue} ({where})"
    error = _error(raised.ename, raised.evalue, cell, cell_index, traceback)
    return Ending(contract.NOTEBOOK_FAILED, message, error)


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
