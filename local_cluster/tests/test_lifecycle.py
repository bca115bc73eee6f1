from __future__ import annotations

import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
import yaml

from jupyter_kueue_local import processes
from jupyter_kueue_local.lifecycle import PART_NAMES
from jupyter_kueue_local.state_folder import StateFolder
from tests.support.polling import until

if TYPE_CHECKING:
    from conftest import LocalCluster
    from local_cluster.tests.conftest import HarmedCluster

pytestmark = pytest.mark.integration


def processes_of(cluster: HarmedCluster) -> list[str]:
    """Return the command lines of every process that names the cluster's folder anywhere."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            traces = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            working_directory = os.fsencode((process / "cwd").readlink())
        except OSError:
            continue
        if os.fsencode(cluster.folder) in traces + working_directory:
            found.append(traces.decode(errors="replace")[:200])
    return found


def nothing_is_lost(cluster: HarmedCluster) -> None:
    assert cluster.status()["ready"]
    assert "kept" in cluster.kubectl("get", "configmap", "kept", "-o", "name")
    assert bytes(obstore.get(cluster.bucket(), "kept").bytes()) == b"kept"


def test_status_says_what_runs_and_where(harmed_cluster: HarmedCluster) -> None:
    status = harmed_cluster.status()
    assert [part["name"] for part in status["parts"]] == list(PART_NAMES)
    assert all(part["state"] == "running" and part["port"] for part in status["parts"])
    assert status["ready"] is True
    assert status["kubeconfig"] == str(harmed_cluster.folder / "user.kubeconfig")
    assert status["bucket"] == str(harmed_cluster.folder / "bucket" / "default")
    assert "\nReady.\n" in harmed_cluster.run("status").stdout


def test_up_again_changes_nothing(harmed_cluster: HarmedCluster) -> None:
    before = harmed_cluster.pids()
    harmed_cluster.run("up")
    assert harmed_cluster.pids() == before


def test_an_administrators_quota_survives_up(harmed_cluster: HarmedCluster) -> None:
    path = "/spec/resourceGroups/0/flavors/0/resources/2/nominalQuota"
    patch = json.dumps([{"op": "replace", "path": path, "value": "7"}])
    harmed_cluster.kubectl("patch", "clusterqueue", "team-a", "--type=json", "-p", patch)
    harmed_cluster.run("up")
    queue = json.loads(harmed_cluster.kubectl("get", "clusterqueue", "team-a", "-o", "json"))
    resources = queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"]
    assert {"name": "nvidia.com/gpu", "nominalQuota": "7"} in resources


@pytest.mark.parametrize("part", PART_NAMES)
def test_up_repairs_one_killed_part_and_leaves_the_others(
    harmed_cluster: HarmedCluster, part: str
) -> None:
    before = harmed_cluster.pids()
    os.kill(before[part] or 0, signal.SIGKILL)
    _await_end(harmed_cluster, part)
    assert harmed_cluster.run("status", check=False).returncode == 1
    harmed_cluster.run("up")
    after = harmed_cluster.pids()
    assert [name for name in PART_NAMES if after[name] != before[name]] == [part]
    nothing_is_lost(harmed_cluster)


def test_up_repairs_whatever_is_frozen(harmed_cluster: HarmedCluster) -> None:
    ports = StateFolder(harmed_cluster.folder).load_settings().ports
    for part in PART_NAMES:
        frozen = harmed_cluster.recorded(part)
        os.kill(frozen.pid, signal.SIGSTOP)
        harmed_cluster.run("up")
        assert harmed_cluster.recorded(part).pid != frozen.pid
        assert not frozen.alive
    nothing_is_lost(harmed_cluster)
    # Whoever was connected goes on where it was.
    assert StateFolder(harmed_cluster.folder).load_settings().ports == ports


def test_up_repairs_everything_frozen_at_once_and_killed_just_now(
    harmed_cluster: HarmedCluster,
) -> None:
    ports = StateFolder(harmed_cluster.folder).load_settings().ports
    before = {part: harmed_cluster.recorded(part).pid for part in PART_NAMES}
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    os.kill(before["kube-apiserver"], signal.SIGKILL)
    os.kill(before["object-store"], signal.SIGKILL)
    harmed_cluster.run("up")
    after = {part: harmed_cluster.recorded(part).pid for part in PART_NAMES}
    assert not set(before.values()) & set(after.values())
    nothing_is_lost(harmed_cluster)
    assert StateFolder(harmed_cluster.folder).load_settings().ports == ports


@pytest.mark.parametrize(
    ("part", "harm"), [("etcd", signal.SIGKILL), ("kube-apiserver", signal.SIGSTOP)]
)
def test_up_repairs_what_stops_while_it_waits_for_others(
    harmed_cluster: HarmedCluster, part: str, harm: signal.Signals
) -> None:
    before = harmed_cluster.pids()
    os.kill(before["kueue"] or 0, signal.SIGKILL)
    _await_end(harmed_cluster, "kueue")
    up = subprocess.Popen(harmed_cluster.command("up"), stdout=subprocess.PIPE, text=True)
    until(lambda: harmed_cluster.recorded("kueue").pid != before["kueue"])
    os.kill(before[part] or 0, harm)
    said, _ = up.communicate(timeout=90)
    assert up.returncode == 0, said
    assert f"{part} stopped while other parts were started" in said
    assert harmed_cluster.recorded(part).pid != before[part]
    nothing_is_lost(harmed_cluster)


def test_a_part_that_was_never_written_down_is_not_started_twice(
    harmed_cluster: HarmedCluster,
) -> None:
    stray = harmed_cluster.pids()["kueue"]
    (harmed_cluster.folder / "parts" / "kueue").unlink()
    harmed_cluster.run("up")
    marked = processes.find_marked(harmed_cluster.folder, harmed_cluster.folder / "node")
    running = [process.pid for process, part in marked if part == "kueue"]
    assert running == [harmed_cluster.pids()["kueue"]]
    assert stray not in running


LONG_RUN = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
print("runs", flush=True)
time.sleep(1000)
"""


