"""Reads the Events that say why a run does not start, while it does not start.

Nothing is watched: a namespace's events are many, and only those about a pod that waits, or about
a Job that gets no pod, matter here. They are read a few runs at a time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from jupyter_kueue.cluster import events
from jupyter_kueue.domain import errors, pod_start

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.kubernetes_objects import Event, Job, Pod

_READS_AT_ONCE = 4

log = logging.getLogger(__name__)


class _Read(NamedTuple):
    """What was read last for a run: about which object, when (of the loop's clock), and what."""

    uid: str
    at: float
    events: tuple[Event, ...]


class StartEvents:
    """The events about the runs that do not start.

    Without the right to read events their words are missing, and the limit on fetching an image
    counts from when the pod got its node.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[str, _Read] = {}
        self._slots = asyncio.Semaphore(_READS_AT_ONCE)
        self._is_forbidden = False

    async def read(
        self, run_id: str, namespace: str, about: Job | Pod, pod: Pod | None, max_age_seconds: float
    ) -> tuple[Event, ...]:
        """Return the events about an object of a run, as of so many seconds ago at most.

        ``pod`` is the run's newest, whose containers stand in where events may not be read.
        Where the cluster does not answer, what was read before is still true.
        """
        uid = about["metadata"]["uid"]
        clock = asyncio.get_running_loop().time
        before = self._read.get(run_id)
        known = before.events if before is not None and before.uid == uid else None
        if before is None or known is None or clock() - before.at >= max_age_seconds:
            async with self._slots:
                found = await self._list(namespace, about, pod)
            known = found if found is not None else known or ()
            self._read[run_id] = _Read(uid, clock(), known)
        return known

    def forget(self, run_id: str) -> None:
        """Keep nothing of a run that has ended or is not shown any more."""
        self._read.pop(run_id, None)

    async def _list(
        self, namespace: str, about: Job | Pod, pod: Pod | None
    ) -> tuple[Event, ...] | None:
        """Return the events about an object, None if the cluster does not answer."""
        try:
            found = await events.list_about(self._connection, namespace, about["metadata"]["uid"])
        except errors.ForbiddenError as error:
            if not self._is_forbidden:
                log.warning("events cannot be read, runs that do not start say less: %s", error)
            self._is_forbidden = True
            return () if pod is None else pod_start.stand_ins(pod)
        except errors.JupyterKueueError as error:
            log.warning("the events about %s cannot be read: %s", about["metadata"]["name"], error)
            return None
        self._is_forbidden = False
        return found
