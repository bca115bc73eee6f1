"""``stage-in``: brings a run's inputs and checkpoints into the pod.

It starts together with the notebook container, which starts its kernel meanwhile, and stays until
the pod ends: a container that has ended makes the pod not ready, and Kueue evicts runs whose pods
are not ready for half an hour (waitForPodsReady). Its termination message says what failed. It runs
no user code. ``fetching`` does the work.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.runner.shared import control, home, stage_in_lock
from jupyter_kueue.runner.staging import unforeseen

# A small process that replaces staging. A signal that is blocked before it starts is not lost.
WAIT = "import signal, sys; signal.sigwait({signal.SIGTERM}); sys.exit(int(sys.argv[1]))"


def main() -> None:
    """Stage in, wait for the pod's end and exit."""
    signal.signal(signal.SIGTERM, _interrupted)
    home.ensure()
    os.nice(pod_contract.STAGING_NICENESS)
    folder = control.folder(pod_contract.ENV_RUNNER_DIR)
    if stage_in_lock.is_held(folder) is not None:
        # A former stage-in was killed. Nothing may overwrite the files that the notebook works on;
        # if inputs are missing, execute has noticed.
        _wait_for_the_pods_end(pod_contract.EXIT_SUCCEEDED)
    stage_in_lock.take(folder)
    _wait_for_the_pods_end(_stage_in())


def _stage_in() -> int:
    try:
        from jupyter_kueue.runner.stage_in import fetching  # noqa: PLC0415 - slow; SIGTERM is heeded first

        return fetching.main()
    except Exception as error:  # noqa: BLE001 - the pod's end must be told in any case
        doing = say("inputs-not-fetched", "The inputs could not be fetched")
        control.say(unforeseen.sentence(doing, pod_contract.STAGE_IN, error))
        return pod_contract.EXIT_STAGING


def _wait_for_the_pods_end(code: int) -> NoReturn:
    """Release memory and lock by exec; exit with ``code`` on SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", WAIT, str(code)])  # noqa: S606 - itself


def _interrupted(_signal: int, _frame: object) -> None:
    # Another attempt needs nothing from this one, and a download must not delay the end.
    os._exit(pod_contract.EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
