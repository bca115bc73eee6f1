"""The run's log, which a notebook's code can unlink or replace by something else.

``stage_out`` makes the file before any such code runs and keeps it open; ``execute`` writes into
it. So what is uploaded is what was printed, whatever stands under its name by then.
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
    """The log's file, kept open from the first moment; none where it was replaced before."""

    def __init__(self, control_folder: str) -> None:
        self._descriptor = _keep(f"{control_folder}/{pod_contract.LOG_FILE}")

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes] | None]:
        """Give the log to be read from its beginning, None where there is none."""
        if self._descriptor is None:
            yield None
            return
        # Opened anew, so that each reader has a place of its own in it (proc(5)).
        with open(f"/proc/self/fd/{self._descriptor}", "rb") as file:  # noqa: PTH123
            yield file


def _keep(path: str) -> int | None:
    with contextlib.suppress(FileExistsError):
        made = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
        os.fchmod(made, _MODE)
        return made
    # A sidecar that was killed and started again.
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
