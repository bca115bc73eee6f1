"""The loopback ports of a cluster, and which process listens on a port.

The ports are chosen once per cluster and kept. Whether a port belongs to the cluster's own process
matters because an old process may still hold it and answer.
"""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Below Linux's range for outgoing connections (from 32768), so that a port stays free while its
# cluster is down.
_RANGE = range(20000, 32000)
_POLL_SECONDS = 0.02


def is_free(port: int) -> bool:
    """Return whether nobody listens on this loopback port now."""
    with socket.socket() as probe:
        # Closing connections of the last listener do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def await_free(ports: Iterable[int], seconds: float) -> list[int]:
    """Wait until nobody listens on any of the ports; return those that are still taken.

    A killed process may hold its ports for a moment after it counts as ended, until its last thread
    has exited; that takes longest for a suspended process.
    """
    deadline = time.monotonic() + seconds
    taken = list(ports)
    while taken := [port for port in taken if not is_free(port)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    return taken


def choose_port(taken: set[int], offset: int = 0) -> int:
    """Return a free port that is not in ``taken``, and whose port + ``offset`` is free, too.

    Random, so that two clusters that start at the same time do not choose the same ones.
    """
    chooser = random.SystemRandom()
    while True:
        port = chooser.randrange(_RANGE.start, _RANGE.stop - offset)
        if all(each not in taken and is_free(each) for each in {port, port + offset}):
            return port


def listens(pid: int, port: int) -> bool:
    """Return whether process ``pid`` itself listens on the port (Linux: /proc/net/tcp, proc(5))."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # 0A: LISTEN
                inodes.add(f"socket:[{fields[9]}]")
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has just ended
        return False
    for descriptor in descriptors:
        try:
            if str(descriptor.readlink()) in inodes:
                return True
        except OSError:  # it has just been closed
            continue
    return False
