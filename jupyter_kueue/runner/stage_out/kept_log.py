"""The run's log, safe from a notebook's code that unlinks or replaces the file.

``stage_out`` creates the file before any such code runs and keeps it open; ``execute`` writes to
it. The uploaded log is therefore what was printed, whatever has its name by then.
"""

from __future__ import annotations

import contextlib
import os
import stat

from jupyter_kueue.contract import pod_contract

TYPE_CHECKING = False  # typing is slow to import, and execute waits for this
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MODE = 0o664  # the containers of a pod may run as different users of one group


class KeptLog:
    """The log's file, kept open from the start; no file if it was replaced before that."""

    def __init__(self, control_folder: str) -> None:
        self._descriptor = _keep(f"{control_folder}/{pod_contract.LOG_FILE}")

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes] | None]:
        """Yield the log opened at its beginning, None if there is none."""
        if self._descriptor is None:
            yield None
            return
        # Opened again, so that each reader has its own offset (proc(5)).
        with open(f"/proc/self/fd/{self._descriptor}", "rb") as file:  # noqa: PTH123
            yield file


def _keep(path: str) -> int | None:
    with contextlib.suppress(FileExistsError):
        made = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
        os.fchmod(made, _MODE)
        return made
    # A sidecar that was killed and restarted.
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
