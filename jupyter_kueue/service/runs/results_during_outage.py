"""Sees runs end while the cluster does not answer: a committed result is in the bucket."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from jupyter_kueue import patience
from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.runs.known_runs import KnownRuns
    from jupyter_kueue.storage.run_records import Records

# Of how many runs the bucket is asked.
_MOST_LOOKED_AT = 500
_AT_ONCE = 8
_MAY_HAVE_ENDED = ("starting", "running", "stopping")

log = logging.getLogger(__name__)


async def look_for_ever(records: Records, known: KnownRuns, cluster: ClusterView) -> None:
    """While the cluster is away, have runs looked at that have come to their end."""

    async def look(run_id: str) -> None:
        if await records.has_result(run_id):
            known.mark(run_id, reread=True)

    while True:
        await asyncio.sleep(patience.RESULTS_WHILE_AWAY_SECONDS)
        if cluster.error is None:
            continue
        running = [
            run_id
            for run_id in known.index.open_ids()
            if known.index.get(run_id).row["state"] in _MAY_HAVE_ENDED
        ]
        try:
            await few_at_once(_AT_ONCE, running[:_MOST_LOOKED_AT], look)
        except errors.JupyterKueueError as error:
            log.warning("looking for results failed, tried again: %s", error)
