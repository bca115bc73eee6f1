"""Every state change as it happens, as server-sent events (the HTML standard's EventSource).

Each event is named by its ``type`` and has its cursor as ``id``, so that an EventSource that
reconnects continues where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.domain import strict_json

if TYPE_CHECKING:
    from jupyter_kueue.domain.change import Change
    from jupyter_kueue.server.base import KueueHandler
    from jupyter_kueue.server.queries import ChangesQuery

MEDIA_TYPE = "text/event-stream"
_RECONNECT_MILLISECONDS = 2000


async def get_changes(request: KueueHandler, query: ChangesQuery) -> None:
    """Send what changed after ``since`` (or the header Last-Event-ID), and go on for ever."""
    changes = request.kueue.changes
    # The header is the newer of the two: a browser repeats the URL it began with.
    since = request.request.headers.get("Last-Event-ID") or query.since or None
    cursor = changes.cursor
    request.set_header("Content-Type", MEDIA_TYPE)
    # Proxies that collect an answer before they pass it on would hold it back for ever.
    request.set_header("X-Accel-Buffering", "no")

    async def send() -> None:
        request.write(f"retry: {_RECONNECT_MILLISECONDS}\n\n")
        if since is None:
            request.write(_event({"type": "hello", "cursor": cursor}))
        await request.flush()
        async for change in changes.subscribe(since or cursor):
            request.write(": heartbeat\n\n" if change["type"] == "heartbeat" else _event(change))
            await request.flush()

    await request.send_stream(send)
    request.finish(set_content_type=MEDIA_TYPE)


def _event(change: Change) -> str:
    data = strict_json.encode(change).decode()
    return f"id: {change['cursor']}\nevent: {change['type']}\ndata: {data}\n\n"
