"""Reads a container's log in CRI's format: parsing, the last lines, following.

The writer is ``shim``. Options are those of
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Record:
    """One line of a log file. ``partial``: the container's line continues in the next record."""

    time: str
    stream: str
    partial: bool
    text: bytes

    @property
    def output(self) -> bytes:
        """The container's output."""
        return self.text if self.partial else self.text + b"\n"


@dataclass(frozen=True)
class LogOptions:
    """Which part of a log to return, and how; None means no limit."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    stream: str = "All"


def parse_options(query: Mapping[str, str], now: datetime) -> LogOptions:
    """Return the options of a log request, whose names are the Kubernetes API's.

    Raises:
        ValueError: an option is invalid; the message names it.
    """

    def number(name: str) -> int | None:
        text = query.get(name)
        if text is None or text == "":
            return None
        if not text.isdigit():
            raise ValueError(f"{name} must be a whole number from 0, not {text[:40]!r}")
        return int(text)

    since_seconds = number("sinceSeconds")
    since = None if since_seconds is None else now - timedelta(seconds=since_seconds)
    if query.get("sinceTime"):
        try:
            since = datetime.fromisoformat(query["sinceTime"])
        except ValueError:
            raise ValueError(
                f"sinceTime must be RFC 3339, not {query['sinceTime'][:40]!r}"
            ) from None
    return LogOptions(
        follow=query.get("follow") in ("true", "1"),
        previous=query.get("previous") in ("true", "1"),
        timestamps=query.get("timestamps") in ("true", "1"),
        tail_lines=number("tailLines"),
        limit_bytes=number("limitBytes"),
        since=since,
        stream=query.get("stream") or "All",
    )


def parse(line: bytes) -> Record | None:
    """Return the record of a line without its end, None if it is not a record."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[2] not in (b"P", b"F"):  # noqa: PLR2004 - time, stream, tag, text
        return None
    return Record(parts[0].decode(), parts[1].decode(), parts[2] == b"P", parts[3])


def read_tail(path: Path, lines: int) -> list[Record]:
    """Return the last ``lines`` records of a log, none if the log does not exist."""
    with closing(LogReader(path)) as reader:
        reader.skip_to_tail(lines)
        return reader.read()


class LogReader:
    """Reads a growing log from the beginning or from its last lines.

    It keeps the file open, so that a log can be read to its end even if its pod is removed
    meanwhile; ``close`` it.

    Attributes:
        moved: whether the last ``read`` read anything, even part of a line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._pending = b""
        self.moved = False
        self._file = self._find_newer()

    def close(self) -> None:
        """Close the file; nothing more can be read."""
        if self._file:
            self._file.close()

    def skip_to_tail(self, lines: int) -> None:
        """Skip all but the last ``lines`` lines."""
        if self._file is None:
            return
        position = self._file.seek(0, 2)
        offset = position
        # The end of the last line counts, too; there is none to find if no lines are wanted.
        wanted = lines + 1 if lines else 0
        while position > 0 and wanted > 0:
            start = max(0, position - _CHUNK_BYTES)
            self._file.seek(start)
            chunk = self._file.read(position - start)
            end = len(chunk)
            while wanted > 0 and (end := chunk.rfind(b"\n", 0, end)) >= 0:
                wanted -= 1
                offset = start + end + 1
            position = start
        self._file.seek(0 if wanted > 0 else offset)

    def read(self, limit: int = -1) -> list[Record]:
        """Return the records added since the last call; read at most ``limit`` bytes."""
        data = self._file.read(limit) if self._file else b""
        if not data and (newer := self._find_newer()):
            # The last lines may have been written between the checks of the old and the new file.
            data = self._file.read(limit) if self._file else b""
            if data:
                newer.close()
            else:
                self.close()
                self._file, self._pending = newer, b""
                data = newer.read(limit)
        self.moved = bool(data)
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [record for line in lines if (record := parse(line))]

    def _find_newer(self) -> BinaryIO | None:
        """Open the log if it exists and is not the file that is already open."""
        try:
            if self._file and os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                return None
            return self._path.open("rb")
        except FileNotFoundError:
            return None


class LogFormatter:
    """Formats records as a client requested, up to its byte limit."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._within_line: dict[str, bool] = {}

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._left == 0

    def format(self, records: list[Record]) -> bytes:
        """Return the bytes to send for these records."""
        data = b"".join(self._one(record) for record in records)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data

    def _one(self, record: Record) -> bytes:
        options = self._options
        if options.stream != "All" and options.stream.lower() != record.stream:
            return b""
        if options.since and parse_time(record.time) < options.since:
            return b""
        continued = self._within_line.get(record.stream, False)
        self._within_line[record.stream] = record.partial
        if options.timestamps and not continued:
            return record.time.encode() + b" " + record.output
        return record.output


def parse_time(text: str) -> datetime:
    """Return the time of a record, to the microsecond."""
    # Not all supported versions of Python parse more than six digits of a fraction.
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}").replace(tzinfo=UTC)
