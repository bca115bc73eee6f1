"""The start of a stored log's last lines, found without reading the lines before them.

A notebook can print gigabytes, and a line may have any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.storage.bucket import Bucket

# How far back from a log's end to search; a longer tail is cut in the middle of a line.
MAX_TAIL_BYTES = 64 * 2**20
RANGE_BYTES = 2**20


async def find_start(bucket: Bucket, key: str, lines: int) -> int | None:
    """Return the byte at which the last ``lines`` lines of an object begin; None if there are none.

    Raises:
        NotFoundError: the object does not exist.
    """
    meta = await bucket.head(key)
    if meta is None:
        raise errors.NotFoundError(say("no-log", "There is no {key} in the bucket.", key=key))
    if meta.size == 0 or lines == 0:
        return None
    end = meta.size
    oldest = max(0, end - MAX_TAIL_BYTES)
    left = lines
    while end > oldest:
        start = max(oldest, end - RANGE_BYTES)
        part = b"".join([chunk async for chunk in await bucket.stream(key, start, end)])
        # A newline at the log's end ends its last line and begins none.
        at = len(part) - 1 if end == meta.size else len(part)
        while (at := part.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if left == 0:
                return start + at + 1
        end = start
    return oldest
