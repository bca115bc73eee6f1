"""A folder that somebody else can write in, and the only way to read what lies there.

Whoever writes in a folder can swap a file for a link, a pipe or a device between any check of its
path and any use of it. So nothing here is checked by path: a file is opened once, component by
component below a directory's descriptor, without following a link and without waiting for a
pipe's other end; the descriptor is then checked with fstat(2), and read. openat2(2) with
RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS does the same in one call, but Python has no name for it,
and some kernels and sandboxes don't offer it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe opens at once, and fstat(2) shows what it is.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class RefusedFileError(OSError):
    """What lies at a path is not read: a link, no regular file, or too large.

    ``strerror`` says why, in words that follow the file's name.
    """

    def __init__(self, why: str, path: str) -> None:
        super().__init__(errno.EPERM, why, path)


@dataclass(frozen=True)
class FoundFile:
    """A regular file of a walk.

    Attributes:
        path: its name below the folder, with ``/`` between its parts. Bytes that are not UTF-8 are
            lone surrogates, as everywhere in Python.
        real_path: where it lies: the same, but for a link, which leads here.
        size_bytes, mtime_ns: of the file at ``real_path``, when the walk came by.
    """

    path: str
    real_path: str
    size_bytes: int
    mtime_ns: int


class UntrustedFolder:
    """A folder whose own path is ours and whose content is not.

    Use it as a context manager, or call ``close``: it holds the folder's descriptor.
    """

    def __init__(self, path: Path | str) -> None:
        """Raises OSError: the folder is not there, or cannot be read."""
        self._real = os.path.realpath(path)
        self._descriptor = os.open(self._real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def open_file(self, path: str, *, max_bytes: int | None = None) -> IO[bytes]:
        """Open the regular file at ``path``, relative to the folder, for reading.

        Raises:
            FileNotFoundError: nothing is there.
            RefusedFileError: it is, or leads through, a link; is no regular file; or has more than
                ``max_bytes`` now.
            OSError: it cannot be opened.
        """
        parts = _parts(path)
        folder = self._open_folder(parts[:-1], path)
        try:
            descriptor = os.open(parts[-1], _FILE_FLAGS, dir_fd=folder)
        except OSError as error:
            raise _translated(error, path) from error
        finally:
            os.close(folder)
        try:
            _check(os.fstat(descriptor), path, max_bytes)
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise

    def read_bytes(self, path: str, *, max_bytes: int) -> bytes:
        """Return the content of a small file; raises as ``open_file`` does."""
        with self.open_file(path, max_bytes=max_bytes) as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:  # it grew after it was opened
            raise RefusedFileError(f"has more than {max_bytes} bytes", path)
        return data

    def walk(self, *, without: frozenset[str] = frozenset()) -> Iterator[FoundFile]:
        """Yield each regular file below the folder, and each link that leads to one in here.

        Links to folders and whatever else lies there are passed over, and so is what vanishes or
        cannot be read. Memory grows with the folders alone, so the caller may stop at any number.

        Args:
            without: names of folders that are not looked into.
        """
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            below = waiting.pop()
            try:
                folder = self._open_folder(below, "/".join(below))
            except OSError:
                continue
            try:
                yield from self._walk_one(folder, below, without, waiting)
            finally:
                os.close(folder)

    def _walk_one(
        self,
        folder: int,
        below: tuple[str, ...],
        without: frozenset[str],
        waiting: list[tuple[str, ...]],
    ) -> Iterator[FoundFile]:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in without:
                            waiting.append((*below, entry.name))
                        continue
                    path = "/".join((*below, entry.name))
                    found = (
                        self._followed(path)
                        if entry.is_symlink()
                        else (path, entry.stat(follow_symlinks=False))
                    )
                except OSError:
                    continue
                if found is not None and stat.S_ISREG(found[1].st_mode):
                    real_path, status = found
                    yield FoundFile(path, real_path, status.st_size, status.st_mtime_ns)

    def _followed(self, path: str) -> tuple[str, os.stat_result] | None:
        """Return where a link leads and what is there; None if that is not in this folder.

        A hint, no check: whoever opens the real path meets no link on the way, or is refused.
        """
        real = os.path.realpath(os.path.join(self._real, path))  # noqa: PTH118 - of a str, in a loop
        if not real.startswith(f"{self._real}/"):
            return None
        return real[len(self._real) + 1 :], os.lstat(real)

    def _open_folder(self, parts: tuple[str, ...], path: str) -> int:
        """Return a descriptor of the folder that ``parts`` lead to, which the caller closes."""
        folder = os.dup(self._descriptor)
        try:
            for part in parts:
                below = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
                os.close(folder)
                folder = below
        except OSError as error:
            os.close(folder)
            raise _translated(error, path) from error
        return folder


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\0" in path:
        raise RefusedFileError("lies outside of its folder", path)
    return pure.parts


def _check(status: os.stat_result, path: str, max_bytes: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusedFileError("is not a regular file", path)
    if max_bytes is not None and status.st_size > max_bytes:
        raise RefusedFileError(f"has {status.st_size} bytes; at most {max_bytes} are taken", path)


def _translated(error: OSError, path: str) -> OSError:
    """Return the error with the path that was asked for, and links called by their name."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return RefusedFileError("is a link, or leads through one", path)
    if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, a device that is not there
        return RefusedFileError("is not a regular file", path)
    return OSError(error.errno, error.strerror, path)
