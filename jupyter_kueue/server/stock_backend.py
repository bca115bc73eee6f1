"""What jupyter-scheduler's own backend still holds, for the panel's notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.server.base import KueueHandler
from jupyter_kueue.service.stock_backend import SETTING

if TYPE_CHECKING:
    from jupyter_kueue.service.stock_backend import StockBackend


class StockBackendHandler(KueueHandler):
    """``stock-backend``."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Count the jobs and definitions that were not brought over yet."""
        self.check_query()
        stock_backend: StockBackend = self.settings[SETTING]
        self.answer(await stock_backend.count())
