"""A run's notebook as it stands now: with the outputs so far, at the end the executed one."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.server.base import KueueHandler
from jupyter_kueue.server.files import attachment, quoted_etag


class NotebookHandler(KueueHandler):
    """``runs/{id}/notebook``."""

    @property
    def content_security_policy(self) -> str:
        """Add a sandbox: were a browser to render the notebook, it could do nothing."""
        return f"{super().content_security_policy}; sandbox"

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Send the notebook, or 304 while it is the one of If-None-Match."""
        await self._answer(run_id)

    @web.authenticated
    @authorized
    async def head(self, run_id: str) -> None:
        """Send what ``get`` would, without the notebook."""
        await self._answer(run_id)

    async def _answer(self, run_id: str) -> None:
        self.check_query()
        known = self.request.headers.get("If-None-Match")
        content = await (await self.kueue.runs()).notebook(self.run_id(run_id), known)
        self.set_header("Cache-Control", "private, no-cache")
        etag = quoted_etag(content.etag)
        if etag is not None:
            self.set_header("Etag", etag)
        if content.chunks is None or (etag is not None and self.check_etag_header()):
            self.set_status(304)
            self.finish()
            return
        self.set_header("Content-Disposition", attachment(f"{run_id}.ipynb"))
        self.set_header("Content-Length", str(content.size_bytes))
        if self.request.method != "HEAD":
            await self.send_chunks(content.chunks)
        self.finish()
