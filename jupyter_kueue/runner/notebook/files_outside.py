"""Files that a notebook wrote to HOME or to the parent of the run's folder, where they are lost.

Elsewhere a notebook's files cannot be told from others. Hidden names are ignored: they are
programs' settings and caches.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract

if TYPE_CHECKING:
    from pathlib import Path

# How many entries of each folder are checked.
MAX_ENTRIES = 10_000


class Elsewhere:
    """The two folders as they were before the first cell.

    Args:
        workspace: the run's folder.
        home: the kernel's HOME, None if it has none.
    """

    def __init__(self, workspace: Path, home: str | None) -> None:
        kept = os.path.realpath(workspace)
        self._folders: dict[str, tuple[str, set[str]]] = {}
        for prefix, folder in (("~", home), ("..", os.path.dirname(kept))):  # noqa: PTH120 - as realpath
            if folder and not f"{os.path.realpath(folder)}/".startswith(f"{kept}/"):
                self._folders[prefix] = folder, _names(folder)

    def written(self) -> list[str]:
        """Return new entries as ``~/name`` and ``../name``, sorted.

        At most MAX_ELSEWHERE, each cut to MAX_ELSEWHERE_LENGTH characters.
        """
        found = [
            f"{prefix}/{name}"[: pod_contract.MAX_ELSEWHERE_LENGTH]
            for prefix, (folder, before) in self._folders.items()
            for name in sorted(_names(folder) - before)
        ]
        return found[: pod_contract.MAX_ELSEWHERE]


def _names(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name for entry in islice(entries, MAX_ENTRIES)}
    except OSError:
        return set()
    return {name for name in names if not name.startswith(".")}
