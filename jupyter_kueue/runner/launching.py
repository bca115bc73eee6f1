"""Start the kernel's process, before ``execute`` imports and reads whatever else it needs.

A kernel takes most of a second to come up, on a core of its own; what ``execute`` does meanwhile
costs a run no time. Called by ``execute``; ``cells`` goes on from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager

if TYPE_CHECKING:
    from pathlib import Path

# No history database of a run's cells, as nbclient has it.
NO_HISTORY = "--HistoryManager.hist_file=:memory:"


@dataclass
class Launched:
    """A kernel's process, or why there is none."""

    manager: Any
    error: Exception | None = None

    async def abandon(self) -> None:
        """End a kernel that has run nothing."""
        if self.manager.has_kernel:
            await self.manager.shutdown_kernel(now=True)


async def launch(kernel_name: str, folder: Path, environment: dict[str, str]) -> Launched:
    """Start a kernel in ``folder`` and return at once; it is not ready to be talked to yet."""
    manager = AsyncKernelManager(kernel_name=kernel_name)
    try:
        arguments = [NO_HISTORY] if manager.ipykernel else []
        await manager.start_kernel(extra_arguments=arguments, cwd=str(folder), env=environment)
    except (NoSuchKernel, RuntimeError, OSError) as error:
        return Launched(manager, error)
    return Launched(manager)