def test_down_leaves_nothing_running_and_up_finds_everything_again(
    harmed_cluster: HarmedCluster,
) -> None:
    start_run(harmed_cluster, "stopped", retries=1)
    harmed_cluster.run("down")
    # Not even what a run started in a session of its own.
    assert processes_of(harmed_cluster) == []
    status = harmed_cluster.status()
    assert {part["state"] for part in status["parts"]} == {"stopped"}
    assert status["ready"] is False
    refused = harmed_cluster.run("kubectl", "get", "nodes", check=False)
    assert refused.returncode != 0
    first, *kubectls_own = refused.stderr.splitlines()
    assert first == "The local cluster is not running. To start it, run: jupyter kueue local up"
    assert any("refused" in line for line in kubectls_own)
    harmed_cluster.run("down")
    # Its output is captured: this returns only if no part holds it open.
    harmed_cluster.run("up")
    nothing_is_lost(harmed_cluster)
    # The run goes on by its retries.
    wait_for_log(harmed_cluster, "stopped")
    harmed_cluster.kubectl("delete", "job", "stopped", "--wait=false")


def test_two_ups_at_once_repair_everything_killed_and_runs_go_on(
    harmed_cluster: HarmedCluster,
) -> None:
    start_run(harmed_cluster, "survivor")
    for pid in harmed_cluster.pids().values():
        os.kill(pid or 0, signal.SIGKILL)
    for part in PART_NAMES:
        _await_end(harmed_cluster, part)
    ups = [
        subprocess.Popen(harmed_cluster.command("up"), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [up.communicate(timeout=150)[0] for up in ups]
    assert [up.returncode for up in ups] == [0, 0], outputs
    nothing_is_lost(harmed_cluster)
    pids = {part: pid for part, pid in harmed_cluster.pids().items() if part != "node"}
    marked = processes.find_marked(harmed_cluster.folder, harmed_cluster.folder / "node")
    assert {part: p.pid for p, part in marked if part in pids} == pids
    assert "runs" in harmed_cluster.kubectl("logs", "job/survivor")
    pods = json.loads(
        harmed_cluster.kubectl("get", "pods", "-l", "job-name=survivor", "-o", "json")
    )
    (pod,) = pods["items"]
    (container,) = pod["status"]["containerStatuses"]
    assert "running" in container["state"]
    assert container["restartCount"] == 0
    harmed_cluster.kubectl("delete", "job", "survivor", "--wait=false")


def test_another_size_and_more_images_are_taken_up_and_remembered(
    harmed_cluster: HarmedCluster,
) -> None:
    harmed_cluster.run("up", "--gpus", "3", "--image", f"my/image:1={sys.prefix}")
    harmed_cluster.run("up")
    node = json.loads(harmed_cluster.kubectl("get", "node", "local-node", "-o", "json"))
    assert node["status"]["capacity"]["nvidia.com/gpu"] == "3"
    names = {name for image in node["status"]["images"] for name in image["names"]}
    assert names == {"my/image:1", "jupyter-kueue/local:latest"}
    queues = json.loads(harmed_cluster.kubectl("get", "clusterqueues", "-o", "json"))["items"]
    shares = {
        queue["metadata"]["name"]: resource["nominalQuota"]
        for queue in queues
        for resource in queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"]
        if resource["name"] == "nvidia.com/gpu"
    }
    assert shares == {"team-a": "2", "team-b": "1", "other": "0"}


def start_run(cluster: HarmedCluster, name: str, retries: int = 0) -> None:
    """Submit a Job through Kueue that runs for long, and wait until it does."""
    container = {
        "name": "main",
        "image": "jupyter-kueue/local:latest",
        "command": ["python", "-c", LONG_RUN],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        # What a pod must be in a namespace of users.
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"kueue.x-k8s.io/queue-name": "team-a"}},
        "spec": {"backoffLimit": retries, "template": {"spec": pod}},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(job))
    wait_for_log(cluster, name)


