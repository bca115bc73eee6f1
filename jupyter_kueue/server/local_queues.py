"""The queues that runs can go to, and how full they are."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.server.base import KueueHandler


class LocalQueuesHandler(KueueHandler):
    """``local-queues``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the LocalQueues of the namespace, by name."""
        self.check_query()
        items = await (await self.kueue.queues()).list_local_queues()
        self.answer({"items": items, "total": len(items), "next_cursor": None})
