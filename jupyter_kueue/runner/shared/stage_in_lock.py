"""Whether ``stage_in`` is still running: a file lock, which ends with the process in any case.

``stage_in`` takes it in the runner folder before anything else, and ``execute`` checks it from
another container of the pod, so that a killed stage-in is noticed at once. Needs only Python 3.9's
standard library.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract

if TYPE_CHECKING:
    from pathlib import Path


def take(folder: Path) -> None:
    """Hold the lock until this program ends or calls exec (the descriptor is then closed)."""
    path = f"{folder}/{pod_contract.STAGE_IN_LOCK_FILE}"
    descriptor = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT, 0o664)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # It is locked before it gets its name: a file without a lock means that stage-in has ended.
    os.rename(f"{path}.new", path)  # noqa: PTH104 - pathlib is slow to import


def is_held(folder: Path) -> bool | None:
    """Return whether stage-in is running: None before it has started, False after it has ended."""
    try:
        descriptor = os.open(folder / pod_contract.STAGE_IN_LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
