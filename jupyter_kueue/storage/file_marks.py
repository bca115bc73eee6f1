"""A file's executable bit and modification time, which are kept along with its content.

A run's records hold them as the file's fields ``executable`` and ``modified_at`` (RFC 3339, UTC).
Owners and other modes are not kept.
"""

from __future__ import annotations

import datetime as dt
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue.domain import times

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class FileMarks(NamedTuple):
    """The marks of one file; ``modified_at`` is None if unknown."""

    executable: bool = False
    modified_at: str | None = None

    @classmethod
    def of_status(cls, status: os.stat_result) -> Self:
        """Return the marks of a file on disk; a time outside the valid range counts as unknown."""
        executable = bool(status.st_mode & stat.S_IXUSR)
        try:
            moment = _EPOCH + dt.timedelta(microseconds=status.st_mtime_ns // 1000)
        except OverflowError:
            return cls(executable)
        if not times.OLDEST_YEAR <= moment.year <= times.LATEST_YEAR:
            return cls(executable)
        return cls(executable, moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))

    @classmethod
    def of_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the marks in a file's record, which may lack them."""
        return cls(bool(item.get("executable")), item.get("modified_at"))

    def apply(self, descriptor: int) -> None:
        """Set the marks on an open file that is completely written.

        Everybody who may read the file may then execute it.
        """
        if self.executable:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            os.fchmod(descriptor, mode | (mode & 0o444) >> 2)
        if self.modified_at is not None:
            moment = dt.datetime.fromisoformat(self.modified_at)
            microseconds = (moment - _EPOCH) // dt.timedelta(microseconds=1)
            os.utime(descriptor, ns=(microseconds * 1000, microseconds * 1000))


NO_MARKS = FileMarks()
