"""The process that keeps a run's limits, even while the kernel's client is busy.

``execute`` forks: its child runs the notebook (``running``), and the parent only waits here. The
more a notebook prints, the longer it takes to read, and for much of that time neither a signal
handler nor another thread of the same Python can run. This process therefore reads no output: its
loop only receives short messages, checks the clock and sends signals. A second thread watches the
disk (``disk_use``). ``keeper_link`` is the other end.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from jupyter_kueue.contract import pod_contract, sentences

TYPE_CHECKING = False  # typing is slow to import, and this runs before the kernel is up
if TYPE_CHECKING:
    import socket
    from typing import Any, NoReturn

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.runner.notebook.disk_use import DiskWatch
    from jupyter_kueue.runner.shared.stopping import Stop

# How long a cell may take to react to an interrupt before its kernel is killed.
INTERRUPT_SECONDS_AT_LIMIT = 5.0
INTERRUPT_SECONDS_AT_STOP = 3.0
# How long after a limit the other process may take to store the output so far.
STORING_SECONDS = 120.0
# How much of the grace period is left when the other process is given up.
GRACE_MARGIN_SECONDS = 1.0

# ENDED, whose texts have limits, is the longest message.
MESSAGE_BYTES = 131_072

LIMIT = "limit"
DISK = "disk"
STOP = "stop"


class LimitKeeper:
    """Watches one run. ``client`` is the child's process id, ``link`` the socket to it."""

    def __init__(self, stop: Stop, client: int, link: socket.socket) -> None:
        self._stop = stop
        self._client = client
        self._link = link
        self._kernel: int | None = None  # its process group
        self._by_signal = True  # SIGINT interrupts the kernel
        self._cell_runs = False
        self._limit_at: float | None = None
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self._over: str | None = None
        self._stop_passed_on = False
        self._last_word: dict[str, Any] | None = None
        self._disk: DiskWatch | None = None

    def keep(self) -> NoReturn:
        """Watch until the other process has ended, and exit with its status."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        self._watch_disk(wake)
        while True:
            self._heed_disk()  # first: a kubelet that evicts for it also sends SIGTERM
            self._heed_stop()
            self._heed_clock()
            sources = [self._link.fileno(), woken]
            ready, _, _ = select.select(sources, [], [], self._seconds_to_wait())
            if woken in ready:
                os.read(woken, 4096)
            if sources[0] in ready and not self._hear():
                self._end_as_client()

    def _watch_disk(self, wake: int) -> None:
        from jupyter_kueue.runner.notebook.disk_use import DiskWatch  # noqa: PLC0415 - the other process comes first

        def waken() -> None:
            try:
                os.write(wake, b"\0")
            except BlockingIOError:
                return  # more than enough to read already

        self._disk = DiskWatch(waken)
        self._disk.start()

    def _heed_disk(self) -> None:
        if self._disk is None or self._disk.excess is None or self._over is not None:
            return
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + STORING_SECONDS
        self._end_cells(DISK, INTERRUPT_SECONDS_AT_LIMIT, self._disk.excess)

    def _seconds_to_wait(self) -> float | None:
        due = [at for at in (self._limit_at, self._kill_at, self._give_up_at) if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _hear(self) -> bool:
        """Handle a message; return False if there will be no more."""
        try:
            data = self._link.recv(MESSAGE_BYTES)
        except OSError:
            return False
        if not data:
            return False
        message = json.loads(data)
        kind = message["kind"]
        if kind == "kernel":
            self._kernel, self._by_signal = message["group"], message["by_signal"]
        elif kind == "cell":
            may_go = self._over is None
            self._cell_runs = may_go
            self._limit_at = message["limit_at"] if may_go else None
            self._last_word = message["last_word"]
            self._send({"may_go": may_go})
        elif kind == "cell_ended":
            self._cell_runs, self._limit_at, self._kill_at = False, None, None
            self._send({"may_go": self._over is None})
        elif kind == "kernel_ended":
            self._kernel, self._cell_runs = None, False
            self._limit_at = self._kill_at = None
        return True

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._link.send(json.dumps(message).encode())
        except OSError:
            return  # it has ended, which the next check notices

    def _heed_stop(self) -> None:
        if self._stop.at is None or self._stop_passed_on:
            return
        self._stop_passed_on = True
        self._signal_client(signal.SIGTERM)
        grace = _seconds(pod_contract.ENV_GRACE_PERIOD, pod_contract.DEFAULT_GRACE_PERIOD_SECONDS)
        self._give_up_at = self._stop.at + max(grace - GRACE_MARGIN_SECONDS, grace * 0.75)
        self._end_cells(STOP, INTERRUPT_SECONDS_AT_STOP)

    def _heed_clock(self) -> None:
        now = time.monotonic()
        if self._limit_at is not None and now >= self._limit_at:
            self._limit_at = None
            if self._give_up_at is None:
                self._give_up_at = now + STORING_SECONDS
            self._end_cells(LIMIT, INTERRUPT_SECONDS_AT_LIMIT)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._signal_kernel(signal.SIGKILL)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up()

    def _end_cells(self, why: str, patience: float, said: Sentence | None = None) -> None:
        """Allow no further cell, and interrupt the one that runs."""
        self._limit_at = None
        if self._over is None:
            self._over = why
            self._send({"over": why, "said": said, "sentence": sentences.as_json(said)})
            if self._cell_runs:
                if self._by_signal:
                    self._signal_kernel(signal.SIGINT)
                self._kill_at = time.monotonic() + patience

    def _signal_kernel(self, number: int) -> None:
        if self._kernel is not None:
            try:
                os.killpg(self._kernel, number)
            except ProcessLookupError:
                return

    def _signal_client(self, number: int) -> None:
        try:
            os.kill(self._client, number)
        except ProcessLookupError:
            return

    def _give_up(self) -> NoReturn:
        """End for a process that does not finish, with what it has saved so far."""
        self._signal_kernel(signal.SIGKILL)
        self._signal_client(signal.SIGKILL)
        os.waitpid(self._client, 0)
        from jupyter_kueue.runner.notebook import running  # noqa: PLC0415 - slow, and rarely needed

        ended = self._last_word
        if self._over == DISK and ended is not None and self._disk is not None:
            ended = {
                **ended,
                "outcome": pod_contract.DISK_FULL,
                "message": self._disk.excess,
                "sentence": sentences.as_json(self._disk.excess),
                "error": None,
            }
        if self._over in (LIMIT, DISK) and ended is not None and self._stop.at is None:
            running.put_away(ended, self._stop)
        running.end_now(pod_contract.EXIT_INTERRUPTED, "The cluster stopped the run.")

    def _end_as_client(self) -> NoReturn:
        _, status = os.waitpid(self._client, 0)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            os._exit(code)
        self._signal_kernel(signal.SIGKILL)
        from jupyter_kueue.runner.notebook import running  # noqa: PLC0415 - slow, and rarely needed

        name = signal.Signals(-code).name
        how = " The usual cause is memory: request more." if -code == signal.SIGKILL else ""
        running.end_now(128 - code, f"The process that runs the notebook was killed ({name}).{how}")


def _seconds(name: str, default: float) -> float:
    # Like control.seconds, whose module is too slow to import here.
    try:
        return float(os.environ[name])
    except (KeyError, ValueError):
        return default
