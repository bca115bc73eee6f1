"""The node agent ends in every way it can, and what then becomes of its pods; all of its GPUs.

These tests harm the node of a cluster of their own, or need all that it has; each leaves it as it
was.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import started_cluster
from local_cluster.tests.node.pods import (
    condition_of,
    container,
    pod,
    pod_spec,
    simple_pod,
    status_of,
)
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import LocalCluster
    from local_cluster.tests.node.pods import Pods

pytestmark = pytest.mark.integration


@dataclass
class Node:
    """The processes of the cluster, and how to bring them back."""

    folder: Path
    cli: Callable[..., Any]

    def pid(self, part: str = "node") -> int:
        shown = self.cli("local", "status", "--json", "--dir", str(self.folder), check=False)
        return next(int(p["pid"]) for p in json.loads(shown.stdout)["parts"] if p["name"] == part)

    def kill_agent(self) -> None:
        self.end_agent(signal.SIGKILL)

    def end_agent(self, number: signal.Signals) -> None:
        pid = self.pid()
        os.kill(pid, number)
        until(lambda: not is_alive(pid), "the agent ends")

    def start(self) -> None:
        self.cli("local", "up", "--dir", str(self.folder))

    def shims(self, pods: Pods, name: str) -> list[int]:
        files = pods.folder(name).glob("containers/*/*/shim")
        return [int(file.read_text().split()[0]) for file in files]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def local_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster whose node may be harmed."""
    with started_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def node(local_cluster: Any, cli: Callable[..., Any]) -> Iterator[Node]:
    made = Node(local_cluster.dir, cli)
    yield made
    made.start()


GATE = {"volumes": [{"name": "go", "emptyDir": {}}]}


def gated_pod(name: str, exit_code: int) -> dict[str, Any]:
    """A pod that ends once the file ``now`` is in its volume ``go``."""
    script = f"echo up; while ! test -e /go/now; do sleep 0.05; done; exit {exit_code}"
    mounts = [{"name": "go", "mountPath": "/go"}]
    return pod(name, pod_spec(container("main", script, volumeMounts=mounts), **GATE))


@dataclass
class Restarted:
    """Pods that lived through the kill and the restart of the agent, with their folders."""

    folders: dict[str, Path]
    before: dict[str, dict[str, Any]]
    orphan_shims: list[int]

    def let_end(self, name: str) -> None:
        (self.folders[name] / "volumes" / "go" / "now").touch()


@pytest.fixture(scope="module")
def restarted(pods: Pods, local_cluster: Any, cli: Callable[..., Any]) -> Restarted:
    """Kill the agent; let pods end, be lost and be deleted meanwhile; start it again."""
    node = Node(local_cluster.dir, cli)
    codes = {"stays": 0, "ends-well": 0, "ends-badly": 5, "lost": 0, "orphan": 0}
    pods.create(*(gated_pod(name, code) for name, code in codes.items()))
    for name in codes:
        pods.wait_for_log(name, "up")
    made = Restarted(
        {name: pods.folder(name) for name in codes},
        {name: pods.wait_for_phase(name, "Running") for name in codes},
        node.shims(pods, "orphan"),
    )
    lost_shims = node.shims(pods, "lost")
    node.kill_agent()
    for name in ("ends-well", "ends-badly"):
        made.let_end(name)
        until((made.folders[name] / "containers/main/0/exit").exists, f"{name} ends")
    for pid in lost_shims:
        os.kill(pid, signal.SIGKILL)
    pods.kubectl("delete", "pod", "orphan", "--force", "--grace-period=0")
    node.start()
    return made


def test_a_running_pod_is_adopted_by_the_next_agent(pods: Pods, restarted: Restarted) -> None:
    stays = pods.get("stays")
    assert status_of(stays)["restartCount"] == 0
    assert status_of(stays)["state"] == status_of(restarted.before["stays"])["state"]
    restarted.let_end("stays")
    pods.wait_for_phase("stays", "Succeeded")
    assert pods.logs("stays") == "up\n"


