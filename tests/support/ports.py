"""Ports for the servers that tests start: each process that runs tests has a range of its own.

A port that the kernel picks may be another's a moment later, before the server listens on it: two
servers then fight for it, and a test speaks to the one of another test.
"""

from __future__ import annotations

import itertools
import os
import random

from jupyter_kueue_local.ports import is_free

# Below those of local clusters (from 20000) and of outgoing connections (from 32768), and above
# 10080, the highest one that browsers refuse to open ("port blocking" in the Fetch standard).
_FIRST, _EACH = 11_000, 1_000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw8").removeprefix("gw"))
# They begin anywhere, for the sake of other runs of these tests on the same machine.
_start = random.SystemRandom().randrange(_EACH)
_ports = (_FIRST + _WORKER * _EACH + (_start + number) % _EACH for number in itertools.count())


def free_port() -> int:
    """Return a port on which nobody listens, and that no other test gets."""
    return next(port for port in _ports if is_free(port))
