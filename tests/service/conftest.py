"""Applications on the real cluster, as a server runs them, in a namespace of the test's own."""

from __future__ import annotations

import datetime as dt
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from traitlets.config import Config

from jupyter_kueue import config
from jupyter_kueue.domain.run_request import parse_run_request
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.service.application import Application
from tests.support import notebooks
from tests.support import proxy as proxies
from tests.support.polling import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from jupyter_kueue.service.runs.runs import Runs

Json = dict[str, Any]


class Session:
    """One application and what a user does with it."""

    def __init__(self, application: Application, runs: Runs) -> None:
        self.application = application
        self.runs = runs

    async def submit(self, input_path: str, **request: Any) -> Json:
        """Submit and return the run."""
        body = {
            "input_path": input_path,
            "local_queue": "team-a",
            "resources": {"cpu": "100m", "memory": "512Mi"},
            **request,
        }
        run, _ = await self.runs.submit(parse_run_request(body))
        return run

    async def until(self, run_id: str, is_there: Callable[[Json], bool]) -> Json:
        """Return the run once ``is_there`` holds for it; a run that ends first is a failure."""

        async def look() -> Json:
            run = await self.runs.get(run_id)
            if run["state"] in FINISHED_STATES and not is_there(run):
                pytest.fail(f"the run never got there: {json.dumps(_shown(run), indent=1)}")
            return run

        run: Json = await eventually(look, run_id, holds=is_there)
        return run

    async def until_state(self, run_id: str, *states: str) -> Json:
        """Return the run once it is in one of ``states``."""
        return await self.until(run_id, lambda run: run["state"] in states)

    async def until_finished(self, run_id: str) -> Json:
        """Return the run once it has ended, however."""
        return await self.until(run_id, lambda run: run["state"] in FINISHED_STATES)


def _shown(run: Json) -> Json:
    return {key: run.get(key) for key in ("state", "reason", "message", "detail", "attempts")}


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def overdue(local_cluster: Any, namespace: Any) -> Callable[[str], None]:
    """Makes a schedule's CronJob look as if nothing had fired it for ten minutes.

    The CronJob controller then finds what it missed, as after an outage of its own, and makes up
    for it at once: no test has to wait for the next minute.
    """

    def make(schedule_id: str) -> None:
        before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
        status = {"status": {"lastScheduleTime": before.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        cron_job = ("cronjob", f"nb-{schedule_id}", "-n", namespace.name)
        local_cluster.kubectl(
            *("patch", *cron_job, "--subresource=status", "--type=merge", "-p", json.dumps(status))
        )

    return make


@pytest.fixture
def write_user(namespace: Any, local_cluster: Any, tmp_path: Path) -> Callable[[list[Json]], Path]:
    """Makes a user with exactly the given rules in the namespace; returns its kubeconfig."""

    def write(rules: list[Json]) -> Path:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "limited", "namespace": namespace.name},
        }
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "limited", "namespace": namespace.name},
            "rules": rules,
        }
        binding = {
            **role,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "limited", "namespace": namespace.name}
            ],
        }
        del binding["rules"]
        local_cluster.apply([account, role, binding])
        token = local_cluster.kubectl("create", "token", "limited", "-n", namespace.name).strip()
        kubeconfig = yaml.safe_load(namespace.user_kubeconfig.read_text())
        kubeconfig["users"][0]["user"] = {"token": token}
        path = tmp_path / "limited.kubeconfig"
        path.write_text(yaml.safe_dump(kubeconfig))
        return path

    return write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The server's root folder."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def write_notebook(root: Path) -> Callable[..., str]:
    """Writes a notebook of code cells below the root and returns its path."""

    def write(path: str, *sources: str, parameters: str | None = None) -> str:
        return notebooks.write_notebook(root, path, *sources, parameters=parameters)

    return write


@pytest.fixture
def open_application(namespace: Any, root: Path) -> Callable[..., Any]:
    """Opens an application of the namespace's user, which may not answer yet."""

    @asynccontextmanager
    async def open_it(**settings: Any) -> AsyncIterator[Application]:
        environ = {**os.environ, **namespace.env, "JUPYTERHUB_USER": "tess"}
        given = Config({"JupyterKueue": {"kubeconfig": str(namespace.user_kubeconfig), **settings}})
        application = Application(config.load(given, environ), root)
        await application.start()
        try:
            yield application
        finally:
            await application.stop()

    return open_it


@pytest.fixture
def open_session(open_application: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a session of the namespace's user; settings as keywords."""

    @asynccontextmanager
    async def open_it(**settings: Any) -> AsyncIterator[Session]:
        async with open_application(**settings) as application:
            yield Session(application, await application.runs())

    return open_it


@dataclass(frozen=True)
class Ways:
    """What stands between a session with these ``settings`` and its cluster and bucket."""

    cluster: proxies.Proxy
    bucket: proxies.Proxy
    settings: dict[str, str]

    def __getitem__(self, name: str) -> proxies.Proxy:
        found: proxies.Proxy = getattr(self, name)
        return found


@pytest.fixture
def ways(namespace: Any, tmp_path: Path) -> Iterator[Ways]:
    """The ways to the cluster and to the bucket, to be cut, held or frozen."""
    cluster, kubeconfig = proxies.to_api_server(namespace.user_kubeconfig, tmp_path)
    bucket, bucket_dir = proxies.to_bucket(namespace.bucket_dir, tmp_path)
    settings = {
        "kubeconfig": str(kubeconfig),
        "namespace": namespace.name,
        "bucket": str(bucket_dir),
    }
    yield Ways(cluster, bucket, settings)
    cluster.down()
    bucket.down()


@pytest.fixture
async def session(open_session: Callable[..., Any]) -> AsyncIterator[Session]:
    """A session with the default settings."""
    async with open_session() as opened:
        yield opened
