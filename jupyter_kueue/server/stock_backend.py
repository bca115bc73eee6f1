"""What jupyter-scheduler's own backend still holds, for the panel's notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.service.stock_backend import SETTING

if TYPE_CHECKING:
    from jupyter_kueue.domain.stock_backend_count import StockBackendCount
    from jupyter_kueue.server.base import KueueHandler
    from jupyter_kueue.service.stock_backend import StockBackend


async def count_stock_backend(request: KueueHandler) -> StockBackendCount:
    """Count the jobs and definitions that have not been imported yet."""
    stock_backend: StockBackend = request.settings[SETTING]
    return await stock_backend.count()
