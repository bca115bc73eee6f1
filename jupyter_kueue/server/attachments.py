"""Headers of files that are sent as attachments, which no browser renders or executes."""

from __future__ import annotations

import re
from urllib.parse import quote


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
