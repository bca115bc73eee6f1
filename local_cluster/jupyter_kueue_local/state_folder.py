"""The folder of one local cluster: its paths and its stored settings.

The folder is private to its owner; the settings file also contains the bucket's secrets.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue_local.errors import LocalClusterError
from jupyter_kueue_local.ports import choose_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFAULT_GPUS = 4
LOCAL_IMAGE = "jupyter-kueue/local:latest"
# The two users and their namespaces: user name -> namespace.
NAMESPACES = {"user": "default", "other": "other"}

# SeaweedFS's maintenance expects a fixed distance between the two ports.
_ADMIN, _ADMIN_GRPC, _ADMIN_OFFSET = "object-store-admin", "object-store-admin-grpc", 10_000

# Every port a part listens on. If one of SeaweedFS's ports is taken, it silently uses the next free
# one, so each of them is set explicitly.
_PORTS = (
    "etcd",
    "etcd-peer",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kueue-webhook",
    "kueue-visibility",
    "object-store",
    "object-store-grpc",
    "object-store-master",
    "object-store-master-grpc",
    "object-store-volume",
    "object-store-volume-grpc",
    "object-store-filer",
    "object-store-filer-grpc",
    _ADMIN,
    _ADMIN_GRPC,
    "node",
)
_OBJECT_STORE_SECRETS = (
    "admin",
    "admin-ui",
    "filer-read",
    "filer-write",
    "volume-read",
    "volume-write",
)


@dataclass
class Settings:
    """What a cluster stores between starts."""

    gpus: int = DEFAULT_GPUS
    images: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    # Secrets of the object store: each identity's key (its name is its access key), and its own.
    secrets: dict[str, str] = field(default_factory=dict)
    # Group of manifests -> digest of what was last applied.
    applied: dict[str, str] = field(default_factory=dict)

    def ports_of(self, part: str) -> dict[str, int]:
        """Return the ports of a part, such as ``kueue-webhook`` of ``kueue``."""
        return {
            name: port
            for name, port in self.ports.items()
            if name == part or name.startswith(f"{part}-")
        }

    def forget_port(self, name: str) -> None:
        """Have another port chosen for this name."""
        self.ports.pop(_ADMIN if name == _ADMIN_GRPC else name, None)

    def complete(self) -> None:
        """Choose what is missing: ports, secrets, the default image."""
        for name in _PORTS:
            taken = set(self.ports.values())
            if name == _ADMIN_GRPC:
                self.ports[name] = self.ports[_ADMIN] + _ADMIN_OFFSET
            elif name not in self.ports:
                offset = _ADMIN_OFFSET if name == _ADMIN else 0
                self.ports[name] = choose_port(taken, offset)
        for name in (*_OBJECT_STORE_SECRETS, *NAMESPACES.values()):
            if name not in self.secrets:
                self.secrets[name] = secrets.token_urlsafe(30)
        self.images[LOCAL_IMAGE] = sys.prefix


@dataclass(frozen=True)
class StateFolder:
    """The paths of one cluster."""

    path: Path

    @property
    def certificates(self) -> Path:
        """The authorities, leaf certificates and keys."""
        return self.path / "certificates"

    @property
    def logs(self) -> Path:
        """The output of each part, and of its previous process."""
        return self.path / "logs"

    @property
    def records(self) -> Path:
        """The started processes: one file for each part."""
        return self.path / "parts"

    @property
    def programs(self) -> Path:
        """A folder for PATH that contains only kubectl."""
        return self.path / "bin"

    @property
    def kubectl_cache(self) -> Path:
        """The cache of kubectl for this API server; another cluster may later get its port."""
        return self.path / "kubectl-cache"

    @property
    def node(self) -> Path:
        """The node agent's own state: the pods' files and processes."""
        return self.path / "node"

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of ``admin``, ``user``, ``other`` or one of the parts."""
        return self.path / f"{user}.kubeconfig"

    def bucket(self, namespace: str) -> Path:
        """Return the folder with a namespace's bucket credentials."""
        return self.path / "bucket" / namespace

    def part(self, name: str) -> Path:
        """Return the working directory of a part, which also holds its configuration and data."""
        return self.path / name

    def create(self) -> None:
        """Create the folder, accessible only by its owner."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        for folder in (self.logs, self.records, self.programs, self.kubectl_cache):
            folder.mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def locked(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Lock out other commands on this cluster; call ``waiting`` once if it has to wait."""
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def _settings(self) -> Path:
        return self.path / "settings.json"

    @property
    def exists(self) -> bool:
        """Whether a cluster was ever started here."""
        return self._settings.is_file()

    def load_settings(self) -> Settings:
        """Return the stored settings, or the defaults if there are none yet.

        Raises:
            LocalClusterError: the file is damaged.
        """
        try:
            written = json.loads(self._settings.read_text())
            known = {item.name for item in fields(Settings)}
            # Another version may have stored settings that this one does not know.
            return Settings(**{name: value for name, value in written.items() if name in known})
        except FileNotFoundError:
            return Settings()
        except (ValueError, AttributeError) as error:
            raise LocalClusterError(
                f"{self._settings} is damaged ({error}). Delete this cluster with "
                f"`jupyter kueue local reset --dir {self.path}` and start a new one."
            ) from error

    def save_settings(self, settings: Settings) -> None:
        """Store the settings."""
        write_private(self._settings, json.dumps(asdict(settings), indent=2))


def find_state_folder(chosen: str | None = None) -> StateFolder:
    """Return the folder of the cluster that a command is about.

    ``chosen``, else ``$JUPYTER_KUEUE_LOCAL_DIR``, else ``kueue-local`` in Jupyter's own data folder
    (``jupyter --data-dir``).
    """
    path = chosen or os.environ.get("JUPYTER_KUEUE_LOCAL_DIR")
    if not path:
        from jupyter_core.paths import jupyter_data_dir  # noqa: PLC0415 - not needed otherwise

        path = str(Path(jupyter_data_dir()) / "kueue-local")
    return StateFolder(Path(path).expanduser().absolute())


def write_private(path: Path, content: str) -> None:
    """Replace a file atomically by one that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    temporary.replace(path)
