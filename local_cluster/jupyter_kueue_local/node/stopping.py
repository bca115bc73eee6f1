"""Ends a pod's containers gracefully: main containers first, then sidecars in reverse order.

SIGTERM, grace period and SIGKILL follow
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jupyter_kueue_local.node.containers import Container

# A sidecar's minimum if the main containers used up the grace period (kubelet:
# minimumGracePeriodInSeconds).
_LEAST_SECONDS = 2.0

log = logging.getLogger(__name__)


class GracefulStop:
    """The graceful end of several containers, whose deadline can be moved forward."""

    def __init__(
        self,
        containers: Sequence[Container],
        grace_seconds: float,
        run_pre_stop: Callable[[Container], Awaitable[None]],
    ) -> None:
        """``run_pre_stop`` runs a container's preStop hook, if it has one, and never raises."""
        self._containers = containers
        self._run_pre_stop = run_pre_stop
        self._deadline = asyncio.get_running_loop().time() + grace_seconds
        self._least = min(_LEAST_SECONDS, grace_seconds)
        self._moved = asyncio.Event()

    def shorten(self, grace_seconds: float) -> None:
        """Move the deadline to ``grace_seconds`` from now, if that is earlier."""
        deadline = asyncio.get_running_loop().time() + grace_seconds
        if deadline < self._deadline:
            self._deadline = deadline
            self._least = min(self._least, grace_seconds)
            self._moved.set()

    async def run(self) -> None:
        """End all containers; return when none of their processes is left."""
        first = [c for c in self._containers if c.kind != "sidecar"]
        await asyncio.gather(*(self._stop(c) for c in first))
        for container in reversed([c for c in self._containers if c.kind == "sidecar"]):
            self._deadline = max(self._deadline, asyncio.get_running_loop().time() + self._least)
            await self._stop(container)

    async def _stop(self, container: Container) -> None:
        await container.launched.wait()
        if not container.alive:
            return
        await self._until_deadline(asyncio.ensure_future(self._run_pre_stop(container)))
        container.terminate()
        ended = asyncio.ensure_future(container.ended.wait())
        if not await self._until_deadline(ended):
            log.info("container=%s ignored SIGTERM and is killed", container.name)
            container.kill()
            await container.ended.wait()

    async def _until_deadline(self, future: asyncio.Future[Any]) -> bool:
        """Wait for ``future`` until the deadline; return whether it completed in time."""
        loop = asyncio.get_running_loop()
        while not future.done() and loop.time() < self._deadline:
            self._moved.clear()
            moved: asyncio.Future[Any] = asyncio.ensure_future(self._moved.wait())
            await asyncio.wait(
                {future, moved},
                timeout=max(0.0, self._deadline - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            moved.cancel()
        done = future.done()
        future.cancel()
        return done
