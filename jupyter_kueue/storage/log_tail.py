"""Where the last lines of a stored log begin, found without reading what is before them.

``service.runs.outputs`` calls it. A notebook can print gigabytes, and a line may have any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.storage.bucket import Bucket

# So far back from a log's end the last lines are looked for; more are cut, in the midst of a line.
MAX_TAIL_BYTES = 64 * 2**20
_RANGE_BYTES = 2**20


async def find_start(bucket: Bucket, key: str, lines: int) -> int | None:
    """Return the byte at which the last ``lines`` lines of an object begin; None for none at all.

    Raises:
        NotFoundError: there is no such object.
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
        start = max(oldest, end - _RANGE_BYTES)
        part = b"".join([chunk async for chunk in await bucket.stream(key, start, end)])
        # The line end at the log's own end ends its last line and begins none.
        at = len(part) - 1 if end == meta.size else len(part)
        while (at := part.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if left == 0:
                return start + at + 1
        end = start
    return oldest
