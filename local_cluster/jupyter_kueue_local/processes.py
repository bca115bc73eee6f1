"""Long-lived processes that outlive the command that started them.

A process is identified by pid *and* start time (proc(5), stat field 22) within one boot, so that a
reused pid is never mistaken for the cluster's, or killed.
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

# Every process of a part has this variable, so that one without a record is found, too.
MARK = "JUPYTER_KUEUE_LOCAL_PART"

_POLL_SECONDS = 0.02
_LOG_LIMIT_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Process:
    """A started process, and the fingerprint of its configuration."""

    pid: int
    start_ticks: int
    boot_id: str
    fingerprint: str

    @property
    def alive(self) -> bool:
        """Whether this process still runs (a zombie does not)."""
        return self.boot_id == _boot_id() and _start_ticks(self.pid) == self.start_ticks

    @property
    def suspended(self) -> bool:
        """Whether it is stopped by a signal (SIGSTOP, or Ctrl-Z)."""
        return self.alive and _stat(self.pid)[:1] == [b"T"]

    @property
    def ending(self) -> bool:
        """Whether it counts as ended but still exists in part, perhaps only its entry in /proc."""
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
        """Wait for its end; return whether it ended in time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            _reap(self.pid)
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def command(self) -> tuple[str, ...]:
        """Return its program and arguments, empty if it has ended."""
        try:
            line = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(item.decode(errors="replace") for item in line.split(b"\0")[:-1])

    def stop(self, grace_seconds: float) -> bool:
        """End it with SIGTERM, then SIGKILL; return whether SIGTERM was enough."""
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
    """Start a process in its own session, without open files of this one.

    Args:
        command: program and arguments.
        folder: the working directory.
        log: for the output; an earlier process's log is kept as ``<log>.1``.
        mark: value of the mark in its environment.
        fingerprint: stored with the process, to check later whether it is still current.
        environment: its whole environment, except the mark.
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
    # It is meant to outlive this process, so Python must not warn that nobody waits for it.
    child.returncode = 0
    return Process(child.pid, _start_ticks(child.pid) or 0, _boot_id(), fingerprint)


def load(record: Path) -> Process | None:
    """Return the recorded process, None if there is no record (it may have ended since)."""
    try:
        return Process(**json.loads(record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def save(record: Path, process: Process) -> None:
    """Record a started process."""
    write_private(record, json.dumps(asdict(process)))


def limit_log(log: Path) -> None:
    """Truncate a running process's log that is too long; it appends, so it starts at the top."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        os.truncate(log, 0)


def find_marked(folder: Path, node_folder: Path) -> list[tuple[Process, str]]:
    """Return the processes of the cluster in ``folder``, recorded or not, each with its part.

    A part is identified by its mark, which its children may inherit; a container, whose part is the
    empty string, by the node agent's mark, which is a path in ``node_folder``.
    """
    mark = f"{MARK}={folder}:".encode()
    container = f"{CONTAINER_MARK}={node_folder}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or just ended
            continue
        part = next((v.removeprefix(mark).decode() for v in variables if v.startswith(mark)), None)
        if part is None and any(variable.startswith(container) for variable in variables):
            part = ""
        ticks = _start_ticks(int(entry.name))
        if part is not None and ticks is not None:
            found.append((Process(int(entry.name), ticks, _boot_id(), ""), part))
    return found


def kill_all(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Send SIGKILL to all of them; return those that still exist after ``seconds``."""
    doomed = list(processes)
    for process in doomed:
        process.signal(signal.SIGKILL)
    deadline = time.monotonic() + seconds
    return [p for p in doomed if not p.wait(max(0.0, deadline - time.monotonic()))]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_ticks(pid: int) -> int | None:
    """Return the start time in clock ticks since boot, None if there is no running process."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in (b"Z", b"X") else None


def _stat(pid: int) -> list[bytes]:
    """Return the fields of proc(5)'s stat from the state on, none if the process does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    # The name in parentheses may itself contain spaces and parentheses.
    return stat[stat.rindex(b")") + 2 :].split()


def _reap(pid: int) -> None:
    """Collect the exit status of a child process, so that no zombie stays."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # started by an earlier command: the system reaps it
        return
