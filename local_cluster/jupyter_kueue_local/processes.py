"""Long-lived processes that outlive the command which started them.

``lifecycle`` starts, finds and stops the parts of a cluster with this. A process is known by
its pid *and* its start time (proc(5), stat field 22) within one boot, so a pid that the system gave
to somebody else is never taken for ours, nor killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue_local.node.host_processes import MARK as CONTAINER_MARK
from jupyter_kueue_local.state_folder import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Every process of a part carries this, so that one whose record was never written is found too.
MARK = "JUPYTER_KUEUE_LOCAL_PART"

_POLL_SECONDS = 0.02
_LOG_LIMIT_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Process:
    """A process that was started, and the fingerprint of what it was started with."""

    pid: int
    start_ticks: int
    boot_id: str
    fingerprint: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (one that only waits to be reaped does not)."""
        return self.boot_id == _boot_id() and _start_ticks(self.pid) == self.start_ticks

    @property
    def suspended(self) -> bool:
        """Whether it is stopped by a signal (SIGSTOP, or Ctrl-Z), and so does nothing."""
        return self.alive and _stat(self.pid)[:1] == [b"T"]

    @property
    def ending(self) -> bool:
        """Whether it counts as ended and something of it is still there, perhaps only its name."""
        fields = _stat(self.pid)
        same = bool(fields) and int(fields[19]) == self.start_ticks
        return self.boot_id == _boot_id() and same and not self.alive

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether it came in time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            _reap(self.pid)
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def command(self) -> tuple[str, ...]:
        """Return its program and arguments, nothing if it has ended."""
        try:
            line = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(item.decode(errors="replace") for item in line.split(b"\0")[:-1])

    def stop(self, grace_seconds: float) -> bool:
        """End it with SIGTERM, then SIGKILL; return whether it ended by itself."""
        self.signal(signal.SIGTERM)
        if self.wait(grace_seconds):
            return True
        self.signal(signal.SIGKILL)
        self.wait(5)
        return False


def start(
    command: list[str],
    *,
    folder: Path,
    log: Path,
    mark: str,
    fingerprint: str,
    environment: Mapping[str, str],
) -> Process:
    """Start a process in a session of its own, that holds nothing of this one open.

    Args:
        command: program and arguments.
        folder: the working directory.
        log: takes the output; what an earlier process wrote is kept as ``<log>.1``.
        mark: value of the mark in its environment.
        fingerprint: kept with the process, to see later whether it is still what is wanted.
        environment: its whole environment, besides the mark.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    # It is meant to outlive this process: nobody waits for it, and that is no mistake.
    child.returncode = 0
    return Process(child.pid, _start_ticks(child.pid) or 0, _boot_id(), fingerprint)


def load(record: Path) -> Process | None:
    """Return the recorded process, None where none is recorded (it may have ended since)."""
    try:
        return Process(**json.loads(record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def save(record: Path, process: Process) -> None:
    """Write down a process that was started."""
    write_private(record, json.dumps(asdict(process)))


def limit_log(log: Path) -> None:
    """Cut a running process's log that has grown too long; it appends, so it goes on at the top."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        os.truncate(log, 0)


def find_marked(folder: Path, node_folder: Path) -> list[tuple[Process, str]]:
    """Return the processes of the cluster in ``folder``, recorded or not, each with its part.

    A part is known by its mark, which its own children may inherit; a container, whose part is
    the empty string, by the node agent's mark, which leads into ``node_folder``.
    """
    mark = f"{MARK}={folder}:".encode()
    container = f"{CONTAINER_MARK}={node_folder}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # somebody else's, or just ended
            continue
        part = next((v.removeprefix(mark).decode() for v in variables if v.startswith(mark)), None)
        if part is None and any(variable.startswith(container) for variable in variables):
            part = ""
        ticks = _start_ticks(int(entry.name))
        if part is not None and ticks is not None:
            found.append((Process(int(entry.name), ticks, _boot_id(), ""), part))
    return found


def kill_all(processes: Iterable[Process], seconds: float) -> list[Process]:
    """SIGKILL all of them; return those that are still there after ``seconds``."""
    doomed = list(processes)
    for process in doomed:
        process.signal(signal.SIGKILL)
    deadline = time.monotonic() + seconds
    return [p for p in doomed if not p.wait(max(0.0, deadline - time.monotonic()))]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_ticks(pid: int) -> int | None:
    """Return the start time in clock ticks since boot, None if there is no live process."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in (b"Z", b"X") else None


def _stat(pid: int) -> list[bytes]:
    """Return the fields of proc(5)'s stat from the state on, none if there is no process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    # The name in parentheses may itself hold spaces and parentheses.
    return stat[stat.rindex(b")") + 2 :].split()


def _reap(pid: int) -> None:
    """Take the exit status of an own child, so that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # started by an earlier command: the system reaps it
        return
