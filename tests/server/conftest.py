"""Real Jupyter servers with the extension, each a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue_local.ports import listens
from tests.support.polling import until
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TOKEN = "test-token"
SIZE = {"cpu": "100m", "memory": "512Mi"}
# Variables of the machine that the servers of these tests must not see.
HIDDEN = ("KUBECONFIG", "JUPYTERHUB_USER", "KUBERNETES_SERVICE_HOST")
ONLY_OURS = {"jupyter_kueue": True}
# An authorizer that refuses the resource that a request's header names.
REFUSED = "X-Refused-Resource"
AUTHORIZER = f"""
from jupyter_server.auth import Authorizer
class Refuse(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != handler.request.headers.get("{REFUSED}")
c.ServerApp.authorizer_class = Refuse
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    root: Path
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": f"token {TOKEN}"})

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        authenticated: bool = True,
        timeout_seconds: float = 60,
    ) -> Answer:
        """Send a request below ``/jupyter-kueue/`` (or to an absolute path)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        sent = {**(self.headers if authenticated else {}), **(headers or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(connection):
            connection.request(method, self.path(path), data, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    @contextlib.contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Open an answer that goes on; the connection is closed at the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", self.path(path), headers={**self.headers, **(headers or {})})
            yield connection.getresponse()

    @staticmethod
    def path(path: str) -> str:
        return path if path.startswith("/") else f"/jupyter-kueue/{path}"


@contextlib.contextmanager
def running_server(
    folder: Path,
    environment: Mapping[str, str],
    config: str = "",
    extensions: Mapping[str, bool] = ONLY_OURS,
    started_by: Sequence[str] = (),
) -> Iterator[Server]:
    """Run a Jupyter server with its files below ``folder``.

    ``started_by`` is a command that becomes what comes after it.
    """
    root = folder / "root"
    for part in (root, folder / "config", folder / "home"):
        part.mkdir(parents=True, exist_ok=True)
    (folder / "config" / "jupyter_server_config.py").write_text(config)
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in HIDDEN and not key.startswith("JUPYTER_KUEUE_")
    }
    port = free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *started_by,
                sys.executable,
                "-m",
                "jupyter_server",
                "--ip=127.0.0.1",
                f"--port={port}",
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={TOKEN}",
                f"--ServerApp.root_dir={root}",
                f"--ServerApp.jpserver_extensions={dict(extensions)}",
                "--ServerApp.allow_unauthenticated_access=False",
                "--no-browser",
                "--allow-root",
            ],
            env={
                **inherited,
                "HOME": str(folder / "home"),
                "JUPYTER_CONFIG_DIR": str(folder / "config"),
                "JUPYTER_DATA_DIR": str(folder / "data"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                **environment,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    server = Server(port, process, log, root)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"The server did not stop: {log.read_text()[-2000:]}")


def _wait_until_it_answers(server: Server, path: str = "/api/status") -> None:
    def answers() -> bool:
        if server.process.poll() is not None:
            pytest.fail(f"The server did not start: {server.log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            # Else a stranger answers, which was quicker to take the port.
            is_ours = listens(server.process.pid, server.port)
            return is_ours and server.request("GET", path).status == 200
        return False

    until(answers, f"{path} answers; {server.log} says why not")


@contextlib.contextmanager
def connected_server(folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Run a Jupyter server and wait until it has its cluster, its bucket and its runs."""
    with running_server(folder, environment) as server:
        _wait_until_it_answers(server, "runs")
        yield server


def submit(server: Server, path: str, **fields: Any) -> Answer:
    body = {"input_path": path, "local_queue": "team-a", "resources": SIZE, **fields}
    return server.request("POST", "runs", body)


def until_run(server: Server, run_id: str, is_there: Callable[[Any], bool]) -> Any:
    """Return a run once ``is_there`` holds for it."""
    return until(lambda: server.request("GET", f"runs/{run_id}").json, holds=is_there)


def ended(run: Any) -> bool:
    return run["state"] in ("succeeded", "failed", "stopped")


def next_event(response: Any) -> dict[str, str]:
    """Return the next server-sent event as its fields, passing over comments."""
    event: dict[str, str] = {}
    while True:
        line = response.readline().decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if not line and "data" in event:
            return event
        if line and not line.startswith(":"):
            event[name] = value


@pytest.fixture(scope="session")
def unconnected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that finds no cluster and no bucket."""
    folder = tmp_path_factory.mktemp("unconnected")
    environment = {"KUBECONFIG": str(folder / "none"), "JUPYTER_KUEUE_BUCKET": f"file://{folder}"}
    with running_server(folder, environment, AUTHORIZER) as server:
        yield server
