"""``stage-out``: the sidecar that brings a run's progress and outputs into the bucket.

Runs beside the notebook container from before its start until after its end, and exits when it is
told to stop. First it leaves that container's program for it. It never touches the kernel. The work
itself is ``sidecar``'s.
"""

from __future__ import annotations

import os
import sys
import time

from jupyter_kueue import contract
from jupyter_kueue.runner import execute_folder, home
from jupyter_kueue.runner.kept_log import KeptLog
from jupyter_kueue.runner.stopping import Stop
from jupyter_kueue.sentences import say

POLL_SECONDS = 0.02


def main() -> None:
    """Do the sidecar's work and exit once told to stop."""
    stop = Stop()
    # Before any code of a notebook can run: execute waits for its folder.
    log = KeptLog(os.environ[contract.ENV_CONTROL_DIR])
    execute_folder.write(f"{os.environ[contract.ENV_RUNNER_DIR]}/{contract.EXECUTE_FOLDER}")
    home.ensure()
    os.nice(contract.STAGING_NICENESS)
    _wait_for_notebook(stop)
    try:
        from jupyter_kueue.runner import sidecar  # noqa: PLC0415 - slow, and not needed before

        sidecar.main(stop, log)
    except Exception as error:  # noqa: BLE001 - execute waits for a word
        stop.forget_loop()
        _give_up(error)
        while stop.at is None:
            time.sleep(POLL_SECONDS)
        sys.exit(contract.EXIT_STAGING)


def _give_up(error: Exception) -> None:
    """Say in all places why there will be no outputs."""
    from jupyter_kueue.runner import control, unforeseen  # noqa: PLC0415 - as above

    doing = say("outputs-not-put-away-at-all", "The outputs could not be stored")
    message = unforeseen.sentence(doing, contract.STAGE_OUT, error)
    control.say(message)
    committed = {"committed": False, "message": message, "result_of": None}
    runner = control.folder(contract.ENV_RUNNER_DIR)
    if not (runner / contract.COMMITTED_FILE).exists():
        control.write(runner / contract.COMMITTED_FILE, committed)


def _wait_for_notebook(stop: Stop) -> None:
    """Leave the processor to what comes first: fetching the inputs and starting the kernel."""
    folder, runner = os.environ[contract.ENV_CONTROL_DIR], os.environ[contract.ENV_RUNNER_DIR]
    begun = (
        f"{folder}/{contract.PROGRESS_FILE}",
        f"{folder}/{contract.ENDED_FILE}",
        f"{runner}/{contract.FINISHED_FILE}",
    )
    while stop.at is None and not any(os.path.lexists(path) for path in begun):
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
