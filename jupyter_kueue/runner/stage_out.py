"""``stage-out``: the sidecar that brings a run's progress and outputs into the bucket.

Runs beside the notebook container from before its start until after its end, and exits when it is
told to stop. It never touches the kernel. The work itself is ``sidecar``'s.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from jupyter_kueue import contract, errors
from jupyter_kueue.runner import control

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    """Do the sidecar's work and exit once told to stop."""
    asyncio.run(_main())


async def _main() -> None:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    folder = control.folder(contract.ENV_CONTROL_DIR)
    if not (folder / contract.FINISHED_FILE).exists():
        await _work(folder, terminated)
    await terminated.wait()


async def _work(folder: Path, terminated: asyncio.Event) -> None:
    # Imported only now: a process that is its container's first ignores SIGTERM without a handler.
    from jupyter_kueue.runner.attempt import Attempt  # noqa: PLC0415
    from jupyter_kueue.runner.live import Live  # noqa: PLC0415
    from jupyter_kueue.runner.sidecar import Sidecar  # noqa: PLC0415
    from jupyter_kueue.storage.bucket import Bucket  # noqa: PLC0415

    run = control.read(folder / contract.RUN_FILE)
    if run is None:
        control.end(
            contract.EXIT_STAGING,
            f"{folder} holds no {contract.RUN_FILE}: stage-in did not do its work. See its log.",
        )
    try:
        bucket = Bucket.open(control.folder(contract.ENV_BUCKET_DIR))
    except errors.NotConfiguredError as error:
        control.end(contract.EXIT_STAGING, error.message)
    attempt = Attempt(bucket, run["started_at"])
    live = Live(attempt, folder, control.folder(contract.ENV_CHECKPOINT_DIR))
    await Sidecar(attempt, live, run, terminated).run()


if __name__ == "__main__":
    main()
