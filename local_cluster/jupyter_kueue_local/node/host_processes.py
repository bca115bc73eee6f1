"""Finds and ends containers' processes on the host, through a folder or /proc.

A process is identified by pid, start time and boot (proc(5)), so that a reused pid is never
signalled.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

# Every process of a container inherits this variable; its value is the folder of the start.
MARK = "JUPYTER_KUEUE_CONTAINER"

_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Shim:
    """A running shim; the caller must close ``pidfd``."""

    pid: int
    pidfd: int


def find_shim(attempt: Path) -> Shim | None:
    """Return the running shim of a container's start, None if it has ended."""
    try:
        pid_text, ticks, boot_id = (attempt / "shim").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    pid = int(pid_text)
    if boot_id != Path("/proc/sys/kernel/random/boot_id").read_text().strip():
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # Checked after opening: the pidfd then refers to the process whose start time was compared.
    if _start_ticks(pid) != int(ticks):
        os.close(pidfd)
        return None
    return Shim(pid, pidfd)


def kill_marked(folder: Path) -> None:
    """Send SIGKILL to every process of containers started in ``folder``, and wait for their end."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (found := _marked(folder)) and time.monotonic() < deadline:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            reap(pid)
        time.sleep(0.005)


def remove_pod_folder(folder: Path) -> None:
    """End what still runs in a pod's folder, and remove the folder. Blocks for a while."""
    kill_marked(folder)
    remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder, including read-only files."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def reap(pid: int) -> None:
    """Collect the exit status of a child process, so that no zombie stays."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # started by an earlier agent
        return


def _marked(folder: Path) -> list[int]:
    """Return the processes marked with ``folder`` or a folder below it."""
    exact, below = f"{MARK}={folder}\0".encode(), f"{MARK}={folder}/".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            variables = Path(entry.path, "environ").read_bytes()
        except OSError:  # another user's, or just ended
            continue
        # A zombie has no environment any more and is not found.
        if exact in variables or below in variables:
            found.append(int(entry.name))
    return found


def _start_ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
