"""``stage-in``: brings a run's inputs, checkpoints and the program that runs it into the pod.

It starts together with the notebook container, which gets its kernel ready meanwhile. What it could
not do is told in its termination message. It runs no user code. The work itself is ``staging``'s.
"""

from __future__ import annotations

import os
import signal

from jupyter_kueue import contract
from jupyter_kueue.runner import control, stage_in_lock


def main() -> None:
    """Stage in and exit."""
    signal.signal(signal.SIGTERM, _interrupted)
    os.nice(contract.STAGING_NICENESS)
    stage_in_lock.take(control.folder(contract.ENV_CONTROL_DIR))
    from jupyter_kueue.runner import staging  # noqa: PLC0415 - slow, and SIGTERM is heeded first

    staging.main()


def _interrupted(_signal: int, _frame: object) -> None:
    # Nothing is held that another attempt would miss, and no download may delay the end.
    os._exit(contract.EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
