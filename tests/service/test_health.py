"""Health names what is missing, each with its fix, on the real cluster."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from jupyter_kueue import config
from jupyter_kueue.cluster import resources
from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue.service import health, permissions
from jupyter_kueue.service.application import Application
from jupyter_kueue_local.building import KUEUE_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

Json = dict[str, Any]

ROLES = Path(__file__).parents[2] / "local_cluster" / "jupyter_kueue_local" / "manifests"


async def look(session: Any) -> Json:
    return await health.report(session.application)


def said(report: Json, severity: str | None = None) -> str:
    return "\n".join(
        f"{item['what']} -> {item['fix']}"
        for item in report["problems"]
        if severity in (None, item["severity"])
    )


def namespace_role() -> list[Json]:
    rules: list[Json] = yaml.safe_load((ROLES / "namespace-user.yaml").read_text())["rules"]
    return rules


@pytest.mark.integration
async def test_all_is_well(session: Any, namespace: Any):
    report = await look(session)
    assert report["problems"] == []
    assert report["ok"] is True
    assert report["namespace"] == namespace.name
    assert report["owner"] == "tess"
    assert report["kubernetes"]["version"].startswith("v1.")
    assert report["kubernetes"]["supported"] is True
    assert report["kueue"] == {
        "installed": True,
        "version": KUEUE_VERSION,
        "supported": True,
        "tested_with": "v0.19",
        "position_api": True,
    }
    assert report["bucket"]["ok"] is True
    assert report["settings"]["image"]


@pytest.mark.integration
async def test_no_credential_is_shown(open_session: Callable, namespace: Any):
    secrets = [
        (namespace.bucket_dir / name).read_text().strip()
        for name in ("access_key_id", "secret_access_key")
    ]
    template = {"imagePullSecrets": [{"name": "pull"}], "hostAliases": [{"ip": "hidden-value"}]}
    async with open_session(pod_template=template) as opened:
        shown = json.dumps(await look(opened))
    for secret in [*secrets, "hidden-value"]:
        assert secret not in shown
    assert "hostAliases" in shown


@pytest.mark.integration
async def test_each_missing_permission_is_named(open_session: Callable, write_user: Callable):
    rules = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["kueue.x-k8s.io"],
            "resources": ["workloads", "localqueues"],
            "verbs": ["list", "watch"],
        },
    ]
    async with open_session(kubeconfig=str(write_user(rules))) as opened:
        report = await look(opened)
        queue, _ = await (await opened.application.queues()).list_local_queues()
        # Limits are not guessed where they may not be read.
        assert all(row["nominal"] is row["limit"] is None for row in queue["resources"].values())
        assert await (await opened.application.queues()).cluster_positions("team-a") is None
        # What is configured works without the ConfigMaps.
        assert await (await opened.application.environments()).list_profiles()
    assert report["ok"] is False
    text = said(report, "error")
    assert "You may not create, patch, delete jobs.batch" in text
    assert "jupyter-kueue-user" in text
    text = said(report, "warning")
    for missing in (
        "get pods/log in the namespace",
        "list configmaps in the namespace",
        "get localqueues/pendingworkloads.visibility.kueue.x-k8s.io in the namespace",
        "list clusterqueues.kueue.x-k8s.io in the cluster",
        "list cohorts.kueue.x-k8s.io in the cluster",
        "list workloadpriorityclasses.kueue.x-k8s.io in the cluster",
        "get deployments.apps in the namespace kueue-system",
    ):
        assert f"You may not {missing}" in text


@pytest.mark.integration
async def test_the_documented_role_is_enough(
    open_session: Callable, write_user: Callable, namespace: Any
):
    async with open_session(kubeconfig=str(write_user(namespace_role()))) as opened:
        report = await look(opened)
    assert report["ok"] is True
    assert f"in the namespace {namespace.name}" not in said(report)
    # The version is another role's to give.
    assert report["kueue"]["version"] is None
    assert "Kueue's version is unknown" in said(report, "warning")
    assert "bind the Role jupyter-kueue-version-reader" in said(report, "warning")


def test_the_documented_roles_hold_every_verb_that_is_used():
    manifests = [yaml.safe_load(path.read_text()) for path in ROLES.glob("*er.yaml")]
    roles = {(role["kind"], role["metadata"]["name"]): role for role in manifests}
    for permission in permissions.PERMISSIONS:
        role = roles[permission.role.kind, permission.role.name]
        assert role["metadata"].get("namespace") == permission.role.namespace
        allowed = {
            verb
            for rule in role["rules"]
            if permission.group in rule["apiGroups"]
            and permission.resource in rule["resources"]
            and rule.get("resourceNames", [""]) == [permission.name]
            for verb in rule["verbs"]
        }
        assert set(permission.verbs) <= allowed, permission


@pytest.mark.integration
async def test_queues_that_take_no_runs(
    session: Any, namespace: Any, local_cluster: Any, eventually: Callable
):
    async def stop(queue: str) -> None:
        patch = ("--type=merge", "-p", '{"spec": {"stopPolicy": "Hold"}}')
        local_cluster.kubectl("patch", "localqueue", queue, "-n", namespace.name, *patch)

    async def problems(severity: str, number: int) -> bool:
        text = said(await look(session), severity)
        return text.count("is not accepting runs: an admin paused it.") == number

    await stop("team-a")
    await eventually(lambda: problems("warning", 1))
    assert (await look(session))["ok"] is True
    await stop("team-b")
    await eventually(lambda: problems("error", 2))
    assert (await look(session))["ok"] is False
    local_cluster.kubectl("delete", "localqueue", "--all", "-n", namespace.name)

    async def none_is_left() -> bool:
        return "There is no LocalQueue in the namespace" in said(await look(session), "error")

    await eventually(none_is_left)


@pytest.mark.integration
async def test_a_configured_queue_that_is_not_there(open_session: Callable):
    async with open_session(local_queue="nope") as opened:
        assert "The configured queue nope does not exist" in said(await look(opened), "error")


@pytest.mark.integration
async def test_resources_without_quota(open_session: Callable, namespace: Any, local_cluster: Any):
    name = namespace.cluster_queues[0]
    spec = local_cluster.get("clusterqueue", name)["spec"]
    for group in spec["resourceGroups"]:
        if "nvidia.com/gpu" in group["coveredResources"]:
            group["coveredResources"].remove("nvidia.com/gpu")
            for flavor in group["flavors"]:
                flavor["resources"] = [
                    item for item in flavor["resources"] if item["name"] != "nvidia.com/gpu"
                ]
    groups = [group for group in spec["resourceGroups"] if group["coveredResources"]]
    patch = json.dumps({"spec": {"resourceGroups": groups}})
    local_cluster.kubectl("patch", "clusterqueue", name, "--type=merge", "-p", patch)
    async with open_session() as opened:
        text = said(await look(opened), "warning")
    assert "The queue team-a has no quota for nvidia.com/gpu" in text
    assert "Runs with One GPU" in text
    assert "team-b" not in text


@pytest.mark.integration
async def test_bucket_trouble(namespace: Any, tmp_path: Path, eventually: Callable):
    folder = tmp_path / "credentials"
    folder.mkdir()
    for file in namespace.bucket_dir.iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "secret_access_key").write_text("wrong")
    settings = config.Settings(
        owner="tess",
        kubeconfig=str(namespace.user_kubeconfig),
        bucket=str(folder),
        image="x",
    )
    async with connected(settings, tmp_path, eventually) as application:
        report = await health.report(application)
    assert report["bucket"]["ok"] is False
    assert "credentials" in said(report, "error")
    assert "wrong" not in json.dumps(report["problems"])


@asynccontextmanager
async def connected(
    settings: config.Settings, root: Path, eventually: Callable
) -> AsyncIterator[Application]:
    """An application that has its cluster, though it may never be able to load its runs."""
    application = Application(settings, root)
    await application.start()
    try:
        await eventually(lambda: application.connection is not None)
        await eventually(lambda: application.cluster.error or application.cluster.is_synced)
        yield application
    finally:
        await application.stop()


def write_kubeconfig(path: Path, server: str) -> None:
    name = {"name": "it"}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{**name, "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{**name, "cluster": {"server": server}}],
        "users": [{**name, "user": {"token": "x"}}],
    }
    path.write_text(yaml.safe_dump(body))


class _OtherCluster(http.server.BaseHTTPRequestHandler):
    """Answers as an API server would that serves just what ``answers`` holds."""

    def __init__(self, answers: dict[str, Json], *arguments: Any) -> None:
        self.answers = answers
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = self.answers.get(self.path.partition("?")[0])
        status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body or status).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"status": {"allowed": true}}')

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def other_cluster(tmp_path: Path, answers: dict[str, Json]) -> Iterator[config.Settings]:
    """Settings for a cluster that serves ``answers``: bytes on the wire."""
    handler = functools.partial(_OtherCluster, answers)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    path = tmp_path / "other.kubeconfig"
    write_kubeconfig(path, f"http://127.0.0.1:{server.server_port}")
    try:
        yield config.Settings(
            owner="tess", kubeconfig=str(path), bucket=f"file://{tmp_path}/bucket", image="x"
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_cluster_that_is_too_old_and_has_no_kueue(tmp_path: Path, eventually: Callable):
    answers = {"/version": {"gitVersion": "v1.29.4", "major": "1", "minor": "29"}}
    with other_cluster(tmp_path, answers) as settings:
        async with connected(settings, tmp_path, eventually) as application:
            report = await health.report(application)
            with pytest.raises(errors.NotConfiguredError, match="Kueue is not installed"):
                await (await application.queues()).list_local_queues()
    assert report["kubernetes"]["version"] == "v1.29.4"
    assert report["kubernetes"]["supported"] is False
    assert "Kubernetes v1.29.4 is older" in said(report, "warning")
    assert report["kueue"]["installed"] is False
    assert "Kueue is not installed in this cluster. -> Ask an admin" in said(report, "error")


async def test_a_cluster_that_does_not_answer(tmp_path: Path):
    path = tmp_path / "down.kubeconfig"
    write_kubeconfig(path, "http://127.0.0.1:9")
    connection = await Connection.from_kubeconfig(path)
    try:
        with pytest.raises(errors.ClusterUnavailableError):
            await permissions.find_missing(connection, "default", 5)
    finally:
        await connection.close()


async def test_settings_that_cannot_be_used(tmp_path: Path):
    wrong = errors.NotConfiguredError(foreign("The setting x is wrong."))
    report = await health.report(Application(wrong, tmp_path))
    assert report["ok"] is False
    assert said(report).startswith("The setting x is wrong.")


@pytest.mark.parametrize(
    ("image", "version", "says"),
    [
        ("registry.k8s.io/kueue/kueue:v0.19.4@sha256:0123", "v0.19.4", None),
        ("mirror:5000/kueue:v0.21.0-rc.1", "v0.21.0-rc.1", "tested only with v0.19"),
        (
            "mirror:5000/kueue@sha256:0123",
            None,
            "its image, mirror:5000/kueue@sha256:0123, does not",
        ),
        (None, None, "there is no Deployment kueue-controller-manager"),
    ],
)
async def test_the_version_that_kueues_image_tells(
    tmp_path: Path, eventually: Callable, image: str | None, version: str | None, says: str | None
):
    answers: dict[str, Json] = {
        "/version": {"gitVersion": "v1.36.3"},
        "/apis/kueue.x-k8s.io": {"versions": [{"version": "v1beta2"}]},
        "/apis/visibility.kueue.x-k8s.io": {"versions": [{"version": "v1beta2"}]},
    }
    if image is not None:
        pod = {"spec": {"containers": [{"name": "manager", "image": image}]}}
        answers[resources.kueue_deployment()] = {"spec": {"template": pod}}
    with other_cluster(tmp_path, answers) as settings:
        async with connected(settings, tmp_path, eventually) as application:
            report = await health.report(application)
    assert report["kueue"]["version"] == version
    assert report["kueue"]["supported"] is True
    warned = [line for line in said(report, "warning").splitlines() if "Kueue" in line]
    assert len(warned) == (says is not None)
    assert (says or "") in "".join(warned)
