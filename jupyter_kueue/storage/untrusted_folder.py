"""A folder that others can write to, and the only way to read and write files in it.

Whoever can write to a folder can replace a file by a link, a pipe or a device between a check of
its path and its use. Nothing here is therefore checked by path: a file is opened component by
component below a directory's descriptor, without following links and without waiting for a pipe's
other end; the descriptor is then checked with fstat(2), and read. openat2(2) with RESOLVE_BENEATH
and RESOLVE_NO_SYMLINKS does the same in one call, but Python does not offer it, and some kernels
and sandboxes lack it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

from jupyter_kueue.contract.sentences import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_kueue.contract.sentences import Sentence

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe opens at once, and fstat(2) shows what it is.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE_MODE = 0o664


class RefusedFileError(OSError):
    """The entry at a path is refused: a link, not a regular file, or too large.

    ``strerror`` is the reason, to follow the file's name. ``is_too_large`` marks a regular file.
    """

    def __init__(self, why: Sentence, path: str, *, is_too_large: bool = False) -> None:
        super().__init__(errno.EPERM, why, path)
        self.is_too_large = is_too_large


@dataclass(frozen=True)
class FoundFile:
    """A regular file of a walk.

    Attributes:
        path: its name below the folder, with ``/`` between its parts. Bytes that are not UTF-8 are
            lone surrogates, as everywhere in Python.
        real_path: the same, or for a link its target below the folder.
        size_bytes, mtime_ns: of the file at ``real_path``, at the time of the walk.
    """

    path: str
    real_path: str
    size_bytes: int
    mtime_ns: int


class UntrustedFolder:
    """A folder with a trusted path and untrusted content.

    Use it as a context manager, or call ``close``: it holds the folder's descriptor.
    """

    def __init__(self, path: Path | str) -> None:
        """Raises OSError: the folder does not exist, is itself a link, or cannot be read."""
        try:
            self._descriptor = os.open(path, _FOLDER_FLAGS)
        except OSError as error:
            raise _translated(error, os.fspath(path)) from error
        self._real = os.path.realpath(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def open_file(self, path: str, *, max_bytes: int | None = None) -> IO[bytes]:
        """Open the regular file at ``path``, relative to the folder, for reading.

        Raises:
            FileNotFoundError: it does not exist.
            RefusedFileError: it is a link or below one, is not a regular file, or currently has
                more than ``max_bytes``.
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
        """Return the content of a small file; raises like ``open_file``."""
        with self.open_file(path, max_bytes=max_bytes) as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:  # it grew after it was opened
            raise RefusedFileError(
                say("file-has-more-bytes", "has more than {most} bytes", most=max_bytes),
                path,
                is_too_large=True,
            )
        return data

    @contextlib.contextmanager
    def replaced_file(self, path: str) -> Iterator[IO[bytes]]:
        """Yield a new file, which replaces ``path`` if the context ends without an error.

        Missing folders are created; links in the path are not followed.

        Raises:
            RefusedFileError: the path leads through a link or out of the folder.
            OSError: it cannot be written.
        """
        parts = _parts(path)
        folder = self._open_folder(parts[:-1], path, make=True)
        temporary = f".{secrets.token_hex(16)}.part"
        try:
            descriptor = os.open(temporary, _NEW_FILE_FLAGS, _NEW_FILE_MODE, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                os.rename(temporary, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
        finally:
            os.close(folder)

    def make_folder(self, path: str) -> None:
        """Create the folder ``path`` and its parents; raises like ``replaced_file``."""
        os.close(self._open_folder(_parts(path), path, make=True))

    def walk(
        self,
        *,
        without: frozenset[str] = frozenset(),
        max_entries: int | None = None,
        max_path_bytes: int | None = None,
        passed_over: Callable[[str, str], None] = lambda _path, _why: None,
    ) -> Iterator[FoundFile]:
        """Yield each regular file below the folder, and each link to one of them.

        Links to folders and other kinds of entries are skipped, and so is what disappears or cannot
        be read. Memory grows only with the number of folders, so the caller may stop at any time.

        Args:
            without: names of folders to skip.
            max_entries: the walk ends after so many files, folders and other entries. At most a
                tenth of that many folders may be pending.
            max_path_bytes: folders with a longer path are skipped.
            passed_over: called with path and reason for each folder that is skipped or cannot be
                read, and with ``.`` if ``max_entries`` ended the walk.
        """
        left = max_entries
        waiting: list[str] = [""]
        while waiting:
            below = waiting.pop()
            if max_path_bytes is not None and len(os.fsencode(below)) > max_path_bytes:
                passed_over(
                    below,
                    say(
                        "file-path-too-long",
                        "has a path of more than {most} bytes",
                        most=max_path_bytes,
                    ),
                )
                continue
            try:
                folder = self._open_folder(tuple(below.split("/")) if below else (), below)
            except FileNotFoundError:
                continue
            except OSError as error:
                passed_over(below, error.strerror or str(error))
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if left is not None:
                            left -= 1
                            if left < 0:
                                passed_over(
                                    ".",
                                    say(
                                        "folder-has-more-entries",
                                        "has more than {most} entries",
                                        most=max_entries or 0,
                                    ),
                                )
                                return
                        if max_entries is not None and len(waiting) > max_entries // 10:
                            passed_over(
                                waiting.pop(),
                                say("one-of-too-many-folders", "is one of too many folders"),
                            )
                        yield from self._walk_one(entry, below, without, waiting)
            finally:
                os.close(folder)

    def _walk_one(
        self,
        entry: os.DirEntry[str],
        below: str,
        without: frozenset[str],
        waiting: list[str],
    ) -> Iterator[FoundFile]:
        path = f"{below}/{entry.name}" if below else entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in without:
                    waiting.append(path)
                return
            found = (
                self._followed(path)
                if entry.is_symlink()
                else (path, entry.stat(follow_symlinks=False))
            )
        except OSError:
            return
        if found is not None and stat.S_ISREG(found[1].st_mode):
            real_path, status = found
            yield FoundFile(path, real_path, status.st_size, status.st_mtime_ns)

    def _followed(self, path: str) -> tuple[str, os.stat_result] | None:
        """Return a link's target and its status; None if the target is not in this folder.

        A hint, not a check: opening the real path follows no link, or is refused.
        """
        real = os.path.realpath(os.path.join(self._real, path))  # noqa: PTH118 - of a str, in a loop
        if not real.startswith(f"{self._real}/"):
            return None
        return real[len(self._real) + 1 :], os.lstat(real)

    def _open_folder(self, parts: tuple[str, ...], path: str, *, make: bool = False) -> int:
        """Return a descriptor of the folder with the given ``parts``; the caller closes it."""
        folder = os.dup(self._descriptor)
        try:
            for part in parts:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
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
        raise RefusedFileError(say("file-outside-folder", "is outside its folder"), path)
    return pure.parts


def _check(status: os.stat_result, path: str, max_bytes: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusedFileError(say("file-not-regular", "is not a regular file"), path)
    if max_bytes is not None and status.st_size > max_bytes:
        why = say(
            "file-has-bytes",
            "has {bytes} bytes; the limit is {most}",
            bytes=status.st_size,
            most=max_bytes,
        )
        raise RefusedFileError(why, path, is_too_large=True)


def _translated(error: OSError, path: str) -> OSError:
    """Return the error with the requested path, and with a clear reason for links."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return RefusedFileError(say("file-is-link", "is a link, or is reached through one"), path)
    if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, or a device that does not exist
        return RefusedFileError(say("file-not-regular", "is not a regular file"), path)
    return OSError(error.errno, error.strerror, path)
