"""The servers that are compared, each a process of its own, with the same interface.

Ours has jupyter-kueue and not jupyter-scheduler, stock the other way round; ours behind
jupyter-scheduler has both. Otherwise they are equal: the same Python environment, the same other
extensions. They are started, queried, stopped and killed here; nothing here measures. Only
processes that were started here are ended, by their pid.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Self

import psutil

from jupyter_kueue_local.ports import choose_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Json = dict[str, Any]

WAITING, RUNNING, SUCCEEDED, FAILED = "waiting", "running", "succeeded", "failed"
BEGUN = frozenset({RUNNING, SUCCEEDED, FAILED})
FINISHED = frozenset({SUCCEEDED, FAILED})

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 300
STOP_SECONDS = 15
# The caller's settings that the servers must not see.
HIDDEN_PREFIXES = ("JUPYTER_", "KUBE", "PYTEST")
SMALL = {"cpu": "100m", "memory": "512Mi"}
SUBMITS_AT_ONCE = 8


class Server:
    """A Jupyter server with one of the two extensions, or both; ``with`` starts and ends it."""

    name: str
    extensions: Mapping[str, bool]
    jobs_path: str

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.root = folder / "root"
        # The same at each start, and known in advance.
        self.port = choose_port(set())
        self._folder = folder
        self._token = secrets.token_hex(16)
        self._environment = dict(environment)
        self._connection: http.client.HTTPConnection | None = None
        for part in ("root", "home", "config", "data", "runtime"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and return when the extension lists its runs."""
        self._connection = None
        with (self._folder / "server.log").open("ab") as log:
            self.process = psutil.Popen(
                [
                    sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root",
                    "--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={self.root}",
                    f"--ServerApp.jpserver_extensions={self.extensions}",
                ],
                cwd=self.root,
                env=self._process_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_until(f"{self.name} answers", self._answers)

    def stop(self) -> None:
        """Stop the server, and its descendants if any still exist."""
        if not hasattr(self, "process"):
            return
        tree = self.tree()
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.terminate()
        _, left = psutil.wait_procs(tree, STOP_SECONDS)
        kill(left)

    def kill_tree(self) -> None:
        """Kill -9 the server and all its descendants, like a lost machine."""
        kill(self.tree())

    def tree(self) -> list[psutil.Process]:
        """Return the server's process and those below it."""
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """Send a request over a persistent connection and return the JSON answer."""
        connection = self._connection or self.connect()
        self._connection = None  # a broken one is not reused
        answer = self._send(connection, method, path, body)
        self._connection = connection
        return answer

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Json | None
    ) -> Any:
        data = None if body is None else json.dumps(body)
        headers = {**self.headers, "Content-Type": "application/json"}
        connection.request(method, f"/{path}", data, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{self.name}: {method} {path}: {answer.status} {content.decode()}")
        return json.loads(content) if content else None

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection to the server."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that authenticate a request."""
        return {"Authorization": f"token {self._token}"}

    def submit(self, notebook: str) -> str:
        """Create a run for a notebook of the root and return its id."""
        raise NotImplementedError

    def states(self) -> dict[str, str]:
        """Return the state of every run by id, in this module's terms."""
        raise NotImplementedError

    def state(self, run_id: str) -> str:
        """Return the state of one run."""
        raise NotImplementedError

    def wait_for(self, run_ids: Iterable[str], states: frozenset[str]) -> None:
        """Return once every run is in one of the states."""
        wanted = set(run_ids)

        def are_there() -> bool:
            now = self.states()
            return all(now.get(run_id) in states for run_id in wanted)

        wait_until(f"{self.name}: {len(wanted)} runs are {' or '.join(sorted(states))}", are_there)

    def finish(self, notebook: str) -> tuple[str, float]:
        """Run a notebook; return its run id and the seconds from the request to its end."""
        started = time.monotonic()
        run_id = self.submit(notebook)
        wait_until(f"{self.name} finishes", lambda: self.state(run_id) in FINISHED)
        took = time.monotonic() - started
        if self.state(run_id) != SUCCEEDED:
            raise RuntimeError(f"{self.name}: {run_id} failed: {self.call('GET', self.at(run_id))}")
        return run_id, took

    def at(self, run_id: str) -> str:
        """Return the path of a run."""
        return f"{self.jobs_path}/{run_id}"

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            log = (self._folder / "server.log").read_text()[-3000:]
            raise RuntimeError(f"{self.name} did not start:\n{log}")
        with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
            self.states()
            return True
        return False

    def _process_environment(self) -> dict[str, str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(HIDDEN_PREFIXES)
        }
        return {
            **inherited,
            "HOME": str(self._folder / "home"),
            "JUPYTER_TOKEN": self._token,
            "JUPYTER_CONFIG_DIR": str(self._folder / "config"),
            "JUPYTER_DATA_DIR": str(self._folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self._folder / "runtime"),
            **self._environment,
        }


class Ours(Server):
    """A server with jupyter-kueue, on the local cluster in ``environment``."""

    name = "ours"
    extensions: ClassVar = {"jupyter_kueue": True, "jupyter_scheduler": False}
    jobs_path = "jupyter-kueue/runs"

    def __init__(self, folder: Path, environment: Mapping[str, str], owner: str) -> None:
        super().__init__(folder, {**environment, "JUPYTER_KUEUE_OWNER": owner})
        self.owner = owner
        # When each submit was answered, in seconds since the epoch.
        self.submitted: dict[str, float] = {}

    def submit(self, notebook: str, **fields: Any) -> str:
        run_id: str = self.call("POST", self.jobs_path, _asked(notebook, fields))["run_id"]
        self.submitted[run_id] = time.time()
        return run_id

    def submit_many(self, notebook: str, count: int, **fields: Any) -> list[str]:
        """Create many runs, several at a time, and return their ids."""
        body = _asked(notebook, fields)

        def submit_some(number: int) -> list[str]:
            connection = self.connect()
            with contextlib.closing(connection):
                return [
                    self._send(connection, "POST", self.jobs_path, body)["run_id"]
                    for _ in range(number, count, SUBMITS_AT_ONCE)
                ]

        with ThreadPoolExecutor(SUBMITS_AT_ONCE) as threads:
            parts = threads.map(submit_some, range(SUBMITS_AT_ONCE))
            return [run_id for part in parts for run_id in part]

    def state(self, run_id: str) -> str:
        return state_of_ours(self.call("GET", self.at(run_id))["state"])

    def states(self) -> dict[str, str]:
        rows = self.call("GET", f"{self.jobs_path}?limit=500")["items"]
        return {row["run_id"]: state_of_ours(row["state"]) for row in rows}

    def delete_all(self, state: str | None = None) -> None:
        """Delete the owner's runs, or those in one state, to leave the cluster as it was."""
        only = "" if state is None else f"&state={state}"
        while rows := self.call("GET", f"{self.jobs_path}?limit=100{only}")["items"]:
            ids = urllib.parse.urlencode([("run_id", row["run_id"]) for row in rows])
            self.call("DELETE", f"{self.jobs_path}?{ids}")


class OursBehindScheduler(Ours):
    """The same with jupyter-scheduler, whose routes return our runs."""

    name = "ours behind jupyter-scheduler"
    extensions: ClassVar = {"jupyter_kueue": True, "jupyter_scheduler": True}


class Stock(Server):
    """A server with an unmodified jupyter-scheduler and its database in the server's own folder."""

    name = "stock"
    extensions: ClassVar = {"jupyter_kueue": False, "jupyter_scheduler": True}
    jobs_path = "scheduler/jobs"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"JUPYTER_KUEUE_SCHEDULER_BACKEND": "false"})
        self.database = f"sqlite:///{folder / 'data' / 'scheduler.sqlite'}"

    @functools.cached_property
    def runtime_environment(self) -> str:
        """The only environment's name."""
        name: str = self.call("GET", "scheduler/runtime_environments")[0]["name"]
        return name

    def start(self) -> None:
        super().start()
        self.runtime_environment  # noqa: B018 - asked for now, so that no submit has to wait for it

    def submit(self, notebook: str) -> str:
        body = {
            "name": notebook,
            "input_uri": notebook,
            "runtime_environment_name": self.runtime_environment,
            "output_formats": ["ipynb"],
        }
        run_id: str = self.call("POST", self.jobs_path, body)["run_id"]
        return run_id

    def state(self, run_id: str) -> str:
        return state_of_stock(self.call("GET", self.at(run_id)))

    def states(self) -> dict[str, str]:
        runs = self.call("GET", f"{self.jobs_path}?max_items=500")["runs"]
        return {run["run_id"]: state_of_stock(run) for run in runs}


