"""The main run from start to end, through REST, on a real local Kueue: `make demo`.

Starts the local cluster and a JupyterLab server on it, fills a team's quota, submits a notebook
that has to wait, makes room, watches it run cell by cell and downloads what it wrote.
Reads like a client of the REST interface should: nothing of the package is imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parent
PATIENCE_SECONDS = 180
LOOK_SECONDS = 0.2

Json = dict[str, Any]


class Client:
    """A few lines of HTTP around the REST interface."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send a request and return the JSON answer; an error shows the server's sentence."""
        return json.loads(self.read(method, path, body) or b"{}")

    def read(self, method: str, path: str, body: Json | None = None) -> bytes:
        """Send a request and return the bytes that came."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server on loopback
            f"{self.url}jupyter-kueue/{path}", data, self._headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path} failed: {error.code} {error.read().decode()}")


def say(text: str = "") -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201 - a demo prints


def main() -> None:
    """Run the demo; ends with an error if anything is not as it should be."""
    with local_cluster() as environment, lab_server(environment) as client:
        health = client.call("GET", "health")
        say(f"Kubernetes {health['kubernetes']['version']}, Kueue {health['kueue']['version']}")
        for queue in client.call("GET", "local-queues")["items"]:
            gpus = queue["resources"]["nvidia.com/gpu"]
            say(
                f"  {queue['name']}: {gpus['used']:g} of its {gpus['nominal']:g} GPUs in use, "
                f"{gpus['limit']:g} at most with borrowing"
            )
        say("\n1. A colleague's training takes all 4 GPUs: 2 of team-a, 2 borrowed from team-b.")
        blocker = client.call(
            "POST",
            "runs",
            {
                "input_path": "long-training.ipynb",
                "local_queue": "team-a",
                "resources": {"cpu": "1", "memory": "1Gi", "gpus": 4},
            },
        )
        wait_until(client, blocker, lambda run: run["state"] == "running")
        say("\n2. You submit a report with a plot, a data file and parameters.")
        report = client.call(
            "POST",
            "runs",
            {
                "input_path": "report/weekly-report.ipynb",
                "local_queue": "team-a",
                "resources": {"cpu": "1", "memory": "1Gi", "gpus": 1},
                "include_folder": True,
                "parameters": {"region": "north", "weeks": 8},
                "output_formats": ["ipynb", "html"],
            },
        )
        wait_until(client, report, lambda run: run["position"] is not None)
        say("\n3. The training is stopped. Its quota is free, and your run is next.")
        client.call("POST", f"runs/{blocker['run_id']}/stop")
        done = wait_until(client, report, lambda run: run["finished_at"] is not None)
        if done["state"] != "succeeded":
            sys.exit(f"The report {done['state']}: {done['message']}")
        say("\n4. Its outputs, downloaded:")
        download(client, done)
        client.call("DELETE", f"runs/{blocker['run_id']}")
    say(
        "\nDone. `make lab` opens JupyterLab with the panel, on a local cluster that stays. The "
        "first time it builds the panel, about a minute. The report is still in the panel's list, "
        "for you to look at; to delete it, right-click it and choose Delete."
    )


@contextlib.contextmanager
def local_cluster() -> Iterator[dict[str, str]]:
    """Start the local cluster, unless it runs, and leave it as it was found."""
    status = subprocess.run(
        ["jupyter", "kueue", "local", "status"], check=False, stdout=subprocess.DEVNULL
    )
    subprocess.run(["jupyter", "kueue", "local", "up"], check=True)
    try:
        exports = subprocess.run(
            ["jupyter", "kueue", "local", "env"], check=True, capture_output=True, text=True
        ).stdout
        yield {**os.environ, **read_exports(exports)}
    finally:
        if status.returncode != 0:
            subprocess.run(["jupyter", "kueue", "local", "down"], check=True)


def read_exports(text: str) -> dict[str, str]:
    """Read the `export NAME=value` lines that a shell would evaluate."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        found[name] = os.path.expandvars("".join(shlex.split(value)))
    return found


@contextlib.contextmanager
def lab_server(environment: dict[str, str]) -> Iterator[Client]:
    """Start JupyterLab on a free port with the examples as its root, and end it after use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [
                "jupyter", "lab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--allow-root",
                f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={EXAMPLES}",
            ],
            env={**environment, "JUPYTER_TOKEN": token},
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            client = Client(f"http://127.0.0.1:{port}/", token)
            say(f"JupyterLab starts on {client.url}")
            wait_for_server(client, server)
            yield client
        except BaseException:
            log.seek(0)
            say(log.read()[-4000:])
            raise
        finally:
            server.terminate()
            server.wait(30)


def wait_for_server(client: Client, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            client.read("GET", "health")
            return
        time.sleep(LOOK_SECONDS)
    sys.exit("JupyterLab did not start; its log is above.")


def wait_until(client: Client, run: Json, is_there: Any) -> Json:
    """Print what changes about a run until ``is_there`` holds for it; return it."""
    started = time.monotonic()
    shown = None
    while time.monotonic() - started < PATIENCE_SECONDS:
        run = client.call("GET", f"runs/{run['run_id']}")
        line = describe(run)
        if line != shown:
            say(f"  {time.monotonic() - started:5.1f} s  {line}")
            shown = line
        if is_there(run):
            return run
        time.sleep(LOOK_SECONDS)
    sys.exit(f"Still {run['state']} after {PATIENCE_SECONDS} s: {run['message']}")


def describe(run: Json) -> str:
    """Return one line about where a run stands."""
    line = f"{run['name']}: {run['state']}"
    if run["position"] is not None:
        ahead = run["position"]["local_queue"]
        line += f", {'next' if ahead == 0 else f'{ahead} ahead'} in {run['local_queue']}"
    progress = run["progress"]
    if run["state"] == "running" and progress and progress["cells"]:
        line += f", {progress['cells_done']} of {progress['cells']} cells done"
    says_more = run["message"] and run["message"] != f"{run['state'].capitalize()}."
    return f"{line}. {run['message']}" if says_more else line


def download(client: Client, run: Json) -> None:
    """Save a run's outputs into a folder and list them."""
    folder = Path(tempfile.mkdtemp(prefix="jupyter-kueue-demo-"))
    for file in run["files"]:
        path = folder / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.read("GET", f"runs/{run['run_id']}/files/{file['path']}"))
        if path.stat().st_size != file["size_bytes"]:
            sys.exit(f"{path} has {path.stat().st_size} bytes instead of {file['size_bytes']}")
        say(f"  {path}  {file['size_bytes']} bytes, {file['role']}")


if __name__ == "__main__":
    main()
