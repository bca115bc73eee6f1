"""Ends a run in the cluster: its Job, and its pods without waiting for the garbage collector.

Deleting a Job marks its pods for the garbage collector, which may need half a minute after an
outage: until then a stopped run would go on, and could even succeed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jupyter_kueue.cluster import jobs, pods
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.run_decisions import EndInCluster

log = logging.getLogger(__name__)


async def end(connection: Connection, namespace: str, doomed: EndInCluster) -> None:
    """Delete the Job and then the pods; those that are gone are no error.

    Raises:
        UnavailableError: the API server does not answer.
    """
    if doomed.job_name is not None:
        await jobs.delete(connection, namespace, doomed.job_name)
    for name, uid in doomed.pods:
        try:
            await pods.delete(connection, namespace, name, uid)
        except errors.ForbiddenError as error:
            # The garbage collector does the same, later.
            log.warning("pod=%s is left to the garbage collector: %s", name, error)
            return
