"""Reads the Events that say why a run does not start, while it does not start.

``reconciler`` asks before it derives a status. Nothing is watched: a namespace's events are many,
and only those about a pod that waits, or about a Job that gets no pod, matter here. They are read
the more seldom the longer it takes, and a few runs at a time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue import patience
from jupyter_kueue.backoff import pause_by_age
from jupyter_kueue.cluster import events
from jupyter_kueue.domain import errors, pod_start, run_status
from jupyter_kueue.domain.times import parse_time

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.run_facts import ClusterFacts

Json = dict[str, Any]

_READS_AT_ONCE = 4

log = logging.getLogger(__name__)


class _Read(NamedTuple):
    """What was read last for a run: about which object, when (of the loop's clock), and what."""

    uid: str
    at: float
    events: tuple[Json, ...]


class StartEvents:
    """The events about the runs that do not start. ``look_again(run_id)`` has a run looked at.

    Without the right to read events their words are missing, and the limit on fetching an image
    counts from when the pod got its node.
    """

    def __init__(self, connection: Connection, look_again: Callable[[str], None]) -> None:
        self._connection = connection
        self._look_again = look_again
        self._read: dict[str, _Read] = {}
        self._due: set[str] = set()
        self._slots = asyncio.Semaphore(_READS_AT_ONCE)
        self._is_forbidden = False

    async def add_to(
        self, run_id: str, namespace: str, cluster: ClusterFacts, now: dt.datetime
    ) -> ClusterFacts:
        """Return the facts with the events that matter to them, if any do."""
        about = run_status.wants_events(cluster, now)
        if about is None:
            self._read.pop(run_id, None)
            self._look_soon(run_id, cluster, now)
            return cluster
        uid = about["metadata"]["uid"]
        pause = _pause_seconds(about, now)
        clock = asyncio.get_running_loop().time
        read = self._read.get(run_id)
        if read is None or read.uid != uid or clock() - read.at >= pause:
            async with self._slots:
                found = await self._list(namespace, about)
            if found is None:  # what was known before is still true
                found = read.events if read is not None and read.uid == uid else ()
            read = self._read[run_id] = _Read(uid, clock(), found)
        self._look_in(run_id, pause)
        return dataclasses.replace(cluster, events=read.events)

    def forget(self, run_id: str) -> None:
        """Keep nothing of a run that has ended or is not shown any more."""
        self._read.pop(run_id, None)

    async def _list(self, namespace: str, about: Json) -> tuple[Json, ...] | None:
        """Return the events about an object, None if the cluster does not answer."""
        try:
            found = await events.list_about(self._connection, namespace, about["metadata"]["uid"])
        except errors.ForbiddenError as error:
            if not self._is_forbidden:
                log.warning("events cannot be read, runs that do not start say less: %s", error)
            self._is_forbidden = True
            return pod_start.stand_ins(about)
        except errors.JupyterKueueError as error:
            log.warning("the events about %s cannot be read: %s", about["metadata"]["name"], error)
            return None
        self._is_forbidden = False
        return found

    def _look_soon(self, run_id: str, cluster: ClusterFacts, now: dt.datetime) -> None:
        """Look again at a run that is starting, in case it does not."""
        later = now + run_status.POD_PATIENCE
        if run_status.wants_events(cluster, later) is not None:
            self._look_in(run_id, run_status.POD_PATIENCE.total_seconds())

    def _look_in(self, run_id: str, seconds: float) -> None:
        def look() -> None:
            self._due.discard(run_id)
            self._look_again(run_id)

        if run_id not in self._due:
            self._due.add(run_id)
            asyncio.get_running_loop().call_later(seconds, look)


def _pause_seconds(about: Json, now: dt.datetime) -> float:
    since = about.get("status", {}).get("startTime") or about["metadata"]["creationTimestamp"]
    age = (now - parse_time(since)).total_seconds()
    return pause_by_age(
        age,
        patience.START_EVENTS_SHORTEST_PAUSE_SECONDS,
        patience.START_EVENTS_LONGEST_PAUSE_SECONDS,
    )
