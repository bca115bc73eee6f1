"""``stage-in``: brings a run's inputs, checkpoints and the program that runs it into the pod.

It starts together with the notebook container, which gets its kernel ready meanwhile, and stays
until the pod ends: a container that had ended would leave the pod not ready, and Kueue evicts runs
whose pods are not ready for half an hour (waitForPodsReady). What it could not do is told in its
termination message. It runs no user code. The work itself is ``staging``'s.
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

# A process without all that staging needed; what is blocked before it begins, it does not miss.
WAIT = "import signal, sys; signal.sigwait({signal.SIGTERM}); sys.exit(int(sys.argv[1]))"


def main() -> None:
    """Stage in, wait for the pod's end and exit."""
    signal.signal(signal.SIGTERM, _interrupted)
    home.ensure()
    os.nice(pod_contract.STAGING_NICENESS)
    folder = control.folder(pod_contract.ENV_RUNNER_DIR)
    if stage_in_lock.is_held(folder) is not None:
        # Killed before and started again. Nothing is fetched over what the notebook works on; if
        # the inputs were not all there, it has noticed.
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
    """Give back the memory and the lock; exit with ``code`` once told to stop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", WAIT, str(code)])  # noqa: S606 - itself


def _interrupted(_signal: int, _frame: object) -> None:
    # Nothing is held that another attempt would miss, and no download may delay the end.
    os._exit(pod_contract.EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
