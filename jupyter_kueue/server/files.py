"""A run's files and those it was submitted with: their lists, and each of them as a download.

Users' files may hold anything, so they are sent as attachments that no browser renders or executes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.server.attachments import attachment, quoted_etag

if TYPE_CHECKING:
    from jupyter_kueue.domain.run_row import FileList
    from jupyter_kueue.server.base import KueueHandler
    from jupyter_kueue.service.runs.outputs import FileContent, FileKind

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))")


async def list_files(request: KueueHandler, run_id: str) -> FileList:
    """List what a run wrote, the executed notebook first."""
    return await _list(request, run_id, "files")


async def list_inputs(request: KueueHandler, run_id: str) -> FileList:
    """List what a run was submitted with, the notebook first."""
    return await _list(request, run_id, "inputs")


async def get_file(request: KueueHandler, run_id: str, path: str) -> None:
    """Send a file that a run wrote, or the one byte range that is asked for."""
    await _send(request, run_id, path, "files")


async def head_file(request: KueueHandler, run_id: str, path: str) -> None:
    """Send what ``get_file`` would, without the file."""
    await _send_head(request, run_id, path, "files")


async def get_input(request: KueueHandler, run_id: str, path: str) -> None:
    """Send a file that a run was submitted with, or the one byte range that is asked for."""
    await _send(request, run_id, path, "inputs")


async def head_input(request: KueueHandler, run_id: str, path: str) -> None:
    """Send what ``get_input`` would, without the file."""
    await _send_head(request, run_id, path, "inputs")


async def _list(request: KueueHandler, run_id: str, kind: FileKind) -> FileList:
    files = await (await request.kueue.runs()).files(run_id, kind)
    return {"items": files, "total": len(files), "next_cursor": None}


async def _send(request: KueueHandler, run_id: str, path: str, kind: FileKind) -> None:
    content = await _open(request, run_id, path, kind)
    if content is not None:
        await request.send_chunks(content.chunks)
        request.finish(set_content_type=content.media_type)


async def _send_head(request: KueueHandler, run_id: str, path: str, kind: FileKind) -> None:
    content = await _open(request, run_id, path, kind)
    if content is not None:
        request.finish(set_content_type=content.media_type)


async def _open(
    request: KueueHandler, run_id: str, path: str, kind: FileKind
) -> FileContent | None:
    """Open the file and set the answer's headers; None if 304 was answered."""
    runs = await request.kueue.runs()
    headers = request.request.headers
    start, end = _range(headers.get("Range", ""))
    if start is not None and headers.get("If-Range"):
        whole = await runs.open_file(run_id, path, kind=kind)
        if headers["If-Range"] != quoted_etag(whole.etag):
            start = end = None
    content = await runs.open_file(run_id, path, start, end, kind=kind)
    request.set_header("Content-Type", content.media_type)
    request.set_header("Accept-Ranges", "bytes")
    request.set_header("Content-Disposition", attachment(path))
    etag = quoted_etag(content.etag)
    if etag is not None:
        request.set_header("Etag", etag)
        if request.check_etag_header():
            request.set_status(304)
            request.finish()
            return None
    if start is not None:
        request.set_status(206)
        request.set_header(
            "Content-Range", f"bytes {content.start}-{content.end - 1}/{content.size_bytes}"
        )
    request.set_header("Content-Length", str(content.end - content.start))
    return content


def _range(header: str) -> tuple[int | None, int | None]:
    """Return the range asked for as start and end (exclusive), start negative for the last.

    A range that is not understood, or several at once, means the whole file (RFC 9110 §14.2).
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None, None
    first, last, suffix = match.groups()
    if suffix is not None:
        if int(suffix) == 0:
            raise errors.RangeNotSatisfiableError(
                say("range-empty", "A range of the last 0 bytes is empty.")
            )
        return -int(suffix), None
    if last is not None and int(last) < int(first):
        return None, None
    return int(first), None if last is None else int(last) + 1
