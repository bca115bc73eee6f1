"""A file's path as an object's name: names that stores do not accept, and media types. Pure."""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePosixPath

# Stores do not accept control characters, some change backslashes, and names that are not UTF-8
# contain lone surrogates. A listing is XML 1.0, which cannot contain U+FFFE and U+FFFF, so that the
# object would be listed under another name.
UNFIT = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff\ufffe\uffff]")


def media_type(path: str) -> str | None:
    """Return the media type for a file's extension, None if unknown.

    ``mimetypes`` parses a path as a URL, and takes the type from one that begins with ``data:``.
    """
    return mimetypes.guess_type(f"./{PurePosixPath(path).name}")[0]
