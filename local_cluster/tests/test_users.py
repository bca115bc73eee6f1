from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import from_url

from jupyter_kueue_local.state_folder import StateFolder

if TYPE_CHECKING:
    from pathlib import Path

    from obstore.store import ObjectStore

    from conftest import LocalCluster

pytestmark = pytest.mark.integration

READ = {"get", "list", "watch"}
# Everything that a namespace's user may do there; nothing else is allowed.
IN_OWN_NAMESPACE = {
    "jobs.batch": READ | {"create", "delete", "patch"},
    "cronjobs.batch": READ | {"create", "delete", "patch"},
    "pods": READ | {"delete"},
    "pods/log": {"get"},
    "events": READ,
    "configmaps": READ,
    "workloads.kueue.x-k8s.io": READ,
    "localqueues.kueue.x-k8s.io": READ,
    "localqueues.visibility.kueue.x-k8s.io/pendingworkloads": {"get"},
    "clusterqueues.kueue.x-k8s.io": READ,
    "cohorts.kueue.x-k8s.io": READ,
    "resourceflavors.kueue.x-k8s.io": READ,
    "workloadpriorityclasses.kueue.x-k8s.io": READ,
}
# Needed for discovery and self-reviews: every authenticated user of Kubernetes has these.
OF_EVERYBODY = ("selfsubject", "[/")


def permissions(cluster: LocalCluster, kubeconfig: Path, namespace: str) -> dict[str, set[str]]:
    """Return resource -> verbs as the API server lists them."""
    listed = cluster.kubectl("auth", "can-i", "--list", "-n", namespace, kubeconfig=kubeconfig)
    found: dict[str, set[str]] = {}
    for line in listed.splitlines()[1:]:
        resource = line.split()[0]
        if not resource.startswith(OF_EVERYBODY):
            verbs = line[line.rindex("[") + 1 : line.rindex("]")].split()
            found.setdefault(resource, set()).update(verbs)
    return found


@pytest.mark.parametrize(
    ("user", "own", "foreign"), [("user", "default", "other"), ("other", "other", "default")]
)
def test_a_user_may_do_in_the_own_namespace_what_runs_need_and_no_more(
    local_cluster: LocalCluster, user: str, own: str, foreign: str
) -> None:
    kubeconfig = local_cluster.dir / f"{user}.kubeconfig"
    assert permissions(local_cluster, kubeconfig, own) == IN_OWN_NAMESPACE
    cluster_wide = {
        resource
        for resource in IN_OWN_NAMESPACE
        if resource.startswith(("clusterqueues", "cohorts", "resourceflavors", "workloadpriority"))
    }
    assert set(permissions(local_cluster, kubeconfig, foreign)) == cluster_wide


def test_each_users_kubeconfig_has_its_own_namespace(local_cluster: LocalCluster) -> None:
    names = {
        user: local_cluster.kubectl(
            "get", "localqueues", "-o", "name", kubeconfig=local_cluster.dir / f"{user}.kubeconfig"
        ).split()
        for user in ("user", "other")
    }
    assert names == {
        "user": ["localqueue.kueue.x-k8s.io/team-a", "localqueue.kueue.x-k8s.io/team-b"],
        "other": ["localqueue.kueue.x-k8s.io/other"],
    }


def bucket(folder: Path, prefix: str | None = None) -> ObjectStore:
    settings = {file.name: file.read_text() for file in folder.iterdir()}
    url = settings.pop("url")
    options = {"allow_http": settings.pop("allow_http") == "true"}
    if prefix is not None:
        url = f"{url.rpartition('/')[0]}/{prefix}"
    return from_url(url, client_options=options, retry_config={"max_retries": 0}, **settings)


def test_a_namespaces_bucket_identity_reaches_its_own_prefix_alone(
    local_cluster: LocalCluster,
) -> None:
    mine = bucket(local_cluster.dir / "bucket" / "default")
    obstore.put(mine, "test/mine", b"1")
    assert bytes(obstore.get(mine, "test/mine").bytes()) == b"1"
    assert [o["path"] for batch in obstore.list(mine, "test") for o in batch] == ["test/mine"]
    intruder = bucket(local_cluster.dir / "bucket" / "other", prefix="default")
    with pytest.raises(PermissionDeniedError):
        obstore.get(intruder, "test/mine")
    with pytest.raises(PermissionDeniedError):
        obstore.put(intruder, "test/mine", b"2")
    with pytest.raises(GenericError, match="403 Forbidden"):
        list(obstore.list(intruder))
    with pytest.raises(GenericError, match="AccessDenied"):
        obstore.delete(intruder, "test/mine")
    assert bytes(obstore.get(mine, "test/mine").bytes()) == b"1"
    obstore.delete(mine, "test/mine")


def test_a_users_certificate_opens_none_of_the_parts(local_cluster: LocalCluster) -> None:
    ports = StateFolder(local_cluster.dir).load_settings().ports
    components = [
        *("etcd", "etcd-peer", "node", "kueue-webhook"),
        *("object-store-master", "object-store-filer", "object-store-volume"),
        *("object-store-filer-grpc", "object-store-master-grpc"),
    ]
    answers = {name: answer_to_a_user(local_cluster, ports[name]) for name in components}
    assert answers == dict.fromkeys(components, b"")


def answer_to_a_user(cluster: LocalCluster, port: int) -> bytes:
    """Return the answer of a TLS port to a certificate that only the API server should accept."""
    certificates = StateFolder(cluster.dir).certificates
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            wrapped.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return wrapped.recv(100)
    except (ssl.SSLError, ConnectionResetError):
        return b""


def test_pods_mount_the_same_credentials(local_cluster: LocalCluster) -> None:
    for namespace in ("default", "other"):
        secret = local_cluster.get("secret", "jupyter-kueue-bucket", "-n", namespace)
        files = {file.name for file in (local_cluster.dir / "bucket" / namespace).iterdir()}
        assert set(secret["data"]) == files
