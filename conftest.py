"""The local cluster and a namespace of its own for each test, for every test that needs one.

The cluster is started once per run in a temporary folder, for all processes that run tests. With
JUPYTER_KUEUE_TEST_CLUSTER naming the folder of a running cluster, that one is used and left as it
is.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import yaml

from jupyter_kueue_local.access import namespace_access, users_namespace
from jupyter_kueue_local.object_store import bucket_credentials, bucket_secret, write_bucket_folder
from jupyter_kueue_local.quotas import team_objects
from jupyter_kueue_local.state_folder import StateFolder
from tests.support.api_server import ApiServer
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Machines are shared: how long one example takes says nothing about the code.
hypothesis.settings.register_profile("patient", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")

pytest_plugins = ["tests.support.tiers"]

_EXISTING_CLUSTER = "JUPYTER_KUEUE_TEST_CLUSTER"
_OWN_CLUSTER = "OWN_TEST_CLUSTER"
_KUEUE = "apis/kueue.x-k8s.io/v1beta2"


def run_cli(
    *arguments: str, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``jupyter kueue …`` and return what it printed; a failure shows all of it."""
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_kueue.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=1500,  # the first of all runs builds the control plane
    )
    if check and done.returncode != 0:
        pytest.fail(f"jupyter kueue {shlex.join(arguments)}:\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``jupyter kueue …`` to its end."""
    return run_cli


@dataclass(frozen=True)
class LocalCluster:
    """A running local cluster, as its administrator and its users see it."""

    dir: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def admin_kubeconfig(self) -> Path:
        return self.dir / "admin.kubeconfig"

    @property
    def user_kubeconfig(self) -> Path:
        return self.dir / "user.kubeconfig"

    @property
    def other_kubeconfig(self) -> Path:
        return self.dir / "other.kubeconfig"

    @property
    def bucket_dir(self) -> Path:
        return self.dir / "bucket" / "default"

    @functools.cached_property
    def api_server(self) -> ApiServer:
        """The API server, as the administrator."""
        return ApiServer(self.dir)

    def close(self) -> None:
        """End the connection to the API server, if there is one."""
        if "api_server" in vars(self):
            self.api_server.close()

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess calls it
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl as the administrator, or as another kubeconfig's user."""
        done = subprocess.run(
            [str(self.dir / "bin" / "kubectl"), *arguments],
            env={
                **os.environ,
                "KUBECONFIG": str(kubeconfig or self.admin_kubeconfig),
                "KUBECACHEDIR": str(self.dir / "kubectl-cache"),
            },
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"kubectl {shlex.join(arguments)}:\n{done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return what ``kubectl get … -o json`` answers, parsed."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Create objects, or bring them to this state."""
        body = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(body))


@dataclass(frozen=True)
class Namespace:
    """A namespace with queues and a part of the bucket of its own; its user is ``user``."""

    name: str
    env: dict[str, str]
    user_kubeconfig: Path
    bucket_dir: Path
    local_queues: tuple[str, ...]
    cluster_queues: tuple[str, ...]


def cluster_in(folder: Path) -> LocalCluster:
    """Return the cluster in a folder, with the variables that ``local env`` prints."""
    script = run_cli("local", "env", "--dir", str(folder)).stdout
    shown = subprocess.run(
        ["sh", "-c", f"{script}\nenv -0"], capture_output=True, text=True, check=True
    ).stdout
    exported = {
        line.removeprefix("export ").partition("=")[0] for line in script.splitlines() if line
    }
    variables = dict(item.partition("=")[::2] for item in shown.split("\0") if item)
    return LocalCluster(folder, {name: variables[name] for name in sorted(exported)})


@contextlib.contextmanager
def started_cluster(folder: Path) -> Iterator[LocalCluster]:
    """Start a cluster in ``folder`` and end it after that."""
    try:
        run_cli("local", "up", "--dir", str(folder))
        with contextlib.closing(cluster_in(folder)) as cluster:
            yield cluster
    finally:
        run_cli("local", "down", "--dir", str(folder))


def pytest_configure(config: pytest.Config) -> None:
    """Say where the cluster of this run is, to the processes too that run its tests."""
    if not _is_worker(config) and _EXISTING_CLUSTER not in os.environ:
        folder = Path(tempfile.gettempdir()) / f"jupyter-kueue-tests-{os.getpid()}"
        os.environ[_OWN_CLUSTER] = str(folder)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the cluster that the first test in need of it started; where one failed, logs stay."""
    own = os.environ.get(_OWN_CLUSTER)
    if own is None or _is_worker(session.config) or not Path(own).exists():
        return
    run_cli("local", "down", "--dir", own)
    if exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(own)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")  # set by pytest-xdist


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[LocalCluster]:
    """The cluster that all tests share; tests that harm one start their own.

    More GPUs than anybody asks for: several namespaces use them at the same time.
    """
    folder = os.environ.get(_OWN_CLUSTER)
    if folder is None:
        folder = os.environ[_EXISTING_CLUSTER]
    else:
        # Several processes may do so at once.
        run_cli("local", "up", "--dir", folder, "--gpus", "16")
    with contextlib.closing(cluster_in(Path(folder).absolute())) as cluster:
        yield cluster


@contextlib.contextmanager
def new_namespace(
    cluster: LocalCluster,
    folder: Path,
    *,
    gpus: int = 4,
    cpu: int = 8,
    memory_bytes: int = 8 * 2**30,
) -> Iterator[Namespace]:
    """Make a namespace whose two teams share ``gpus``, ``cpu`` cores and ``memory_bytes``."""
    namespace = _make_namespace(cluster, folder, gpus, cpu, memory_bytes)
    try:
        yield namespace
    finally:
        _delete_namespace(cluster, namespace)


@pytest.fixture
def make_namespace(
    local_cluster: LocalCluster, tmp_path: Path
) -> Iterator[Callable[..., Namespace]]:
    """Makes namespaces as ``new_namespace`` does; they go with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **size: stack.enter_context(new_namespace(local_cluster, tmp_path, **size))


@pytest.fixture
def namespace(
    make_namespace: Callable[..., Namespace], request: pytest.FixtureRequest
) -> Namespace:
    """A namespace of the default size, or of the size in an indirect parameter."""
    return make_namespace(**getattr(request, "param", {}))


def _make_namespace(
    cluster: LocalCluster, tmp_path: Path, gpus: int, cpu: int, memory_bytes: int
) -> Namespace:
    name = f"test-{uuid.uuid4().hex[:10]}"
    settings = StateFolder(cluster.dir).load_settings()
    credentials = bucket_credentials(settings, "admin", name)
    bucket_dir = tmp_path / name / "bucket"
    write_bucket_folder(bucket_dir, credentials)
    kubeconfig = yaml.safe_load(cluster.user_kubeconfig.read_text())
    kubeconfig["contexts"][0]["context"]["namespace"] = name
    user_kubeconfig = tmp_path / name / "kubeconfig"
    user_kubeconfig.write_text(yaml.safe_dump(kubeconfig))
    objects: list[dict[str, Any]] = [
        users_namespace(name),
        bucket_secret(name, credentials),
        *namespace_access(name, "user"),
        *team_objects(
            name,
            namespace=name,
            gpus=gpus,
            cores=cpu,
            memory_bytes=memory_bytes,
            prefix=f"{name}-",
        ),
    ]
    for item in objects:
        cluster.api_server.apply(_collection(item), item)
    teams = ("team-a", "team-b")
    queues = f"{_KUEUE}/namespaces/{name}/localqueues"
    until(lambda: cluster.api_server.items(queues), "the queues are active", holds=_are_active)
    env = {
        **cluster.env,
        "KUBECONFIG": str(user_kubeconfig),
        "JUPYTER_KUEUE_BUCKET": str(bucket_dir),
    }
    cluster_queues = tuple(f"{name}-{team}" for team in teams)
    return Namespace(name, env, user_kubeconfig, bucket_dir, teams, cluster_queues)


def _collection(item: dict[str, Any]) -> str:
    """Return the path of the collection that an object belongs to."""
    version = item["apiVersion"]
    group = f"apis/{version}" if "/" in version else f"api/{version}"
    namespace = item["metadata"].get("namespace")
    return "/".join(
        [
            group,
            *(["namespaces", namespace] if namespace else []),
            f"{item['kind'].lower()}s",
        ]
    )


def _are_active(local_queues: list[dict[str, Any]]) -> bool:
    return all(
        any(
            condition["type"] == "Active" and condition["status"] == "True"
            for condition in item.get("status", {}).get("conditions", [])
        )
        for item in local_queues
    )


def _delete_namespace(cluster: LocalCluster, namespace: Namespace) -> None:
    """Free the node for the next test.

    The namespace itself stays in a cluster that ends with the tests: to delete it, Kubernetes
    would go through all kinds of objects that there are.
    """
    api_server = cluster.api_server
    for kind in ("cronjobs", "jobs"):
        path = f"apis/batch/v1/namespaces/{namespace.name}/{kind}"
        api_server.delete(path, propagationPolicy="Background")
    pods = f"api/v1/namespaces/{namespace.name}/pods"
    api_server.delete(pods, gracePeriodSeconds=1)
    until(lambda: not api_server.items(pods), "no pod is left")
    for name in namespace.cluster_queues:
        api_server.delete(f"{_KUEUE}/clusterqueues/{name}")
    api_server.delete(f"{_KUEUE}/cohorts/{namespace.name}")
    if _OWN_CLUSTER not in os.environ:
        api_server.delete(f"api/v1/namespaces/{namespace.name}")
