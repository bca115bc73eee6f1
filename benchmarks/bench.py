"""What every measurement uses: the cluster, a folder for its servers, and notebooks to run."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from servers import Ours, OursBehindScheduler, Stock

from jupyter_kueue_local.building import KUEUE_VERSION
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ONE_CELL = "one-cell.ipynb"


@dataclass(frozen=True)
class Bench:
    """A run of the benchmarks.

    Attributes:
        folder: for everything that is written.
        cluster: the environment variables of the local cluster.
        is_own_cluster: whether the cluster was started for this run and is deleted afterwards.
        quick: fewer repetitions and smaller numbers.
    """

    folder: Path
    cluster: Mapping[str, str]
    is_own_cluster: bool
    quick: bool

    def ours(self, name: str) -> Ours:
        """Return a server with jupyter-kueue, not started, with an owner that has no runs yet."""
        server = Ours(self.folder / f"ours-{name}", self.cluster, _new_owner(name))
        write_notebook(server.root, ONE_CELL, "print(1)")
        return server

    def ours_behind_scheduler(self, name: str, **settings: str) -> OursBehindScheduler:
        """Return the same with jupyter-scheduler, whose backend it is.

        ``settings`` are environment variables.
        """
        folder = self.folder / f"ours-{name}"
        server = OursBehindScheduler(folder, {**self.cluster, **settings}, _new_owner(name))
        write_notebook(server.root, ONE_CELL, "print(1)")
        return server

    def stock(self, name: str) -> Stock:
        """Return a server of stock jupyter-scheduler, not started, with an empty database."""
        server = Stock(self.folder / f"stock-{name}")
        write_notebook(server.root, ONE_CELL, "print(1)")
        return server

    @contextlib.contextmanager
    def cleaned(self, server: Ours) -> Iterator[Ours]:
        """Run a server with jupyter-kueue; delete its runs afterwards if the cluster is kept."""
        with server:
            try:
                yield server
            finally:
                if not self.is_own_cluster:
                    server.delete_all()


def _new_owner(name: str) -> str:
    return f"bench-{name}-{uuid.uuid4().hex[:8]}"


def write_held_notebook(path: Path, release: Path) -> None:
    """Write a notebook whose cell ends when the file ``release`` exists."""
    source = f"import pathlib, time\nwhile not pathlib.Path({str(release)!r}).exists():\n"
    write_notebook(path.parent, path.name, f"{source}    time.sleep(0.2)")


@contextlib.contextmanager
def started_cluster(chosen: str | None) -> Iterator[tuple[Path, dict[str, str], bool]]:
    """Yield a folder to work in, the cluster's environment, and whether it is this run's own.

    Without ``chosen``, the folder of a running local cluster, a new one is started, and deleted
    afterwards.
    """
    folder = Path(tempfile.mkdtemp(prefix="kueue-bench-"))
    cluster = Path(chosen) if chosen else folder / "cluster"
    try:
        if not chosen:
            print("Starting a local cluster for this run.", flush=True)
            _local("up", cluster, stdout=None)
        yield folder, read_environment(cluster), not chosen
    finally:
        if not chosen:
            _local("down", cluster, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def read_environment(cluster: Path) -> dict[str, str]:
    """Return the variables that `jupyter kueue local env` exports, except PATH."""
    exports = _local("env", cluster, stdout=subprocess.PIPE)
    found = {}
    for line in exports.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        if name != "PATH":
            found[name] = "".join(shlex.split(value))
    return found


def cluster_versions(server: Ours) -> str:
    """Return the versions of Kubernetes and Kueue of the local cluster."""
    health = server.call("GET", "jupyter-kueue/health")
    # A user of the local cluster may not read Kueue's own version, which is the one that is built.
    kueue = health["kueue"]["version"] or KUEUE_VERSION
    return f"Kubernetes {health['kubernetes']['version']}, Kueue {kueue}"


def _local(command: str, cluster: Path, stdout: int | None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_kueue.cli", "local", command, "--dir", str(cluster)],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
        stdout=stdout,
        text=True,
    )
    return done.stdout or ""