@pytest.mark.parametrize(
    ("name", "phase", "code", "reason"),
    [
        ("ends-well", "Succeeded", 0, "Completed"),
        ("ends-badly", "Failed", 5, "Error"),
        ("lost", "Failed", 137, "ContainerStatusUnknown"),
    ],
)
def test_what_ended_without_an_agent_is_told_by_the_next(
    pods: Pods, restarted: Restarted, name: str, phase: str, code: int, reason: str
) -> None:
    end = status_of(pods.wait_for_phase(name, phase))["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (code, reason)


def test_a_pod_deleted_without_an_agent_is_ended_by_the_next(restarted: Restarted) -> None:
    until(lambda: not any(map(is_alive, restarted.orphan_shims)), "its processes end")
    until(lambda: not restarted.folders["orphan"].exists(), "its folder is removed")


def test_shutdown_ends_pods_and_says_why(pods: Pods, node: Node) -> None:
    imageless = simple_pod("pending", "true")
    imageless["spec"]["containers"][0]["image"] = "nowhere"
    ignoring = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    pods.create(
        simple_pod("told", "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.05; done"),
        simple_pod("forced", ignoring),
        imageless,
    )
    for name in ("told", "forced"):
        pods.wait_for_log(name, "up")
    shims = [pid for name in ("told", "forced") for pid in node.shims(pods, name)]
    node.end_agent(signal.SIGTERM)
    assert not any(map(is_alive, shims))
    for name in ("told", "forced", "pending"):
        ended = pods.wait_for_phase(name, "Failed")
        assert ended["status"]["reason"] == "Terminated"
        assert "imminent node shutdown" in ended["status"]["message"]
        disruption = condition_of(ended, "DisruptionTarget")
        assert (disruption["status"], disruption["reason"]) == ("True", "TerminationByKubelet")
    shown = json.loads(pods.kubectl("get", "node", "local-node", "-o", "json"))
    assert condition_of(shown, "Ready")["status"] == "False"
    node.start()
    assert pods.logs("told") == "up\ntold\n"


def test_an_end_is_told_once_the_api_server_is_back(pods: Pods, node: Node) -> None:
    pods.create(simple_pod("unheard", "echo up; while ! test -e $HOME/go; do sleep 0.05; done"))
    pods.wait_for_log("unheard", "up")
    folder = pods.folder("unheard")
    api_server = node.pid("kube-apiserver")
    os.kill(api_server, signal.SIGSTOP)
    try:
        (folder / "home" / "go").touch()
        until((folder / "containers/main/0/exit").exists, "the container ends")
    finally:
        os.kill(api_server, signal.SIGCONT)
    pods.wait_for_phase("unheard", "Succeeded")


def test_gpus_are_distinct_and_not_more_than_there_are(pods: Pods) -> None:
    show = "echo gpus=$CUDA_VISIBLE_DEVICES; sleep 1000"
    gpus = {"limits": {"nvidia.com/gpu": "2"}}
    pods.create(
        *(pod(f"gpu-{i}", pod_spec(container("main", show, resources=gpus))) for i in (1, 2)),
        simple_pod("no-gpu", 'echo "gpus=$CUDA_VISIBLE_DEVICES"'),
    )
    seen = [pods.wait_for_log(f"gpu-{i}", "gpus=").strip() for i in (1, 2)]
    devices = [line.removeprefix("gpus=").split(",") for line in seen]
    assert sorted(devices[0] + devices[1]) == ["0", "1", "2", "3"]
    assert pods.wait_for_log("no-gpu", "gpus=") == "gpus=\n"
    bound = pod(
        "one-too-many", pod_spec(container("main", show, resources=gpus), nodeName="local-node")
    )
    pods.create(bound)
    refused = pods.wait_for_phase("one-too-many", "Failed")
    assert refused["status"]["reason"] == "UnexpectedAdmissionError"
    assert "Requested: 2, Available: 0" in refused["status"]["message"]
    pods.kubectl("delete", "pod", "gpu-1", "gpu-2", "--timeout=60s")
    again = pod("gpu-3", pod_spec(container("main", "echo ok", resources=gpus)))
    pods.create(again)
    pods.wait_for_phase("gpu-3", "Succeeded")
