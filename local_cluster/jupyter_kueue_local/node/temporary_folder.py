"""A short path for the pods' temporary folders.

Programs create sockets below TMPDIR, and a socket's path is limited to 107 bytes (unix(7)):
Python's multiprocessing alone needs 32 of them, and a pod's folder within a home folder the rest.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

_RECORD = "short-path"


def ensure_short_path(folder: Path, target: Path) -> Path:
    """Return a short symbolic link to ``target``, the same one as before if it still exists.

    ``folder`` remembers it. Containers that outlive an agent keep using it.
    """
    record = folder / _RECORD
    if record.exists():
        link = Path(record.read_text())
        if link.is_symlink() and link.readlink() == target:
            return link
    root = Path("/tmp")  # noqa: S108 - the name is random, and never that of something existing
    while True:
        link = (root if root.is_dir() else Path(tempfile.gettempdir())) / (
            f"jk-{secrets.token_hex(4)}"
        )
        try:
            link.symlink_to(target)
        except FileExistsError:
            continue
        record.write_text(str(link))
        return link


def remove_short_path(folder: Path) -> None:
    """Remove the link, once no container uses it."""
    record = folder / _RECORD
    if record.exists():
        Path(record.read_text()).unlink(missing_ok=True)
        record.unlink()
