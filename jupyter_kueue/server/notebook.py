"""A run's notebook as it stands now: with the outputs so far, at the end the executed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.server.attachments import attachment, quoted_etag

if TYPE_CHECKING:
    from jupyter_kueue.server.base import KueueHandler


async def get_notebook(request: KueueHandler, run_id: str) -> None:
    """Send the notebook, or 304 while it is the one of If-None-Match."""
    await _send(request, run_id, with_body=True)


async def head_notebook(request: KueueHandler, run_id: str) -> None:
    """Send what ``get_notebook`` would, without the notebook."""
    await _send(request, run_id, with_body=False)


async def _send(request: KueueHandler, run_id: str, *, with_body: bool) -> None:
    known = request.request.headers.get("If-None-Match")
    content = await (await request.kueue.runs()).notebook(run_id, known)
    etag = quoted_etag(content.etag)
    if etag is not None:
        request.set_header("Etag", etag)
    if content.chunks is None or (etag is not None and request.check_etag_header()):
        request.set_status(304)
        request.finish()
        return
    request.set_header("Content-Disposition", attachment(f"{run_id}.ipynb"))
    request.set_header("Content-Length", str(content.size_bytes))
    if with_body:
        await request.send_chunks(content.chunks)
    request.finish()
