"""The queues that runs can go to, and how full they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.domain.local_queue_row import LocalQueueList
    from jupyter_kueue.server.base import KueueHandler


async def list_local_queues(request: KueueHandler) -> LocalQueueList:
    """List the LocalQueues of the namespace, by name."""
    items = await (await request.kueue.queues()).list_local_queues()
    return {"items": items, "total": len(items), "next_cursor": None}
