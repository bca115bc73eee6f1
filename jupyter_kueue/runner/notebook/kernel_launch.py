"""The kernel's process, adopted or started, before ``running`` imports and reads anything else.

A kernel takes most of a second to start, on a core of its own, so what ``running`` does meanwhile
costs a run no time. ``cells`` continues from here.
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
except ImportError:  # jupyter_client 6 in an older image: kernels start later
    LocalProvisioner = None

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jupyter_kueue.runner.notebook.early_kernel import EarlyKernel


# Runs in the kernel's Python: exits with 3 and prints the name if a module is missing.
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
# jupyter_client since 8.9, with a ZeroMQ that is built with libsodium.
CAN_ENCRYPT = hasattr(AsyncKernelManager, "transport_encryption") and zmq.has("curve")


class KernelspecError(RuntimeError):
    """A kernelspec is invalid."""


@dataclass
class Launched:
    """A kernel's process, or the error of its start, and what it was started from."""

    manager: Any
    kernel_name: str
    folder: Path
    environment: dict[str, str]
    error: Exception | None = None
    argv: Sequence[str] | None = None  # the kernelspec's, if another command was used

    async def abandon(self) -> None:
        """End a kernel that has not run anything."""
        if self.manager.has_kernel:
            await self.manager.shutdown_kernel(now=True)

    async def again(self, *, encrypted: bool = True) -> Launched:
        """Start the kernel once more, with a new connection."""
        return await launch(
            self.kernel_name, self.folder, self.environment, None, encrypted=encrypted
        )

    def signalled(self) -> tuple[int | None, bool]:
        """Return the kernel's process group, and whether SIGINT to that group interrupts it."""
        provisioner = getattr(self.manager, "provisioner", None)
        spec = getattr(provisioner, "kernel_spec", None)
        group = getattr(provisioner, "pgid", None)
        by_signal = group is not None and getattr(spec, "interrupt_mode", None) != "message"
        return group, by_signal

    async def missing(self, error: Exception) -> str | None:
        """Return what the kernel needs and the environment lacks; None if that is not certain.

        Args:
            error: the error of the kernel's start.
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
        # Its launcher imports the kernel only when it runs.
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
    """Return the kernel ``kernel_name`` in ``folder``, which is not ready for messages yet.

    This is ``early`` if jupyter_client would have started the same kernel, otherwise a new one.
    """
    manager = AsyncKernelManager(kernel_name=kernel_name)
    # The manager itself sends the shutdown request.
    manager.context.sndtimeo = SEND_MILLISECONDS
    if CAN_ENCRYPT and encrypted:  # if the kernelspec declares support, too
        manager.transport_encryption = "auto"
    launched = Launched(manager, kernel_name, folder, environment)
    try:
        if early is not None:
            if _is_same(early, kernel_name, folder):
                _adopt(early, manager)
                return launched
            await asyncio.to_thread(early.end)
        # jupyter_client decides by the name alone.
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
    """Return whether the name means the kernel that was started early.

    The user's folder or JUPYTER_PATH may have another kernel of the same name that takes
    precedence. jupyter_core resolves the name, because the kernelspec manager would import IPython
    for it.
    """
    if LocalProvisioner is None or (early.is_encrypted and not CAN_ENCRYPT):
        return False
    folders = (os.path.join(path, kernel_name) for path in jupyter_path("kernels"))  # noqa: PTH118
    named = next((path for path in folders if os.path.exists(f"{path}/kernel.json")), "")  # noqa: PTH110
    return os.path.realpath(named) == os.path.realpath(early.resource_dir) and os.path.realpath(
        folder
    ) == os.path.realpath(early.folder)


def _adopt(early: EarlyKernel, manager: Any) -> None:
    """Give ``manager`` the state that it would have if it had started the kernel itself."""
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
