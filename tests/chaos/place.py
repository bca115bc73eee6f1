"""Two servers of one owner on a cluster of their own, with a proxy on each way between them."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conftest import cluster_in, new_namespace, run_cli
from jupyter_kueue_local import processes
from jupyter_kueue_local.lifecycle import PART_NAMES
from tests.server.conftest import Server, running_server
from tests.support import proxy as proxies
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import LocalCluster, Namespace

    from .history import History

OWNER = "chaos"
SERVERS = ("north", "south")
# Nothing that a server puts off may take longer than the pause before a check.
SETTINGS = {
    "JUPYTER_KUEUE_FINISHED_JOB_SECONDS": "10",
    "JUPYTER_KUEUE_LEFTOVER_SECONDS": "60",
    "JUPYTER_KUEUE_RESYNC_SECONDS": "5",
    "JUPYTER_KUEUE_START_TIMEOUT_SECONDS": "20",
    "JUPYTER_KUEUE_GRACE_PERIOD_SECONDS": "10",
    "JUPYTER_KUEUE_ENVIRONMENTS": json.dumps(
        {
            "local": {"image": "jupyter-kueue/local:latest", "default": True},
            "absent": {"image": "no-such-image:1"},
        }
    ),
}


@dataclass
class Site:
    """A server's place: its folder, its ways, and the server while it is up."""

    name: str
    folder: Path
    environment: dict[str, str]
    cluster: proxies.Proxy
    bucket: proxies.Proxy
    server: Server | None = None
    starts: int = 0
    running: contextlib.ExitStack | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Place:
    """Everything that faults are done to; ``heal`` makes it whole."""

    def __init__(self, cluster: LocalCluster, namespace: Namespace, history: History) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.history = history
        self.folder = namespace.bucket_dir.parent
        self.counts = self.folder / "counts"
        self.counts.mkdir()
        # What pods reach the bucket through: they get its address from the Secret.
        folder = self.folder / "pods"
        folder.mkdir()
        self.pods_bucket, _ = proxies.to_bucket(namespace.bucket_dir, folder)
        endpoint = base64.b64encode(self.pods_bucket.url.encode()).decode()
        cluster.kubectl(
            *("patch", "secret", "jupyter-kueue-bucket", "-n", namespace.name, "--type=merge"),
            *("-p", json.dumps({"data": {"endpoint": endpoint}})),
        )
        self.sites = [self._site(name) for name in SERVERS]
        self.cli_lock = threading.Lock()

    def _site(self, name: str) -> Site:
        folder = self.folder / name
        folder.mkdir()
        cluster, kubeconfig = proxies.to_api_server(self.namespace.user_kubeconfig, folder)
        bucket, bucket_dir = proxies.to_bucket(self.namespace.bucket_dir, folder)
        environment = {
            **self.namespace.env,
            **SETTINGS,
            "JUPYTERHUB_USER": OWNER,
            "KUBECONFIG": str(kubeconfig),
            "JUPYTER_KUEUE_BUCKET": str(bucket_dir),
            "JUPYTER_KUEUE_NAMESPACE": self.namespace.name,
        }
        return Site(name, folder, environment, cluster, bucket)

    @property
    def proxies(self) -> list[proxies.Proxy]:
        """All ways."""
        own = [proxy for site in self.sites for proxy in (site.cluster, site.bucket)]
        return [*own, self.pods_bucket]

    def start(self, site: Site) -> None:
        """Start a server that is down; what the one before it wrote stays beside its log."""
        with site.lock:
            if site.server is None:
                self._start(site)

    def _start(self, site: Site) -> None:
        site.starts += 1
        log = site.folder / "server.log"
        if log.exists():
            log.replace(site.folder / f"server.{site.starts - 1}.log")
        stack = contextlib.ExitStack()
        site.server = stack.enter_context(running_server(site.folder, site.environment))
        site.running = stack

    def kill(self, site: Site) -> None:
        """End a server as a crash does."""
        with site.lock:
            server, stack = site.server, site.running
            if server is None or stack is None:
                return
            site.server = site.running = None
            server.process.send_signal(signal.SIGCONT)
            server.process.kill()
            server.process.wait()
            stack.close()

    def part(self, name: str) -> processes.Process | None:
        """Return the process of a part of the cluster."""
        found = processes.load(self.cluster.dir / "parts" / name)
        return found if found is not None and found.alive else None

    def local(self, command: str) -> bool:
        """Run ``jupyter kueue local`` ``up`` or ``down``; return whether it worked.

        ``up`` may fail while other faults go on: it says which part ended under its hands.
        """
        with self.cli_lock:
            done = run_cli("local", command, "--dir", str(self.cluster.dir), check=False)
        if done.returncode != 0:
            self.history.note(f"local {command} failed: {done.stderr[:300]}")
        return done.returncode == 0

    def heal(self) -> None:
        """Undo whatever faults left behind."""
        for part in PART_NAMES:
            if (process := self.part(part)) is not None:
                process.signal(signal.SIGCONT)
        for process, _ in processes.find_marked(self.cluster.dir, self.cluster.dir / "node"):
            process.signal(signal.SIGCONT)
        for proxy in self.proxies:
            proxy.refuse = lambda _verb, _path: None
            proxy.lose = lambda _verb, _path, _status: False
            proxy.answers.set()
            if not proxy.is_up:
                proxy.up()
        if not self.local("up"):
            self.history.complain("local up did not repair it", "cluster")
        for site in self.sites:
            if site.server is not None:
                site.server.process.send_signal(signal.SIGCONT)
            self.start(site)

    def write_notebook(self, path: str, cells: list[str], beside: dict[str, str]) -> None:
        """Write a notebook, and files beside it, for both servers."""
        for site in self.sites:
            root = site.folder / "root"
            write_notebook(root, path, *cells)
            for name, text in beside.items():
                (root / path).with_name(name).write_text(text)


@contextlib.contextmanager
def opened(folder: Path, history: History) -> Iterator[Place]:
    """Start the cluster in ``folder`` and both servers; everything is ended after that."""
    run_cli("local", "up", "--dir", str(folder / "cluster"))
    try:
        with (
            contextlib.closing(cluster_in(folder / "cluster")) as cluster,
            new_namespace(cluster, folder / "work") as namespace,
        ):
            place = Place(cluster, namespace, history)
            try:
                for site in place.sites:
                    place.start(site)
                yield place
            finally:
                for site in place.sites:
                    place.kill(site)
    finally:
        run_cli("local", "down", "--dir", str(folder / "cluster"))