def wait_for_log(cluster: HarmedCluster, job: str) -> None:
    """Wait until a pod of the Job that is not ending has printed its line."""

    def is_printed() -> bool:
        pods = json.loads(cluster.kubectl("get", "pods", "-l", f"job-name={job}", "-o", "json"))[
            "items"
        ]
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        return bool(running) and "runs" in cluster.kubectl("logs", running[0]["metadata"]["name"])

    until(is_printed, f"{job} has printed its line")


def test_a_port_taken_by_another_program_is_left_to_it(harmed_cluster: HarmedCluster) -> None:
    harmed_cluster.run("down")
    ports = StateFolder(harmed_cluster.folder).load_settings().ports
    with (
        socket.create_server(("127.0.0.1", ports["kube-apiserver"])),
        socket.create_server(("127.0.0.1", ports["object-store"])),
    ):
        said = harmed_cluster.run("up").stdout
        nothing_is_lost(harmed_cluster)
    assert f"port {ports['kube-apiserver']} is taken" in said
    after = {part["name"]: part["port"] for part in harmed_cluster.status()["parts"]}
    assert after["kube-apiserver"] != ports["kube-apiserver"]
    assert after["object-store"] != ports["object-store"]
    secret = json.loads(
        harmed_cluster.kubectl("get", "secret", "jupyter-kueue-bucket", "-o", "json")
    )
    endpoint = base64.b64decode(secret["data"]["endpoint"]).decode()
    assert endpoint == f"http://127.0.0.1:{after['object-store']}"


def test_a_pid_that_now_is_somebody_elses_is_not_killed(harmed_cluster: HarmedCluster) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = harmed_cluster.folder / "parts" / "kueue"
    mine = processes.load(record)
    assert mine is not None
    mine.stop(5)
    written = json.loads(record.read_text())
    record.write_text(json.dumps({**written, "pid": bystander.pid}))
    harmed_cluster.run("up")
    assert bystander.poll() is None
    nothing_is_lost(harmed_cluster)
    bystander.communicate(b"\n")


def test_two_clusters_do_not_meet(
    harmed_cluster: HarmedCluster, local_cluster: LocalCluster
) -> None:
    mine = StateFolder(harmed_cluster.folder).load_settings()
    theirs = StateFolder(local_cluster.dir).load_settings()
    assert set(mine.ports.values()).isdisjoint(theirs.ports.values())
    # The administrator of one is nobody to the other.
    refused = subprocess.run(
        [
            str(local_cluster.dir / "bin" / "kubectl"),
            f"--server=https://127.0.0.1:{theirs.ports['kube-apiserver']}",
            "--insecure-skip-tls-verify",
            f"--client-certificate={harmed_cluster.folder / 'certificates' / 'admin.crt'}",
            f"--client-key={harmed_cluster.folder / 'certificates' / 'admin.key'}",
            "get",
            "namespaces",
        ],
        env={**os.environ, "KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "must be logged in" in refused.stderr or "Unauthorized" in refused.stderr


def test_env_serves_any_shell(harmed_cluster: HarmedCluster) -> None:
    script = f"{harmed_cluster.run('env').stdout}\nkubectl get localqueues -o name && env -0"
    shell = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True)
    queues, _, variables = shell.stdout.rpartition("team-b\n")
    assert "localqueue.kueue.x-k8s.io/team-a" in queues
    shown = dict(item.partition("=")[::2] for item in variables.split("\0"))
    assert shown["KUBECONFIG"] == str(harmed_cluster.folder / "user.kubeconfig")
    assert shown["JUPYTER_KUEUE_LOCAL_DIR"] == str(harmed_cluster.folder)
    assert Path(shown["JUPYTER_KUEUE_BUCKET"], "url").read_text() == "s3://outputs/default"


def test_other_certificate_settings_in_the_environment_do_no_harm(
    harmed_cluster: HarmedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = tmp_path / "empty.pem"
    nothing.touch()
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(nothing))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    harmed_cluster.run("up")
    nothing_is_lost(harmed_cluster)


def test_all_files_are_private_whatever_the_umask(harmed_cluster: HarmedCluster) -> None:
    harmed_cluster.run("reset", "--yes")
    before = os.umask(0)
    try:
        harmed_cluster.run("up")
        harmed_cluster.keep_something()
    finally:
        os.umask(before)
    # kubectl and SeaweedFS set the modes of a few files themselves, behind closed doors.
    closed = [harmed_cluster.folder / name for name in ("kubectl-cache", "object-store/data")]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in closed} == {0o700}
    files = [
        path
        for path in (harmed_cluster.folder, *harmed_cluster.folder.rglob("*"))
        if not any(path.is_relative_to(folder) for folder in closed)
    ]
    assert len(files) > 50
    open_to_others = [
        (oct(path.lstat().st_mode), str(path))
        for path in files
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    ]
    assert not open_to_others


