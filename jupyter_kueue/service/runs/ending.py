"""Ends a run in the cluster: its Job, and its pods without waiting for the garbage collector.

Deleting a Job marks its pods for the garbage collector, which may need half a minute after an
outage: until then a stopped run would go on, and could even succeed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import jobs, pods
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.cluster.connection import Connection

Json = dict[str, Any]

_ENDED_PHASES = ("Succeeded", "Failed")

log = logging.getLogger(__name__)


async def end(
    connection: Connection, namespace: str, job_name: str | None, pods_seen: Iterable[Json]
) -> None:
    """Delete the Job of that name, if one is given, and then those of the pods that still run.

    Raises:
        UnavailableError: the API server does not answer.
    """
    if job_name is not None:
        await jobs.delete(connection, namespace, job_name)
    for pod in pods_seen:
        if not _goes_on(pod):
            continue
        metadata = pod["metadata"]
        try:
            await pods.delete(connection, namespace, metadata["name"], metadata["uid"])
        except errors.ForbiddenError as error:
            # The garbage collector does the same, later.
            log.warning("pod=%s is left to the garbage collector: %s", metadata["name"], error)
            return


def _goes_on(pod: Json) -> bool:
    is_ended = pod.get("status", {}).get("phase") in _ENDED_PHASES
    return "deletionTimestamp" not in pod["metadata"] and not is_ended
