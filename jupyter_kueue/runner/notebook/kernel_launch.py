"""The kernel's process, adopted or started, before ``running`` imports and reads whatever else.

A kernel takes most of a second to come up, on a core of its own; what ``running`` does meanwhile
costs a run no time. ``cells`` goes on from here.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.kernelspec import KernelSpec, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_path

from jupyter_kueue.runner.notebook.early_kernel import NO_HISTORY, PROGRAM, SEND_MILLISECONDS

try:
    from jupyter_client.provisioning import LocalProvisioner
except ImportError:  # jupyter_client 6 of an older image: its kernels are started late
    LocalProvisioner = None

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jupyter_kueue.runner.notebook.early_kernel import EarlyKernel


# Run by a kernel's Python: exit code 3 if a module is missing, whose name it prints.
MISSING_MODULE = 3
PROBE = f"""
import sys
sys.path[:] = [path for path in sys.path if path]  # not from the notebook's folder
import importlib
try:
    for name in sys.argv[1:]:
        importlib.import_module(name)
except ModuleNotFoundError as error:
    print(error.name or error)
    sys.exit({MISSING_MODULE})
"""
PROBE_SECONDS = 60.0
LAUNCHER = "ipykernel_launcher"
# jupyter_client since 8.9, with a ZeroMQ that was built with libsodium.
CAN_ENCRYPT = hasattr(AsyncKernelManager, "transport_encryption") and zmq.has("curve")


class KernelspecError(RuntimeError):
    """A kernelspec holds what none may hold."""


@dataclass
class Launched:
    """A kernel's process, or why there is none, and what it was started from."""

    manager: Any
    kernel_name: str
    folder: Path
    environment: dict[str, str]
    error: Exception | None = None
    argv: Sequence[str] | None = None  # the kernelspec's, where another one was used

    async def abandon(self) -> None:
        """End a kernel that has run nothing."""
        if self.manager.has_kernel:
            await self.manager.shutdown_kernel(now=True)

    async def again(self, *, encrypted: bool = True) -> Launched:
        """Start it once more, with a connection of its own."""
        return await launch(
            self.kernel_name, self.folder, self.environment, None, encrypted=encrypted
        )

    def signalled(self) -> tuple[int | None, bool]:
        """Return the kernel's process group, and whether SIGINT to that interrupts it."""
        provisioner = getattr(self.manager, "provisioner", None)
        spec = getattr(provisioner, "kernel_spec", None)
        group = getattr(provisioner, "pgid", None)
        by_signal = group is not None and getattr(spec, "interrupt_mode", None) != "message"
        return group, by_signal

    async def missing(self, error: Exception) -> str | None:
        """Say what the environment lacks that this kernel needs, None where nothing is proven.

        Args:
            error: what came of its start.
        """
        if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
            return f"its program cannot be run ({error})"
        if isinstance(error, KernelspecError):
            return f"its kernelspec cannot be understood ({error})"
        command = list(self.argv or self.manager.kernel_spec.argv)
        if "-m" not in command[1:-1]:
            return None
        at = command.index("-m")
        module = command[at + 1]
        # Its launcher imports the kernel only when it is run.
        modules = ["ipykernel.kernelapp"] if module == "ipykernel_launcher" else [module]
        python = sys.executable if command[0].startswith("python") else command[0]
        try:
            probe = await asyncio.create_subprocess_exec(
                python,
                *command[1:at],
                "-c",
                PROBE,
                *modules,
                cwd=self.folder,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            return None
        try:
            said, _ = await asyncio.wait_for(probe.communicate(), PROBE_SECONDS)
        except TimeoutError:
            probe.kill()
            await probe.wait()
            return None
        if probe.returncode != MISSING_MODULE:
            return None
        return f"its Python has no module {said.decode(errors='replace').strip()[:200]}"


async def launch(
    kernel_name: str,
    folder: Path,
    environment: dict[str, str],
    early: EarlyKernel | None,
    *,
    encrypted: bool = True,
) -> Launched:
    """Return the kernel ``kernel_name`` in ``folder``; it is not ready to be talked to yet.

    That is ``early`` if jupyter_client would have started the same, else a new one.
    """
    manager = AsyncKernelManager(kernel_name=kernel_name)
    # It sends on its own, to ask a kernel to shut down.
    manager.context.sndtimeo = SEND_MILLISECONDS
    if CAN_ENCRYPT and encrypted:  # where the kernelspec says that its kernel can, too
        manager.transport_encryption = "auto"
    launched = Launched(manager, kernel_name, folder, environment)
    try:
        if early is not None:
            if _is_same(early, kernel_name, folder):
                _adopt(early, manager)
                return launched
            await asyncio.to_thread(early.end)
        # jupyter_client goes by the name alone.
        is_ipykernel = LAUNCHER in manager.kernel_spec.argv
        arguments = [NO_HISTORY] if is_ipykernel else []
        if is_ipykernel:
            launched.argv = manager.kernel_spec.argv
            manager.kernel_spec.argv = _with_program(manager.kernel_spec.argv)
        await manager.start_kernel(extra_arguments=arguments, cwd=str(folder), env=environment)
    except (NoSuchKernel, RuntimeError, OSError) as error:
        launched.error = error
    except Exception as error:  # noqa: BLE001 - a kernelspec holds anything, a provisioner too
        launched.error = KernelspecError(f"{type(error).__name__}: {error}")
    return launched


def _with_program(argv: list[str]) -> list[str]:
    """Return the command of an ipykernel that imports nothing from the notebook's folder."""
    at = argv.index(LAUNCHER)
    if argv[at - 1] != "-m":
        return argv
    return [*argv[: at - 1], "-c", PROGRAM, *argv[at + 1 :]]


def _is_same(early: EarlyKernel, kernel_name: str, folder: Path) -> bool:
    """Tell whether the name means the kernel that was started early.

    Another of that name may come first, from the user's folder or from JUPYTER_PATH. Where the name
    leads is asked of jupyter_core: its kernelspec manager would import IPython for the answer.
    """
    if LocalProvisioner is None or (early.is_encrypted and not CAN_ENCRYPT):
        return False
    folders = (os.path.join(path, kernel_name) for path in jupyter_path("kernels"))  # noqa: PTH118
    named = next((path for path in folders if os.path.exists(f"{path}/kernel.json")), "")  # noqa: PTH110
    return os.path.realpath(named) == os.path.realpath(early.resource_dir) and os.path.realpath(
        folder
    ) == os.path.realpath(early.folder)


def _adopt(early: EarlyKernel, manager: Any) -> None:
    """Make ``manager`` what it would be had it started the kernel itself."""
    manager.connection_file = early.connection_file
    manager.load_connection_info(early.connection)
    provisioner = LocalProvisioner(
        kernel_id=str(early.process.pid),
        kernel_spec=KernelSpec.from_resource_dir(early.resource_dir),
        parent=manager,
    )
    provisioner.process = early.process
    provisioner.pid = provisioner.pgid = early.process.pid
    provisioner.connection_info = manager.get_connection_info()
    manager.provisioner = provisioner
