"""Sends a pod's newest status to the API server, until it succeeds.

Nothing is lost while the server is unavailable; a status that a newer one replaces is never sent.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster.connection import STRATEGIC_MERGE_PATCH
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_kueue.cluster.connection import Connection

Json = dict[str, Any]

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

log = logging.getLogger(__name__)


class StatusWriter:
    """The status of one pod.

    Attributes:
        latest: the newest status, delivered or not.
        delivered: whether the API server has it.
    """

    def __init__(self, connection: Connection, pod: Json, on_delivered: Callable[[], None]) -> None:
        metadata = pod["metadata"]
        self._connection = connection
        self._path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        self._uid = metadata["uid"]
        self._on_delivered = on_delivered
        self._changed = asyncio.Event()
        self.latest: Json = pod["status"]
        self.delivered = True

    def publish(self, status: Json) -> None:
        """Queue ``status`` for delivery, unless it equals the one before."""
        if status != self.latest:
            self.latest = status
            self.delivered = False
            self._changed.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = self.latest
            # With the uid, the server refuses it for another pod of the same name.
            patch = {"metadata": {"uid": self._uid}, "status": status}
            try:
                await self._connection.patch(self._path, patch, content_type=STRATEGIC_MERGE_PATCH)
            except (errors.NotFoundError, errors.ConflictError):
                # The pod is gone, which the watch reports to its worker.
                log.debug("status of %s not wanted any more", self._path)
            except errors.InvalidRequestError as error:
                log.error("status of %s refused: %s", self._path, error)  # noqa: TRY400 - no fault here
            except errors.JupyterKueueError as error:
                log.info("status of %s not delivered yet: %s", self._path, error)
                self._changed.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            pause = _FIRST_PAUSE_SECONDS
            if status is self.latest:
                self.delivered = True
                self._on_delivered()
