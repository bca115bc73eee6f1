"""Notices an API server that hangs: a watch on it is as silent as a watch without news."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_kueue import patience
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.service.cluster_state import ClusterView


async def feel_for_ever(connection: Connection, cluster: ClusterView) -> None:
    """Ask the API server for its version until cancelled, and tell ``cluster`` whether it hangs.

    When it is back, all pauses between retries end.
    """
    while True:
        is_away = cluster.error is not None
        await asyncio.sleep(
            patience.PULSE_WHILE_AWAY_SECONDS if is_away else patience.PULSE_SECONDS
        )
        try:
            await connection.get("/version", timeout_seconds=patience.PULSE_ANSWER_SECONDS)
        except errors.JupyterKueueError as error:
            cluster.note_pulse(error)
        else:
            if cluster.hangs is not None:
                cluster.note_pulse(None)
                connection.availability.tell_back()
