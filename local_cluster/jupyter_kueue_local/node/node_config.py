"""The node agent's configuration, the file ``node.json``.

The declared images are read again at each use, so that an image can be declared while the agent
runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors


@dataclass(frozen=True)
class NodeConfig:
    """One node.

    Attributes:
        source: the file itself.
        folder: the agent's own state.
        address: where it serves logs, and the address of its node and pods.
        tls_cert, tls_key: its server certificate.
        client_ca: the authority of its clients.
        cpu: offered cores, as a quantity.
        memory: offered bytes, as a quantity.
        gpus: how many devices of ``nvidia.com/gpu`` it simulates.
    """

    source: Path
    name: str
    kubeconfig: str
    folder: Path
    address: str
    port: int
    tls_cert: str
    tls_key: str
    client_ca: str
    cpu: str
    memory: str
    gpus: int

    @property
    def pods(self) -> Path:
        """The folder of the pods' files."""
        return self.folder / "pods"

    def read_images(self) -> dict[str, Path]:
        """Return the images that the file currently declares: name -> Python environment."""
        images = _read(self.source).get("images") or {}
        return {name: Path(image["prefix"]) for name, image in images.items()}


def load(path: Path) -> NodeConfig:
    """Return the configuration in ``path``.

    Raises:
        NotConfiguredError: the file is missing, is not JSON or lacks a field.
    """
    content = _read(path)
    try:
        return NodeConfig(
            source=path,
            name=content["name"],
            kubeconfig=content["kubeconfig"],
            folder=Path(content["dir"]),
            address=content["address"],
            port=int(content["port"]),
            tls_cert=content["tls_cert"],
            tls_key=content["tls_key"],
            client_ca=content["client_ca"],
            cpu=str(content["cpu"]),
            memory=str(content["memory"]),
            gpus=int(content["gpus"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.NotConfiguredError(
            foreign(
                f"{path} lacks or misspells {error}: run `jupyter kueue local up` to write it anew."
            )
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise errors.NotConfiguredError(
            foreign(
                f"The node's configuration {path} cannot be read ({error}): run `jupyter kueue "
                "local up` to write it anew."
            )
        ) from error
    if not isinstance(content, dict):
        raise errors.NotConfiguredError(foreign(f"{path} must hold a JSON object."))
    return content
