"""Measures a pod's use of the node's disk, and the free space.

A pod can create millions of files, deep folders, and links that change during the walk. The walk is
therefore done by ``du``, a separate process that follows no link, stays on one file system, does
not block this one, and can be killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue_local.node import disk_limits

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue_local.node.disk_limits import Json

_WALK_SECONDS = 60.0
_KIBIBYTE = 1024
_LEAST_FREE_BYTES = 32 * 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Places:
    """The relevant parts of a pod's folder, relative to it; name -> path."""

    volumes: dict[str, str]
    containers: dict[str, str]


def is_full(folder: Path) -> bool:
    """Return whether the disk of the node's folder is too full to start pods.

    A kubelet's default threshold is 90 %. A laptop's disk may be that full for years, so here it is
    the space that a few small pods and their logs need.
    """
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES


async def measure(folder: Path, pod: Json) -> disk_limits.DiskUsage | None:
    """Return the disk use of the pod with files in ``folder``; None if it cannot be measured now.

    As on a real node, blocks count instead of lengths: a sparse file is as large as its data. A
    container's use is its log and its working directory; HOME and TMPDIR, which a pod's containers
    share here, count for the whole pod.
    """
    places = _Places(
        volumes={
            volume["name"]: f"volumes/{volume['name']}"
            for volume in pod["spec"].get("volumes", [])
            if "emptyDir" in volume
        },
        containers={
            container["name"]: f"containers/{container['name']}"
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        },
    )
    shared = ("home", "tmp")
    found = await _sizes(folder, [*places.volumes.values(), *places.containers.values(), *shared])
    if found is None:
        return None
    return disk_limits.DiskUsage(
        volumes={name: found.get(path, 0) for name, path in places.volumes.items()},
        containers={name: found.get(path, 0) for name, path in places.containers.items()},
        shared=sum(found.get(path, 0) for path in shared),
    )


async def _sizes(folder: Path, paths: list[str]) -> dict[str, int] | None:
    """Return the bytes of each existing path; None if that takes too long.

    ``-k``, ``-s`` and ``-x`` are POSIX; a file with several names counts once.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *("nice", "du", "-k", "-s", "-x", "--", *paths),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError:  # the folder and its contents are gone
        return {}
    try:
        # It reports files that vanished meanwhile, but still prints the sums.
        output, _ = await asyncio.wait_for(process.communicate(), _WALK_SECONDS)
    except TimeoutError:
        log.warning("%s is too large to be measured in %.0f s", folder, _WALK_SECONDS)
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
    lines = (line.partition(b"\t") for line in output.splitlines())
    return {path.decode(): int(size) * _KIBIBYTE for size, _, path in lines}