def test_kueue_holds_back_a_job_without_a_queue_even_without_the_policy(
    harmed_cluster: HarmedCluster,
) -> None:
    policies = "validatingadmissionpolicybinding/jupyter-kueue-queue-required"
    kept = harmed_cluster.kubectl("get", policies, "-o", "yaml")
    harmed_cluster.kubectl("delete", policies)
    container = {"name": "main", "image": "jupyter-kueue/local:latest", "command": ["true"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "loose"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    try:
        until(lambda: harmed_cluster.try_kubectl("create", "-f", "-", stdin=json.dumps(job)))
        unsuspend = '{"spec": {"suspend": false}}'
        harmed_cluster.kubectl("patch", "job", "loose", "--type=merge", "-p", unsuspend)
        suspended = ("get", "job", "loose", "-o", "jsonpath={.spec.suspend}")
        until(lambda: harmed_cluster.kubectl(*suspended) == "true")
        assert not harmed_cluster.kubectl("get", "pods", "-l", "job-name=loose", "-o", "name")
    finally:
        harmed_cluster.kubectl("delete", "job", "loose", "--ignore-not-found")
        written = yaml.safe_load(kept)
        written["metadata"] = {"name": written["metadata"]["name"]}
        harmed_cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(written))


def test_reset_asks_and_then_forgets(harmed_cluster: HarmedCluster) -> None:
    asked = harmed_cluster.run("reset", check=False)
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    nothing_is_lost(harmed_cluster)
    harmed_cluster.run("reset", "--yes")
    assert processes_of(harmed_cluster) == []
    missing = harmed_cluster.run("env", check=False)
    assert missing.returncode == 1
    assert "jupyter kueue local up" in missing.stderr
    harmed_cluster.run("up")
    assert "kept" not in harmed_cluster.kubectl("get", "configmaps", "-o", "name")
    harmed_cluster.keep_something()


def test_reset_does_not_touch_other_folders(tmp_path: Path, cli) -> None:
    (tmp_path / "thesis.tex").touch()
    refused = cli("local", "reset", "--yes", "--dir", str(tmp_path), check=False)
    assert refused.returncode == 1
    assert "not the folder of a local cluster" in refused.stderr
    assert (tmp_path / "thesis.tex").exists()


def test_a_part_that_cannot_start_is_named_with_its_log(tmp_path: Path, cli) -> None:
    folder = tmp_path / "cluster"
    (folder / "etcd").mkdir(parents=True)
    (folder / "etcd" / "data").touch()
    failed = cli("local", "up", "--dir", str(folder), check=False)
    cli("local", "down", "--dir", str(folder))
    assert failed.returncode == 1
    assert "etcd ended at once" in failed.stderr
    assert str(folder / "logs" / "etcd.log") in failed.stderr
    assert "Traceback" not in failed.stderr


def _await_end(cluster: HarmedCluster, part: str) -> None:
    """Wait until a killed part is gone, and everything that it had."""
    record = processes.load(cluster.folder / "parts" / part)
    assert record is not None
    until(lambda: not record.alive, f"{part} is gone")
