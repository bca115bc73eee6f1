"""Every state change as it happens, as server-sent events (the HTML standard's EventSource)."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.domain import strict_json
from jupyter_kueue.server.base import KueueHandler

_MEDIA_TYPE = "text/event-stream"
_RECONNECT_MILLISECONDS = 2000


class ChangesHandler(KueueHandler):
    """``changes``.

    Each event is named by its ``type`` and carries its cursor as ``id``, so that an EventSource
    that reconnects goes on where it was. The first, ``hello``, tells where listening begins.
    """

    # Listening is no activity: it must not keep an idle server alive.
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Send what changed after ``since`` (or the header Last-Event-ID), and go on for ever."""
        self.check_query("since")
        changes = self.kueue.changes
        # The header is the newer of the two: a browser repeats the URL it began with.
        since = self.request.headers.get("Last-Event-ID") or self.query_text("since") or None
        cursor = changes.cursor
        self.set_header("Content-Type", _MEDIA_TYPE)
        # Proxies that collect an answer before they pass it on would hold it back for ever.
        self.set_header("X-Accel-Buffering", "no")

        async def send() -> None:
            self.write(f"retry: {_RECONNECT_MILLISECONDS}\n\n")
            if since is None:
                self.write(_event({"type": "hello", "cursor": cursor}))
            await self.flush()
            async for change in changes.subscribe(since or cursor):
                is_heartbeat = change["type"] == "heartbeat"
                self.write(": heartbeat\n\n" if is_heartbeat else _event(change))
                await self.flush()

        await self.send_stream(send)
        self.finish(set_content_type=_MEDIA_TYPE)


def _event(change: dict[str, Any]) -> str:
    data = strict_json.encode(change).decode()
    return f"id: {change['cursor']}\nevent: {change['type']}\ndata: {data}\n\n"
