"""Writes Events about pods, as the kubelet does; `kubectl describe pod` shows them.

Events are best effort: they are queued while the API server does not answer, and block nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection

Json = dict[str, Any]

_MOST_WAITING = 1000
_MOST_REMEMBERED = 2000
_RETRY_SECONDS = 2.0
# Events are for people, and a pod causes a dozen at once. They are sent after the pod has started,
# because somebody waits for that, possibly on a small machine.
_SETTLE_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass
class _Sent:
    """An existing Event: a repetition only increases its count."""

    path: str
    count: int


class EventRecorder:
    """Sends the events of one node."""

    def __init__(self, connection: Connection, node_name: str) -> None:
        self._connection = connection
        self._node_name = node_name
        self._waiting: asyncio.Queue[tuple[float, Json]] = asyncio.Queue(_MOST_WAITING)
        self._hurry = asyncio.Event()
        self._sent: dict[tuple[str, ...], _Sent] = {}

    def record(self, pod: Json, kind: str, reason: str, message: str, field_path: str = "") -> None:
        """Queue an event about ``pod``; ``kind`` is ``Normal`` or ``Warning``.

        ``field_path`` names the container, for example ``spec.containers{main}``.
        """
        metadata = pod["metadata"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                # Increasing names keep events of the same second in order, as the kubelet's do.
                "name": f"{metadata['name']}.{time.time_ns():x}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                **({"fieldPath": field_path} if field_path else {}),
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": self._node_name},
            "reportingComponent": "kubelet",
            "reportingInstance": self._node_name,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._waiting.put_nowait((time.monotonic() + _SETTLE_SECONDS, event))
        except asyncio.QueueFull:
            log.warning("event dropped pod=%s reason=%s: too many wait", metadata["name"], reason)

    async def send_all(self) -> None:
        """Send events until cancelled."""
        while True:
            due, event = await self._waiting.get()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), max(0.0, due - time.monotonic()))
            while True:
                try:
                    await self._send(event)
                except errors.UnavailableError:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                except errors.JupyterKueueError as error:
                    # For example, the namespace is being deleted: nobody will read it.
                    log.debug("event refused reason=%s: %s", event["reason"], error)
                break
            self._waiting.task_done()

    async def drain(self, seconds: float) -> None:
        """Wait until all queued events are sent, at most ``seconds``."""
        self._hurry.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), seconds)

    async def _send(self, event: Json) -> None:
        about = event["involvedObject"]
        key = (about["uid"], about.get("fieldPath", ""), event["reason"], event["message"])
        sent = self._sent.get(key)
        if sent:
            sent.count += 1
            try:
                await self._connection.patch(
                    sent.path, {"count": sent.count, "lastTimestamp": event["lastTimestamp"]}
                )
            except errors.NotFoundError:
                del self._sent[key]
            else:
                return
        path = f"/api/v1/namespaces/{about['namespace']}/events"
        await self._connection.create(path, event)
        if len(self._sent) >= _MOST_REMEMBERED:
            self._sent.clear()
        self._sent[key] = _Sent(f"{path}/{event['metadata']['name']}", 1)
