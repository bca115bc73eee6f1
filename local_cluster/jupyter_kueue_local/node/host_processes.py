"""Finds and ends the processes of containers on the host, by what a folder or /proc says.

``containers`` and ``agent`` use it. A process is known by its pid, its start time and the boot it
was started in (proc(5)), so a number that now is somebody else's is never signalled.
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
    """A living shim; ``pidfd`` is open and the caller's to close."""

    pid: int
    pidfd: int


def find_shim(attempt: Path) -> Shim | None:
    """Return the living shim of a container's start, None if it has ended."""
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
    # Checked after opening: the pidfd then stands for the very process whose time was compared.
    if _start_ticks(pid) != int(ticks):
        os.close(pidfd)
        return None
    return Shim(pid, pidfd)


def kill_marked(folder: Path) -> None:
    """SIGKILL every process that a container started in ``folder`` left, and wait for the end."""
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
    """End whatever still runs in a pod's folder, and remove the folder. Blocks for a while."""
    kill_marked(folder)
    remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder whose files may have been made unwritable."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def reap(pid: int) -> None:
    """Take the exit status of an own child, so that it does not stay as a zombie."""
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
        except OSError:  # somebody else's, or just ended
            continue
        # A marked zombie has no environment left and is not found.
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
