"""Read the Events about one object: what the cluster's own parts say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection, Params

Json = dict[str, Any]

# A pod that is in trouble has some dozens; no more are read than a sentence needs.
_MOST_EVENTS = 200
_KEPT = (
    "type", "reason", "message", "firstTimestamp", "lastTimestamp", "eventTime", "series", "count",
)  # fmt: skip


async def list_about(connection: Connection, namespace: str, uid: str) -> tuple[Json, ...]:
    """Return the Events about the object with that uid, without what nobody here reads.

    They are kept for an hour, unless the API server is told otherwise (--event-ttl).

    Raises:
        ForbiddenError: events may not be read here.
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
