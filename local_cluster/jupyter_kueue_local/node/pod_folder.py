"""The paths of one pod's files, and the state that survives a restart of the agent.

One folder for each pod's uid:

    pod.json                    namespace, name, and decisions about the pod
    volumes/<name>/             the contents of its volumes
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
    """Return the path of the agent's compiled shim program."""
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
        """Create the folder, accessible only by its owner."""
        for folder in (self.path, self.volumes, self.home, self.tmp):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def give_back_workspace(self) -> None:
        """Remove what an ended pod no longer needs: all but its logs and its end. Blocks.

        The kubelet also removes an ended pod's volumes, and keeps its containers until the pod is
        deleted; here HOME, TMPDIR and the working directories can be as large as the volumes.
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
        """Return the stored state of the pod, an empty object for a new one."""
        try:
            memory = json.loads(self._memory.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            # After a power failure, the last file may be empty.
            log.warning("%s is damaged: its pod is judged by its containers alone", self._memory)
            return {}
        return memory if isinstance(memory, dict) else {}

    def save_memory(self, memory: Json) -> None:
        """Store ``memory`` atomically."""
        write_atomically(self._memory, json.dumps(memory).encode())


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file atomically by one with this content and mode."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.chmod(mode)
    temporary.replace(path)
