"""What a run printed: live from the pod, later from the bucket."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.server.base import KueueHandler

MAX_TAIL = 1_000_000
_MEDIA_TYPE = "text/plain; charset=utf-8"


class LogsHandler(KueueHandler):
    """``runs/{id}/logs``."""

    @property
    def content_security_policy(self) -> str:
        """Add a sandbox: were a browser to render the text, it could do nothing."""
        return f"{super().content_security_policy}; sandbox"

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Send the log, its last ``tail`` lines; with ``follow`` go on until the run ends."""
        self.check_query("follow", "tail")
        follow = self.query_flag("follow")
        tail = self.query_number("tail", 0, MAX_TAIL)
        chunks = await (await self.kueue.runs()).logs(self.run_id(run_id), follow=follow, tail=tail)
        self.set_header("Content-Type", _MEDIA_TYPE)
        # Proxies that collect an answer before they pass it on would hold a live log back.
        self.set_header("X-Accel-Buffering", "no")

        async def send() -> None:
            if follow:
                await self.flush()
            async for chunk in chunks:
                self.write(chunk)
                await self.flush()

        await self.send_stream(send)
        self.finish(set_content_type=_MEDIA_TYPE)
