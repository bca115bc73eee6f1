"""``execute``: runs the notebook in the user's image, and exits once its outputs are stored.

It starts in the notebook container from a folder that ``stage_out`` writes
(``staging.notebook_modules``), while the inputs are still being fetched. It communicates with the
other containers only through the pod's volumes, has no credential, and needs Python 3.9, nbclient
and a kernel. It always leaves ended.json and an exit code of ``pod_contract``. A child process does
the work (``running``), so that this process can enforce the limits even while the child is busy
(``limit_keeper``).
"""

from __future__ import annotations

import errno
import os
import socket

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.notebook import early_kernel
from jupyter_kueue.runner.notebook.limit_keeper import LimitKeeper
from jupyter_kueue.runner.shared import home
from jupyter_kueue.runner.shared.stopping import Stop

TYPE_CHECKING = False  # typing is slow to import, and this runs first
if TYPE_CHECKING:
    from typing import NoReturn

# Internal variables, hidden from notebooks. Those that describe the run stay.
HIDDEN_VARIABLES = frozenset(
    {
        pod_contract.ENV_BUCKET_DIR,
        pod_contract.ENV_COMMIT_SECONDS,
        pod_contract.ENV_CONTROL_DIR,
        pod_contract.ENV_KERNEL_NAME,
        pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES,
        pod_contract.ENV_NOTEBOOK,
        pod_contract.ENV_POD_UID,
        pod_contract.ENV_RUNNER_DIR,
        pod_contract.ENV_STAGING_SECONDS,
        pod_contract.ENV_TERMINATION_LOG,
        pod_contract.ENV_VOLUME_LIMITS,
    }
)


def main() -> None:
    """Run the notebook that stage-in fetches, and exit."""
    stop = Stop()
    keeper_end, client_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client = os.fork()
    if client:
        client_end.close()
        LimitKeeper(stop, client, keeper_end).keep()
    keeper_end.close()
    _run(stop, client_end)


def _run(stop: Stop, link: socket.socket) -> None:
    """Run the notebook in the child process; ``link`` leads to the keeper of its limits."""
    home.ensure()
    try:
        environment = _kernel_environment()
        kernel = _early_kernel(environment)
    except OSError as error:
        _end_without_kernel(error)
    from jupyter_kueue.runner.notebook import running  # noqa: PLC0415 - slow; the kernel comes up meanwhile

    running.main(stop, link, environment, kernel)


def _end_without_kernel(error: OSError) -> NoReturn:
    """End the attempt because the kernel's files cannot be stored; the next attempt may succeed."""
    from jupyter_kueue.runner.notebook import running  # noqa: PLC0415 - slow

    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the node's disk is full" if is_full else "the container's folders cannot be written to"
    running.end_now(pod_contract.EXIT_STAGING, f"The kernel could not be started: {why} ({error}).")


def _early_kernel(environment: dict[str, str]) -> early_kernel.EarlyKernel | None:
    """Start the submitted notebook's kernel, if that is possible this early."""
    name = os.environ.get(pod_contract.ENV_KERNEL_NAME)
    notebook = os.environ.get(pod_contract.ENV_NOTEBOOK)
    workspace = os.environ.get(pod_contract.ENV_WORKSPACE_DIR)
    if not name or not notebook or not workspace:
        return None
    folder = os.path.dirname(os.path.join(workspace, notebook))  # noqa: PTH118, PTH120 - no pathlib yet
    return early_kernel.start(name, folder, environment)


def _kernel_environment() -> dict[str, str]:
    """Return the kernel's environment: the container's without internal variables."""
    # The image's user may have no home for connection files.
    scratch = os.environ.get(pod_contract.ENV_SCRATCH_DIR)
    runtime = os.path.join(scratch or "/tmp", f"jupyter-runtime-{os.urandom(8).hex()}")  # noqa: PTH118, S108 - the name cannot be guessed
    os.mkdir(runtime, 0o700)  # noqa: PTH102 - pathlib is slow to import
    os.environ["JUPYTER_RUNTIME_DIR"] = runtime
    return {
        key: value
        for key, value in os.environ.items()
        if key not in HIDDEN_VARIABLES and not key.startswith(pod_contract.ENV_DISK_LIMIT)
    }


if __name__ == "__main__":
    main()
