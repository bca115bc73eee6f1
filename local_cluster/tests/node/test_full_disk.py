"""The disk under the node is full: who filled it and who did not, who is there and who comes."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import started_cluster
from local_cluster.tests.node.pods import container, pod, pod_spec
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LocalCluster
    from local_cluster.tests.node.pods import Pods

pytestmark = pytest.mark.integration

WORK = {"volumes": [{"name": "work", "emptyDir": {}}]}
UNTIL_TOLD = "while ! test -e /work/now; do sleep 0.05; done"


@pytest.fixture(scope="module")
def local_cluster() -> Iterator[LocalCluster]:
    """A cluster whose pods have a small disk of their own."""
    # Not in pytest's own folder: that may be moved away, by another run of it, with the disk.
    with tempfile.TemporaryDirectory(prefix="jupyter-kueue-full-disk-") as name:
        disk = Path(name) / "node" / "pods"
        disk.mkdir(parents=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(disk)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"a small file system can be mounted by root alone: {mounted.stderr}")
        try:
            with started_cluster(Path(name)) as cluster:
                yield cluster
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def worker(name: str, script: str, **fields: Any) -> dict[str, Any]:
    main = container("main", script, volumeMounts=[{"name": "work", "mountPath": "/work"}])
    return pod(name, pod_spec(main, **WORK, **fields))


def test_a_full_disk_ends_nobody_who_is_there_and_lets_nobody_in(pods: Pods) -> None:
    pods.create(worker("neighbour", f"echo up; {UNTIL_TOLD}; echo done; exit 7"))
    pods.wait_for_log("neighbour", "up")
    told = pods.folder("neighbour") / "volumes" / "work" / "now"
    pods.create(worker("filler", f"head -c 99999999 /dev/zero > /work/x; {UNTIL_TOLD}"))
    filler = pods.folder("filler") / "volumes" / "work" / "x"
    until(lambda: node_has_disk_pressure(pods), "the node says so")

    pods.create(worker("bound", "true", nodeName="local-node"))
    refused = pods.wait_for_phase("bound", "Failed")
    assert refused["status"]["reason"] == "Evicted"
    assert "DiskPressure" in refused["status"]["message"] or (
        refused["status"]["message"] == "The node was low on resource: ephemeral-storage. "
    )
    pods.create(worker("comes", "true"))
    assert "untolerated taint" in pods.wait_for_event("comes", "FailedScheduling")

    told.touch()
    ended = pods.wait_for_phase("neighbour", "Failed")
    (status,) = ended["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 7

    assert pods.get("filler")["status"]["phase"] == "Running"
    filler.write_bytes(b"")
    pods.wait_for_phase("comes", "Succeeded")
    filler.with_name("now").touch()
    pods.wait_for_phase("filler", "Succeeded")


def node_has_disk_pressure(pods: Pods) -> bool:
    node = pods.cluster.get("node", "local-node")
    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    return conditions["DiskPressure"] == "True"
