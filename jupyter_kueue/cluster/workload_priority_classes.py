"""Read Kueue's WorkloadPriorityClasses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.cluster import resources
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection


async def list_names(connection: Connection) -> list[str] | None:
    """Return the names of the classes, None if this user may not read them."""
    try:
        answer = await connection.get(resources.workload_priority_classes())
    except errors.ForbiddenError:
        return None
    return sorted(item["metadata"]["name"] for item in answer["items"])
