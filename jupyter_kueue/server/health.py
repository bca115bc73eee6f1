"""What was found and what is missing, each with its fix. It always answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.domain.health_report import Health
    from jupyter_kueue.server.base import KueueHandler


async def get_health(request: KueueHandler) -> Health:
    """Check cluster, queues, permissions and bucket, and say what to do."""
    from jupyter_kueue.service.health import report  # noqa: PLC0415 - not at Jupyter's start

    return await report(request.kueue)
