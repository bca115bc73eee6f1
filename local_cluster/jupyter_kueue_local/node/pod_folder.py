"""Where the files of one pod lie, and what the agent must know again after its own restart.

``pod_worker``, ``containers`` and ``volumes`` get their paths here. One folder for each pod's uid:

    pod.json                    namespace, name, and what was decided about the pod
    volumes/<name>/             what its volumes hold
    home/ tmp/                  HOME and TMPDIR of its containers
    containers/<name>/<n>/      the n-th start of a container, counted from 0; see ``shim``
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local.node import host_processes

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

log = logging.getLogger(__name__)


def shim_program(node_folder: Path) -> Path:
    """Return where the agent of this folder keeps its shims' program, compiled."""
    return node_folder / "shim.pyc"


class PodFolder:
    """The folder of one pod."""

    def __init__(self, pods: Path, uid: str) -> None:
        self.path = pods / uid
        self.volumes = self.path / "volumes"
        self.home = self.path / "home"
        self.tmp = self.path / "tmp"
        self.shim_program = shim_program(pods.parent)
        self._memory = self.path / "pod.json"

    def create(self) -> None:
        """Make the folder, readable by its owner alone."""
        for folder in (self.path, self.volumes, self.home, self.tmp):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def give_back_workspace(self) -> None:
        """Remove what an ended pod no longer needs: all but its logs and how it ended. Blocks.

        The kubelet removes an ended pod's volumes too, and keeps its containers until the pod is
        deleted; here HOME, TMPDIR and the working directories are as large as the volumes are.
        """
        for folder in (self.volumes, self.home, self.tmp, *self.path.glob("containers/*/*/work")):
            if folder.exists():
                host_processes.remove_tree(folder)

    def container(self, name: str) -> Path:
        """Return the folder with all starts of a container."""
        return self.path / "containers" / name

    def attempts(self, name: str) -> list[Path]:
        """Return the folders of a container's starts, oldest first."""
        folder = self.container(name)
        if not folder.is_dir():
            return []
        return sorted(
            (entry for entry in folder.iterdir() if entry.name.isdigit()),
            key=lambda entry: int(entry.name),
        )

    def load_memory(self) -> Json:
        """Return what was remembered about the pod, an empty object for a new one."""
        try:
            memory = json.loads(self._memory.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            # What was written last before the machine lost its power may be empty.
            log.warning("%s is damaged: its pod is judged by its containers alone", self._memory)
            return {}
        return memory if isinstance(memory, dict) else {}

    def save_memory(self, memory: Json) -> None:
        """Remember ``memory``, replacing what was there at once."""
        write_atomically(self._memory, json.dumps(memory).encode())


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file by one with this content and mode, at once or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.chmod(mode)
    temporary.replace(path)
