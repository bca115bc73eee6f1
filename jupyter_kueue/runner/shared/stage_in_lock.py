"""Whether ``stage_in`` is still at work: a file lock, which no way of ending leaves behind.

``stage_in`` takes it in the runner folder first of all; ``execute``, in another container of the
pod, asks. So a
stage-in that is killed is noticed at once. Python 3.9's standard library, as all of ``execute``.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract

if TYPE_CHECKING:
    from pathlib import Path


def take(folder: Path) -> None:
    """Hold the lock until this program ends or becomes another (the descriptor is closed then)."""
    path = f"{folder}/{pod_contract.STAGE_IN_LOCK_FILE}"
    descriptor = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT, 0o664)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # It is locked from its first moment: a file that is not means that stage-in has ended.
    os.rename(f"{path}.new", path)  # noqa: PTH104 - pathlib is slow to import


def is_held(folder: Path) -> bool | None:
    """Tell whether stage-in is at work: None before its begin, False after its end."""
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
