"""What a file's path means for the object that holds it: which names no store keeps, and its type.

Pure. Used wherever files go into the bucket, from a user's folder and from a run's.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePosixPath

# Control characters, which no object's name has; the backslash, which some stores change; lone
# surrogates (a name that is not UTF-8 arrives as such); U+FFFE and U+FFFF: a listing is XML 1.0,
# which cannot carry them, so the object would be listed under a name that is not its own.
UNFIT = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff\ufffe\uffff]")


def media_type(path: str) -> str | None:
    """Return the media type that a file's extension stands for, None if for none.

    ``mimetypes`` reads a path as a URL, and takes the type out of one that begins with ``data:``.
    """
    return mimetypes.guess_type(f"./{PurePosixPath(path).name}")[0]
