"""What jupyter-scheduler's own backend still holds, for the panel's notice."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.server.base import KueueHandler


class StockBackendHandler(KueueHandler):
    """``stock-backend``."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Count the jobs and definitions that were not brought over yet."""
        self.check_query()
        await self.connected()
        stock_backend = self.service.stock_backend
        if stock_backend is None:
            raise errors.UnavailableError(
                say("starting-try-again", "jupyter-kueue is starting; try again in a moment.")
            )
        self.answer(await stock_backend.count())
