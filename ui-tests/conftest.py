"""Real JupyterLab servers and a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from conftest import new_namespace
from jupyter_kueue_local.ports import listens
from tests.support.polling import until
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from conftest import LocalCluster, Namespace

TOKEN = "browser-test"
# Patience, in seconds: never waited for in full unless something is broken.
PATIENCE = 120.0
# The browser's own services have nothing to do here, and no sandbox works as root.
BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What JupyterLab would ask the network or the user at its first start.
QUIET = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    }
}


@dataclass(frozen=True)
class Lab:
    port: int
    root: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def page_url(self, path: str = "") -> str:
        """Return where the browser finds JupyterLab, or a file opened in it; logs in as well.

        A workspace of its own: what an earlier page left open is not opened again.
        """
        workspace = f"{self.url}lab/workspaces/{uuid.uuid4().hex[:8]}"
        return f"{workspace}{f'/tree/{path}' if path else ''}?token={TOKEN}"

    def rest_url(self, path: str) -> str:
        return f"{self.url}{path[1:] if path.startswith('/') else f'jupyter-kueue/{path}'}"

    def fetch(self, method: str, path: str, body: Any = None) -> bytes:
        """Send a request below ``jupyter-kueue/``, or below the server's root after a slash.

        An error fails the test with what it says.
        """
        request = urllib.request.Request(
            self.rest_url(path),
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {TOKEN}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            pytest.fail(f"{method} {path}: {error.code} {error.read().decode()}")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self.fetch(method, path, body))

    def stop(self) -> None:
        """End the server, as a restart does."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            # A request that came while Jupyter's loop ended leaves an AnyIO thread behind, which
            # the interpreter waits for. tests/server shows that our extension holds nothing up.
            self.process.kill()
            self.process.wait()

    def run_to_end(self, request: dict[str, Any]) -> Any:
        """Submit a run and return it once it has ended."""
        run_id = self.call("POST", "runs", request)["run_id"]
        return until(
            lambda: self.call("GET", f"runs/{run_id}"),
            holds=lambda run: run["finished_at"] is not None,
        )

    def wait_until_stored(self, page: Page, widget: str) -> None:
        """Wait until Lab has stored that a widget is in front, else a reload may not show it.

        Lab does so about a second later, and not again if the server does not answer then.
        """
        workspace = page.url.partition("/workspaces/")[2].partition("?")[0].partition("/")[0]

        def fronts() -> list[Any]:
            stored = self.call("GET", f"/lab/api/workspaces/{workspace}")["data"]
            layout = stored.get("layout-restorer:data", {})
            return [layout.get(area, {}).get("current") for area in ("main", "left")]

        until(fronts, f"{widget} is in front", holds=lambda found: widget in found)

    def clear(self) -> None:
        """Delete all runs, schedules, kernels and files, for the next test."""
        for session in self.call("GET", "/api/sessions"):
            self.fetch("DELETE", f"/api/sessions/{session['id']}")
        schedules = self.call("GET", "schedules?limit=500")["items"]
        for schedule in schedules:
            self.fetch("DELETE", f"schedules/{schedule['schedule_id']}")
        if runs := self.call("GET", "runs?limit=500")["items"]:
            named = "&".join(f"run_id={run['run_id']}" for run in runs)
            assert self.call("DELETE", f"runs?{named}")["failures"] == []
        for path in self.root.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """Debian's Chromium; the one that Playwright would download is never used.

    It ends with its module: Playwright keeps an event loop running in this thread, beside which no
    asynchronous test can run. Pages share a profile, so that JupyterLab is compiled once.
    """
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is missing: run scripts/install-browser, or apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        # As big as a small laptop's screen.
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE * 1000)
        yield context
        context.close()
        chromium.close()


@pytest.fixture
def page(browser: BrowserContext, start_lab: Callable[..., Lab]) -> Iterator[Page]:
    """A page that is closed before the test's server is ended, and asks for nothing then."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def lab_namespace(
    local_cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Namespace]:
    """The namespace of ``shared_lab``, whose two teams share four GPUs."""
    with new_namespace(local_cluster, tmp_path_factory.mktemp("namespace")) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def module_lab(lab_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with running_lab(folder, lab_namespace.env) as lab:
        yield lab


@pytest.fixture
def shared_lab(module_lab: Lab) -> Iterator[Lab]:
    """JupyterLab on the local cluster, empty; started once for the tests of a module."""
    yield module_lab
    module_lab.clear()


@pytest.fixture
def start_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Starts JupyterLab, with no configuration of ours, in an environment that is given.

    ``port`` is that of a server that was stopped, to start it again; ``options`` are Lab's own.
    """
    with contextlib.ExitStack() as stack:

        def start(environment: Mapping[str, str], *options: str, port: int | None = None) -> Lab:
            running = running_lab(tmp_path / "lab", environment, *options, port=port)
            return stack.enter_context(running)

        yield start


@contextlib.contextmanager
def running_lab(
    folder: Path, environment: Mapping[str, str], *options: str, port: int | None = None
) -> Iterator[Lab]:
    """Run JupyterLab with its files in ``folder``; ``start_lab`` says the rest."""
    port = port or free_port()
    root, settings = folder / "root", folder / "lab-settings"
    for part in (root, settings, folder / "home"):
        part.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(QUIET))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KUBECONFIG", "JUPYTERHUB_USER", "KUBERNETES_SERVICE_HOST")
        and not name.startswith("JUPYTER_KUEUE_")
    }
    log = folder / "lab.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
                "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}",
                f"--LabApp.app_settings_dir={settings}",
                "--LabApp.extension_manager=readonly", *options,
            ],
            env={
                **inherited,
                "HOME": str(folder / "home"),
                "JUPYTER_CONFIG_DIR": str(folder / "config"),
                "JUPYTER_DATA_DIR": str(folder / "data"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "JUPYTER_TOKEN": TOKEN,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    lab = Lab(port, root, log, server)
    try:
        _wait_until_it_answers(lab, server)
        yield lab
    finally:
        lab.stop()


def _wait_until_it_answers(lab: Lab, server: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        if server.poll() is not None:
            pytest.fail(f"JupyterLab did not start:\n{lab.log.read_text()[-4000:]}")
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{lab.url}api/status?token={TOKEN}", timeout=10),
        ):
            # Else a stranger answers, which was quicker to take the port.
            return listens(server.pid, lab.port)
        return False

    until(answers, f"JupyterLab answers; {lab.log} says why not")
