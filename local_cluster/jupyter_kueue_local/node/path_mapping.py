"""Maps a container's mount paths to folders of the host, because there is no mount namespace.

Pure: it handles text only and never accesses the disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# What may precede a path (a space, a quote, an option's =, another path's :, or the scheme of a
# file URL) ...
_BEFORE = r"(?:(?<![\w./~@+%-])|(?<=://))"
# ... and what may follow a whole component of it.
_AFTER = r"(?![\w.~@+%-])"


class PathMapping:
    """Replaces mount paths by host paths."""

    def __init__(self, mounts: Mapping[str, str]) -> None:
        """``mounts`` is mount path -> host path."""
        self.mounts = dict(mounts)
        self._hosts = {_normal(path): host.rstrip("/") for path, host in mounts.items()}
        # Longest first, so that a mount inside another one takes precedence.
        paths = sorted((path for path in self._hosts if path), key=len, reverse=True)
        self._pattern = (
            re.compile(_BEFORE + "(" + "|".join(map(re.escape, paths)) + ")" + _AFTER)
            if paths
            else None
        )

    def apply(self, text: str) -> str:
        """Return ``text`` with every mount path in it replaced, at path boundaries only."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._hosts[match[1]], text)


def _normal(path: str) -> str:
    return "/" + path.strip("/") if path.strip("/") else ""
