"""The manifests that an admin applies are those that the local cluster runs with, and are valid."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from jupyter_kueue.domain import names
from jupyter_kueue_local import access, quotas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LocalCluster

REPOSITORY = Path(__file__).parents[1]
FOR_ADMINS = REPOSITORY / "manifests"
OF_THE_LOCAL_CLUSTER = REPOSITORY / "local_cluster" / "jupyter_kueue_local" / "manifests"
SHARED = {
    "cluster/quota-reader.yaml",
    "cluster/kueue-version-reader.yaml",
    "namespace/namespace-user.yaml",
    "policy/queue-required.yaml",
}
# What is no user's: how the local node and its control plane talk to each other.
LOCAL_ALONE = {"node.yaml", "health-reader.yaml"}


def read(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_every_role_of_users_is_the_one_that_is_tried_on_the_local_cluster():
    own = {path.name for path in OF_THE_LOCAL_CLUSTER.glob("*.yaml")} - LOCAL_ALONE
    assert {Path(path).name for path in SHARED} == own
    for path in SHARED:
        same = OF_THE_LOCAL_CLUSTER / Path(path).name
        assert (FOR_ADMINS / path).read_bytes() == same.read_bytes(), path


def test_users_namespaces_are_those_of_the_local_cluster():
    (namespace,) = read(FOR_ADMINS / "namespace" / "namespace.yaml")
    name = namespace["metadata"]["name"]
    assert namespace == access.users_namespace(name)


def test_every_file_is_applied_and_every_role_is_bound():
    for folder in FOR_ADMINS.iterdir():
        listed = read(folder / "kustomization.yaml")[0]["resources"]
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(listed) == there
    objects = [item for path in FOR_ADMINS.glob("*/*.yaml") for item in read(path)]
    roles = {(item["kind"], item["metadata"]["name"]) for item in objects if "rules" in item}
    bound = {
        (item["roleRef"]["kind"], item["roleRef"]["name"]) for item in objects if "roleRef" in item
    }
    assert bound == roles


def test_the_example_quotas_behave_as_those_of_the_local_cluster():
    built = quotas.team_objects("teams", namespace="any", gpus=2, cores=2, memory_bytes=2**30)

    def rules(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for item in objects:
            if item["kind"] == "ClusterQueue":
                group = item["spec"].pop("resourceGroups")[0]
                found.append({**item["spec"], "covered": group["coveredResources"]})
        return found

    assert rules(read(FOR_ADMINS / "quotas" / "cluster-queues.yaml")) == rules(built)
    priorities = read(FOR_ADMINS / "quotas" / "priorities.yaml")
    assert {item["metadata"]["name"]: item["value"] for item in priorities} == quotas.PRIORITIES


def test_the_example_secret_has_the_name_that_runs_mount():
    secret = read(FOR_ADMINS / "namespace" / "bucket-secret.yaml")[0]
    assert secret["metadata"]["name"] == names.BUCKET_SECRET


@pytest.fixture
def empty_namespace(local_cluster: LocalCluster) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:10]}"
    local_cluster.kubectl("create", "namespace", name)
    yield name
    local_cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.integration
def test_the_api_server_accepts_them(
    local_cluster: LocalCluster, empty_namespace: str, tmp_path: Path
):
    copy = tmp_path / "manifests"
    shutil.copytree(FOR_ADMINS, copy)
    kustomization = copy / "namespace" / "kustomization.yaml"
    text = kustomization.read_text()
    # A dry run creates no namespace, so the objects in it need one that is there.
    kustomization.write_text(text.replace("namespace: research", f"namespace: {empty_namespace}"))
    for folder in ("cluster", "quotas", "namespace"):
        said = local_cluster.kubectl("apply", "--dry-run=server", "-k", str(copy / folder))
        kinds = [
            item["kind"].lower() for path in (copy / folder).glob("*.yaml") for item in read(path)
        ]
        assert len(said.splitlines()) == len(kinds) - 1  # the kustomization is no object


@pytest.mark.integration
def test_applying_them_on_a_local_cluster_takes_nobodys_rights(local_cluster: LocalCluster) -> None:
    local_cluster.kubectl("apply", "-k", str(FOR_ADMINS / "cluster"))
    asked = ("auth", "can-i", "list", "clusterqueues.kueue.x-k8s.io")
    said = local_cluster.kubectl(*asked, kubeconfig=local_cluster.user_kubeconfig)
    assert said.strip() == "yes"
