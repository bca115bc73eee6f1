"""The Events about one object, reported by the cluster's components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection, Params

Json = dict[str, Any]

# A pod in trouble has a few dozen; a message does not need more.
_MOST_EVENTS = 200
_KEPT = (
    "type", "reason", "message", "firstTimestamp", "lastTimestamp", "eventTime", "series", "count",
)  # fmt: skip


async def list_about(connection: Connection, namespace: str, uid: str) -> tuple[Json, ...]:
    """Return the Events about the object with that uid, reduced to the fields in use.

    The API server keeps them for an hour by default (--event-ttl).

    Raises:
        ForbiddenError: the user may not read events.
    """
    params: Params = {"fieldSelector": f"involvedObject.uid={uid}", "limit": _MOST_EVENTS}
    listed = await connection.get(resources.events(namespace), params)
    return tuple(_trim(item) for item in listed["items"] or ())


def _trim(item: Json) -> Json:
    about = item.get("involvedObject") or {}
    return {
        **{key: item[key] for key in _KEPT if key in item},
        "reason": item.get("reason") or "",
        "metadata": {"creationTimestamp": item["metadata"]["creationTimestamp"]},
        "involvedObject": {"kind": about.get("kind"), "fieldPath": about.get("fieldPath") or ""},
    }
