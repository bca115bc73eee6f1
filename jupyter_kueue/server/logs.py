"""What a run printed: live from the pod, later from the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.server.base import KueueHandler
    from jupyter_kueue.server.queries import LogQuery

_MEDIA_TYPE = "text/plain; charset=utf-8"


async def get_logs(request: KueueHandler, run_id: str, query: LogQuery) -> None:
    """Send the log, its last ``tail`` lines; with ``follow`` go on until the run ends."""
    runs = await request.kueue.runs()
    chunks = await runs.logs(run_id, follow=query.follow, tail=query.tail)
    request.set_header("Content-Type", _MEDIA_TYPE)
    # Proxies that collect an answer before they pass it on would hold a live log back.
    request.set_header("X-Accel-Buffering", "no")

    async def send() -> None:
        if query.follow:
            await request.flush()
        async for chunk in chunks:
            request.write(chunk)
            await request.flush()

    await request.send_stream(send)
    request.finish(set_content_type=_MEDIA_TYPE)
