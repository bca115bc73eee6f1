"""Which loopback ports a cluster uses, and whose process listens on one.

``lifecycle`` chooses ports once per cluster and keeps them; ``readiness`` asks whether
what answers is the cluster's own process, because an old one may still hold the port and answer.
"""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Below the range that Linux gives to outgoing connections (from 32768), so that a port stays free
# while its cluster is down.
_RANGE = range(20000, 32000)
_POLL_SECONDS = 0.02


def is_free(port: int) -> bool:
    """Return whether nobody listens on this loopback port now."""
    with socket.socket() as probe:
        # Connections of the last listener that are only winding down do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def await_free(ports: Iterable[int], seconds: float) -> list[int]:
    """Wait until nobody listens on any of the ports; return those that are still taken by then.

    A process that was killed may hold its ports for a moment after it counts as ended: as long as
    one of its threads is on its way out, which takes longest where it was suspended.
    """
    deadline = time.monotonic() + seconds
    taken = list(ports)
    while taken := [port for port in taken if not is_free(port)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    return taken


def choose_port(taken: set[int], offset: int = 0) -> int:
    """Return a free port that is not in ``taken``; with ``offset``, the one so far above is too.

    Random, so that two clusters which start at the same moment do not choose the same ones.
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
    except OSError:  # it ended just now
        return False
    for descriptor in descriptors:
        try:
            if str(descriptor.readlink()) in inodes:
                return True
        except OSError:  # closed just now
            continue
    return False
