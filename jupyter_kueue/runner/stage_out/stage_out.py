"""``stage-out``: the sidecar that uploads a run's progress and outputs to the bucket.

It runs beside the notebook container from before its start until after its end, and exits on
SIGTERM. First it copies that container's program into the runner folder. It never accesses the
kernel. ``sidecar`` does the work.
"""

from __future__ import annotations

import os
import sys
import time

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.runner.shared import home
from jupyter_kueue.runner.shared.stopping import Stop
from jupyter_kueue.runner.stage_out.kept_log import KeptLog
from jupyter_kueue.runner.staging import notebook_modules

POLL_SECONDS = 0.02


def main() -> None:
    """Do the sidecar's work and exit on SIGTERM."""
    stop = Stop()
    # Before any code of a notebook can run: execute waits for its folder.
    log = KeptLog(os.environ[pod_contract.ENV_CONTROL_DIR])
    notebook_modules.write(
        f"{os.environ[pod_contract.ENV_RUNNER_DIR]}/{pod_contract.EXECUTE_FOLDER}"
    )
    home.ensure()
    os.nice(pod_contract.STAGING_NICENESS)
    _wait_for_notebook(stop)
    try:
        # Slow to import, and not needed earlier.
        from jupyter_kueue.runner.stage_out import sidecar  # noqa: PLC0415

        sidecar.main(stop, log)
    except Exception as error:  # noqa: BLE001 - execute waits for a word
        stop.forget_loop()
        _give_up(error)
        while stop.at is None:
            time.sleep(POLL_SECONDS)
        sys.exit(pod_contract.EXIT_STAGING)


def _give_up(error: Exception) -> None:
    """Report everywhere why there will be no outputs."""
    from jupyter_kueue.runner.shared import control  # noqa: PLC0415 - as above
    from jupyter_kueue.runner.staging import unforeseen  # noqa: PLC0415 - as above

    doing = say("outputs-not-put-away-at-all", "The outputs could not be stored")
    message = unforeseen.sentence(doing, pod_contract.STAGE_OUT, error)
    control.say(message)
    committed = {"committed": False, "message": message, "result_of": None}
    runner = control.folder(pod_contract.ENV_RUNNER_DIR)
    if not (runner / pod_contract.COMMITTED_FILE).exists():
        control.write(runner / pod_contract.COMMITTED_FILE, committed)


def _wait_for_notebook(stop: Stop) -> None:
    """Leave the CPU to what comes first: fetching the inputs and starting the kernel."""
    folder, runner = (
        os.environ[pod_contract.ENV_CONTROL_DIR],
        os.environ[pod_contract.ENV_RUNNER_DIR],
    )
    begun = (
        f"{folder}/{pod_contract.PROGRESS_FILE}",
        f"{folder}/{pod_contract.ENDED_FILE}",
        f"{runner}/{pod_contract.FINISHED_FILE}",
    )
    while stop.at is None and not any(os.path.lexists(path) for path in begun):
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
