"""What was found and what is missing, each with its fix. Always answers, whatever is missing."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.server.base import KueueHandler


class HealthHandler(KueueHandler):
    """``health``."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Look at cluster, queues, permissions and bucket, and say what to do."""
        from jupyter_kueue.service.health import report  # noqa: PLC0415 - not at Jupyter's start

        self.check_query()
        self.answer(await report(self.kueue))
