"""What a pod has written, compared with its limits, so that a run ends before a kubelet evicts it.

The notebook container sees everything that counts: the pod's emptyDirs, and the container's own
writable layer. A kubelet checks every ten seconds or more, and gives an evicted pod two seconds
(``pkg/kubelet/eviction``, ``localStorageEviction``). Needs only Python 3.9's standard library.
"""

from __future__ import annotations

import os
import stat
import threading
import time

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say

TYPE_CHECKING = False  # typing is slow to import, and this runs before the kernel is up
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_kueue.contract.sentences import Sentence

# The pause between two checks. Folders with many files are checked less often, so that checks take
# at most a twentieth of the time.
LOOK_SECONDS = 1.0
_SHARE = 20
# A limit of nearly the whole disk means no limit: without one, the downward API reports the node's
# capacity.
_WHOLE_DISK = 0.7
_BLOCK_BYTES = 512  # of st_blocks (stat(2)), on any file system
# Where a notebook writes in the container itself, besides its home and TMPDIR.
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - to measure them
_VOLUMES = {
    "control": pod_contract.ENV_CONTROL_DIR,
    "runner": pod_contract.ENV_RUNNER_DIR,
    "workspace": pod_contract.ENV_WORKSPACE_DIR,
    "checkpoints": pod_contract.ENV_CHECKPOINT_DIR,
    "scratch": pod_contract.ENV_SCRATCH_DIR,
}


class Use:
    """Bytes on disk: by volume, and in the notebook's container."""

    def __init__(self, volumes: dict[str, int], container: int) -> None:
        self.volumes = volumes
        self.container = container


class Limits:
    """What a pod may write, in bytes: to each volume, to the notebook's container, and in total.

    ``None`` and volumes that are not listed mean no limit.
    """

    def __init__(
        self, volumes: dict[str, int], container: int | None = None, pod: int | None = None
    ) -> None:
        self.volumes = volumes
        self.container = container
        self.pod = pod

    def excess(self, use: Use) -> Sentence | None:
        """Return a sentence about what exceeds its limit, or None."""
        for name, limit in sorted(self.volumes.items()):
            if use.volumes.get(name, 0) > limit:
                return _sentence(
                    say(
                        "volume-may-hold",
                        "its volume {volume} may hold {amount}",
                        volume=name,
                        amount=in_words(limit),
                    )
                )
        together = sum(use.volumes.values()) + use.container
        if self.pod is not None and together > self.pod:
            return _sentence(
                say(
                    "may-use-of-disk",
                    "it may use {amount} of its machine's disk",
                    amount=in_words(self.pod),
                )
            )
        if self.container is not None and use.container > self.container:
            return _sentence(
                say(
                    "container-may-use",
                    "its container may use {amount} of its machine's disk",
                    amount=in_words(self.container),
                )
            )
        return None


def _sentence(limit: Sentence) -> Sentence:
    return say(
        "wrote-more",
        "It wrote more than allowed: {limit}. Write less, or ask an admin for more.",
        limit=limit,
    )


def in_words(amount: int) -> str:
    """Return a number of bytes in readable form."""
    size, unit = float(amount), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:  # noqa: PLR2004 - a step of the units
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}"


class DiskWatch:
    """Measures what the pod uses, in a thread; calls ``on_excess`` once it is too much.

    Attributes:
        excess: a sentence about what is too much; None until then.
    """

    def __init__(self, on_excess: Callable[[], None]) -> None:
        self.excess: Sentence | None = None
        self._on_excess = on_excess
        self._folders = {
            name: os.environ[variable]
            for name, variable in _VOLUMES.items()
            if os.environ.get(variable)
        }
        self._limits = _limits(self._folders)

    def start(self) -> None:
        """Start to measure, if there is any limit."""
        limits = self._limits
        if limits.volumes or limits.container is not None or limits.pod is not None:
            threading.Thread(target=self._watch, name="disk-watch", daemon=True).start()

    def _watch(self) -> None:
        volumes = {name: _Gauge([folder]) for name, folder in self._folders.items()}
        container = _Gauge(self._own_places())
        # Files from the image do not count as the pod's use of the node's disk.
        of_image = container.read()
        while True:
            own = max(0, container.read() - of_image)
            use = Use({name: gauge.read() for name, gauge in volumes.items()}, own)
            self.excess = self._limits.excess(use)
            if self.excess is not None:
                return self._on_excess()
            time.sleep(LOOK_SECONDS)

    def _own_places(self) -> list[str]:
        temporary = os.environ.get("TMPDIR")
        own = [*([temporary] if temporary else _TEMPORARY), os.environ.get("HOME", "")]
        inside = tuple(f"{folder.rstrip('/')}/" for folder in self._folders.values())
        # Files in a volume count there.
        return [place for place in own if place and not f"{place}/".startswith(inside)]


class _Gauge:
    """The size of some folders, measured only as often as is cheap."""

    def __init__(self, folders: list[str]) -> None:
        self._folders = folders
        self._size = 0
        self._due = 0.0

    def read(self) -> int:
        """Return the bytes in use, possibly as measured a while ago."""
        began = time.monotonic()
        if began >= self._due:
            self._size = size_of(self._folders)
            ended = time.monotonic()
            self._due = ended + (ended - began) * _SHARE
        return self._size


def size_of(folders: Iterable[str]) -> int:
    """Return the bytes that folders take on disk, in blocks, as du(1) counts them.

    Links are not followed, other file systems are not entered, and files with several names count
    once. Files that vanish meanwhile or cannot be read count as nothing.
    """
    total = 0
    seen = set()
    for top in folders:
        try:
            device = os.stat(top).st_dev  # noqa: PTH116 - pathlib is slow to import
        except OSError:
            continue
        waiting = [top]
        while waiting:
            try:
                entries = os.scandir(waiting.pop())
            except OSError:
                continue
            with entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if found.st_dev != device:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    elif found.st_nlink > 1:
                        if found.st_ino in seen:
                            continue
                        seen.add(found.st_ino)
                    total += found.st_blocks * _BLOCK_BYTES
    return total


def _limits(folders: dict[str, str]) -> Limits:
    import json  # noqa: PLC0415 - slow, and a handler for SIGTERM comes first

    volumes = json.loads(os.environ.get(pod_contract.ENV_VOLUME_LIMITS) or "{}")
    whole = _disk_bytes(folders.get("workspace", "/"))
    named = [
        limit
        for name, value in sorted(os.environ.items())
        if name.startswith(pod_contract.ENV_DISK_LIMIT)
        and value.isdigit()
        and 0 <= (limit := int(value)) < whole * _WHOLE_DISK
    ]
    own = os.environ.get(pod_contract.ENV_DISK_LIMIT, "")
    container = int(own) if own.isdigit() and 0 < int(own) < whole * _WHOLE_DISK else None
    return Limits(volumes, container, sum(named) if any(named) else None)


def _disk_bytes(folder: str) -> float:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_blocks * found.f_frsize
