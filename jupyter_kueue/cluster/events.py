"""The Events about one object, reported by the cluster's components."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources
from jupyter_kueue.domain import kubernetes_objects

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection, Params
    from jupyter_kueue.domain.kubernetes_objects import Event

Json = dict[str, Any]

# A pod in trouble has a few dozen; a message does not need more.
_MOST_EVENTS = 200

log = logging.getLogger(__name__)


async def list_about(connection: Connection, namespace: str, uid: str) -> tuple[Event, ...]:
    """Return the Events about the object with that uid; one that cannot be understood is left out.

    The API server keeps them for an hour by default (--event-ttl).

    Raises:
        ForbiddenError: the user may not read events.
    """
    params: Params = {"fieldSelector": f"involvedObject.uid={uid}", "limit": _MOST_EVENTS}
    listed = await connection.get(resources.events(namespace), params)
    found = (_read(item) for item in listed["items"] or ())
    return tuple(event for event in found if event is not None)


def _read(item: Json) -> Event | None:
    try:
        return kubernetes_objects.EVENT.read_back(item)
    except ValueError as error:
        log.warning("an Event cannot be understood: %s", error)
        return None
