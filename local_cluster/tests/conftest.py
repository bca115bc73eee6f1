"""A second cluster, for tests that kill its parts; its folder has an awkward name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from obstore.store import S3Store, from_url

from jupyter_kueue_local import processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class HarmedCluster:
    """A cluster that a test may break, controlled by its command line."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "jupyter_kueue.cli",
            "local",
            *arguments[:1],
            "--dir",
            str(self.folder),
            *arguments[1:],
        ]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = self._kubectl(arguments, stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_kubectl(self, *arguments: str, stdin: str | None = None) -> bool:
        """Return whether kubectl succeeded."""
        return self._kubectl(arguments, stdin).returncode == 0

    def _kubectl(
        self, arguments: tuple[str, ...], stdin: str | None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.folder / "bin" / "kubectl"), *arguments],
            env={**os.environ, "KUBECONFIG": str(self.folder / "admin.kubeconfig")},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def keep_something(self) -> None:
        """Create an object in the cluster and one in the bucket that must survive all harm."""
        self.kubectl("create", "configmap", "kept", "--from-literal=a=1")
        obstore.put(self.bucket(), "kept", b"kept")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json", check=False).stdout)
        return found

    def pids(self) -> dict[str, int | None]:
        return {part["name"]: part["pid"] for part in self.status()["parts"]}

    def recorded(self, part: str) -> processes.Process:
        found = processes.load(self.folder / "parts" / part)
        assert found is not None
        return found

    def bucket(self, namespace: str = "default") -> S3Store:
        return open_bucket(self.folder / "bucket" / namespace)


def open_bucket(folder: Path) -> S3Store:
    """Open the bucket of a credentials folder, with obstore alone."""
    settings = {file.name: file.read_text() for file in folder.iterdir()}
    allow_http = settings.pop("allow_http") == "true"
    store = from_url(
        settings.pop("url"),
        client_options={"allow_http": allow_http},
        retry_config={"max_retries": 0},
        **settings,
    )
    assert isinstance(store, S3Store)
    return store


@pytest.fixture(scope="session")
def _harmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HarmedCluster]:
    cluster = HarmedCluster(tmp_path_factory.mktemp("harmed") / "it's a, cluster")
    cluster.run("up", "--gpus", "2")
    cluster.keep_something()
    try:
        yield cluster
    finally:
        cluster.run("down")


@pytest.fixture
def harmed_cluster(_harmed: HarmedCluster) -> HarmedCluster:
    """The cluster that may be broken, repaired and with something to lose."""
    _harmed.run("up")
    return _harmed