def _asked(notebook: str, fields: Json) -> Json:
    return {"input_path": notebook, "local_queue": "team-a", "resources": SMALL, **fields}


def state_of_ours(state: str) -> str:
    """Return a state of ours in this module's terms."""
    known = {"queued": WAITING, "starting": WAITING, "running": RUNNING, "succeeded": SUCCEEDED}
    return known.get(state, FAILED)


def state_of_stock(run: Json) -> str:
    """Return the state of a run of stock's in this module's terms."""
    # A run is STOPPED until its process is up; nothing is ever stopped here.
    known = {
        "CREATED": WAITING,
        "QUEUED": WAITING,
        "STOPPED": WAITING,
        "IN_PROGRESS": RUNNING,
        "COMPLETED": SUCCEEDED,
    }
    return known.get(run["status"], FAILED)


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, STOP_SECONDS)


def wait_until(
    what: str,
    holds: Callable[[], bool],
    patience: float = PATIENCE_SECONDS,
    pause: float = LOOK_SECONDS,
) -> None:
    """Return once ``holds()`` is true; check ten times a second, for both servers alike.

    ``pause`` in seconds is for checks that are themselves expensive.

    Raises:
        TimeoutError: it is not true after ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {patience:.0f} s still not so: {what}")
        time.sleep(pause)
