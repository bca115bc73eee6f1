"""A run's files, and what it took along: their lists, and each of them as a download.

Users' files may hold anything, so they are sent as attachments that no browser renders or runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.server.base import KueueHandler

if TYPE_CHECKING:
    from jupyter_kueue.service.runs.outputs import FileContent, FileKind

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))")


class FilesHandler(KueueHandler):
    """``runs/{id}/files``."""

    kind: FileKind = "files"

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """List a run's files, the notebook first."""
        self.check_query()
        files = await (await self.kueue.runs()).files(self.run_id(run_id), self.kind)
        self.answer({"items": files, "total": len(files), "next_cursor": None})


class InputsHandler(FilesHandler):
    """``runs/{id}/inputs``."""

    kind = "inputs"


class FileHandler(KueueHandler):
    """``runs/{id}/files/{path}``."""

    kind: FileKind = "files"

    @property
    def content_security_policy(self) -> str:
        """Add a sandbox: were a browser to render the file, it could do nothing."""
        return f"{super().content_security_policy}; sandbox"

    @web.authenticated
    @authorized
    async def get(self, run_id: str, path: str) -> None:
        """Send a file, or the one byte range that is asked for."""
        content = await self._open(run_id, path)
        if content is not None:
            await self.send_chunks(content.chunks)
            self.finish(set_content_type=content.media_type)

    @web.authenticated
    @authorized
    async def head(self, run_id: str, path: str) -> None:
        """Send what ``get`` would, without the file."""
        content = await self._open(run_id, path)
        if content is not None:
            self.finish(set_content_type=content.media_type)

    async def _open(self, run_id: str, path: str) -> FileContent | None:
        """Open the file and set the answer's headers; None if 304 was answered."""
        self.check_query()
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise errors.NotFoundError(
                say("no-such-file", "The run has no file {path}.", path=repr(path[:200]))
            )
        runs = await self.kueue.runs()
        start, end = self._range()
        if start is not None and self.request.headers.get("If-Range"):
            whole = await runs.open_file(self.run_id(run_id), path, kind=self.kind)
            if self.request.headers["If-Range"] != quoted_etag(whole.etag):
                start = end = None
        content = await runs.open_file(self.run_id(run_id), path, start, end, kind=self.kind)
        self.set_header("Content-Type", content.media_type)
        self.set_header("Accept-Ranges", "bytes")
        # It may be kept, but it is asked for each time: a run that goes on changes its files.
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("Content-Disposition", attachment(path))
        etag = quoted_etag(content.etag)
        if etag is not None:
            self.set_header("Etag", etag)
            if self.check_etag_header():
                self.set_status(304)
                self.finish()
                return None
        if start is not None:
            self.set_status(206)
            self.set_header(
                "Content-Range", f"bytes {content.start}-{content.end - 1}/{content.size_bytes}"
            )
        self.set_header("Content-Length", str(content.end - content.start))
        return content

    def _range(self) -> tuple[int | None, int | None]:
        """Return the range asked for as start and end (exclusive), start negative for the last.

        A range that is not understood, or several at once, means the whole file (RFC 9110 §14.2).
        """
        match = _RANGE.fullmatch(self.request.headers.get("Range", "").strip())
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


class InputHandler(FileHandler):
    """``runs/{id}/inputs/{path}``."""

    kind = "inputs"


def quoted_etag(etag: str | None) -> str | None:
    """Return an ETag as it stands in a header."""
    if etag is None or etag.startswith(('"', 'W/"')):
        return etag
    return f'"{etag}"'


def attachment(path: str) -> str:
    """Return the Content-Disposition of the file at ``path`` (RFC 6266), whatever its name is."""
    name = path.rsplit("/", 1)[-1]
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
