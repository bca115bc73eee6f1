"""What pods and Jobs do on the local node, as kubectl shows it."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from local_cluster.tests.node.pods import (
    IMAGE,
    condition_of,
    container,
    job,
    pod,
    pod_spec,
    simple_pod,
    status_of,
)
from tests.support.polling import until
from tests.support.ports import free_port

if TYPE_CHECKING:
    from local_cluster.tests.node.pods import Pods

pytestmark = pytest.mark.integration

LOOP = "while :; do sleep 0.05; done"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pod_of_job(pods: Pods, name: str) -> str:
    return pods.kubectl("get", "pods", "-l", f"job-name={name}", "-o", "name").split()[0]


@pytest.fixture(scope="module", autouse=True)
def slow_ones(pods: Pods) -> None:
    """Begin what waits for back-offs of the cluster's own, so that it waits beside the rest."""
    unknown = simple_pod("imageless", "true")
    unknown["spec"]["containers"][0]["image"] = "example.org/nobody/nothing:1"
    pods.create(
        unknown,
        job("bad", "exit 3", backoffLimit=1),
        simple_pod("crashing", "date +run-%s%N; exit 1", restartPolicy="Always"),
    )


def test_a_job_succeeds(pods: Pods) -> None:
    pods.create(job("good", "echo hello"))
    pods.wait("good", ".status.succeeded", "1", kind="job")
    name = pod_of_job(pods, "good").removeprefix("pod/")
    assert pods.logs(name) == "hello\n"
    done = pods.get(name)
    end = status_of(done)["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert end["startedAt"] <= end["finishedAt"]
    assert done["status"]["phase"] == "Succeeded"
    assert done["status"]["qosClass"] == "BestEffort"
    assert condition_of(done, "Ready")["reason"] == "PodCompleted"
    assert condition_of(done, "Initialized")["status"] == "True"
    isolation = condition_of(done, "jupyter-kueue/Isolation")
    assert isolation["status"] == "False"
    assert "plain processes" in isolation["message"]
    pods.wait_for_event(name, "Started")
    reasons = [reason for reason, _ in pods.events(name) if reason != "Scheduled"]
    assert reasons == ["Pulled", "Created", "Started"]


def test_a_pod_ends_at_its_deadline(pods: Pods) -> None:
    pods.create(simple_pod("late", "sleep 1000", activeDeadlineSeconds=1))
    late = pods.wait_for_phase("late", "Failed")
    assert late["status"]["reason"] == "DeadlineExceeded"
    assert status_of(late)["state"]["terminated"]["exitCode"] == 143


def test_deletion_gives_time_to_clean_up(pods: Pods) -> None:
    script = "trap 'echo told to end; sleep 0.5; echo clean; exit 0' TERM; echo up; " + LOOP
    pods.create(simple_pod("polite", script))
    with pods.follow("polite", "up\n") as (_, rest):
        pods.kubectl("delete", "pod", "polite", "--timeout=60s")
        assert rest() == "told to end\nclean\n"
    assert "polite" in pods.fails("get", "pod", "polite")


def test_what_ignores_sigterm_is_killed_with_all_its_children(pods: Pods) -> None:
    script = "trap '' TERM; (setsid sleep 1000 & echo child $!); echo self $$$$; " + LOOP
    pods.create(simple_pod("stubborn", script, terminationGracePeriodSeconds=1))
    words = pods.wait_for_log("stubborn", "self").split()
    pids = [int(words[1]), int(words[3])]
    assert all(map(is_running, pids))
    pods.kubectl("delete", "pod", "stubborn", "--timeout=60s")
    assert not any(map(is_running, pids))


def test_force_deletion_ends_the_processes_too(pods: Pods) -> None:
    pods.create(simple_pod("forced", "trap '' TERM; echo self $$$$; " + LOOP))
    pid = int(pods.wait_for_log("forced", "self").split()[1])
    folder = pods.folder("forced")
    pods.kubectl("delete", "pod", "forced", "--force", "--grace-period=0")
    until(lambda: not is_running(pid), "the process ends")
    until(lambda: not folder.exists(), "the folder is removed")


def test_a_pre_stop_hook_runs_before_sigterm(pods: Pods) -> None:
    main = container(
        "main",
        f"trap 'echo told after $(cat /out/hook); exit 0' TERM; echo up; {LOOP}",
        lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /out/hook"]}}},
        volumeMounts=[{"name": "out", "mountPath": "/out"}],
    )
    pods.create(pod("hooked", pod_spec(main, volumes=[{"name": "out", "emptyDir": {}}])))
    with pods.follow("hooked", "up\n") as (_, rest):
        pods.kubectl("delete", "pod", "hooked", "--wait=false")
        assert rest() == "told after hook\n"


def test_too_much_memory_is_an_oom_kill(pods: Pods) -> None:
    hog = "b = bytearray(200_000_000); print(len(b), flush=True); import time; time.sleep(1000)"
    main = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", hog],
        "resources": {"limits": {"memory": "100Mi"}},
    }
    pods.create(pod("hungry", pod_spec(main)))
    end = status_of(pods.wait_for_phase("hungry", "Failed"))["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


def test_init_containers_sidecar_and_main_in_order(pods: Pods) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    note = "echo {} >> /shared/order"
    spec = pod_spec(
        container(
            "main",
            f"cat /shared/up && {note.format('main')}; sleep 0.5; {note.format('main ends')}",
            volumeMounts=mounts,
        ),
        initContainers=[
            container("first", note.format("first"), volumeMounts=mounts),
            container(
                "side",
                f"trap '{note.format('side told')}; cat /shared/order; exit 0' TERM; "
                f"{note.format('side')}; sleep 0.5; touch /shared/up; {LOOP}",
                restartPolicy="Always",
                startupProbe={
                    "exec": {"command": ["test", "-e", "/shared/up"]},
                    "periodSeconds": 1,
                    "failureThreshold": 30,
                },
                volumeMounts=mounts,
            ),
            container("second", note.format("second"), volumeMounts=mounts),
        ],
        volumes=[{"name": "shared", "emptyDir": {}}],
    )
    pods.create(pod("ordered", spec))
    done = pods.wait_for_phase("ordered", "Succeeded")
    assert pods.logs("ordered", "-c", "side").splitlines() == [
        "first",
        "side",
        "second",
        "main",
        "main ends",
        "side told",
    ]
    assert status_of(done, "side")["state"]["terminated"]["exitCode"] == 0
    assert status_of(done, "first")["ready"]


def test_a_sidecar_that_dies_is_started_again(pods: Pods) -> None:
    spec = pod_spec(
        container("main", "sleep 1000"),
        initContainers=[
            container(
                "side",
                f"test -e $HOME/again && {LOOP}; touch $HOME/again; exit 1",
                restartPolicy="Always",
            )
        ],
    )
    pods.create(pod("restarted", spec))
    pods.wait("restarted", ".status.initContainerStatuses[0].restartCount", "1")
    running = pods.wait("restarted", ".status.initContainerStatuses[0].ready", "true")
    side = status_of(running, "side")
    assert side["lastState"]["terminated"]["exitCode"] == 1
    assert running["status"]["phase"] == "Running"
    pods.kubectl("delete", "pod", "restarted", "--wait=false")


def test_a_failing_init_container_fails_the_pod(pods: Pods) -> None:
    spec = pod_spec(
        container("main", "echo never"), initContainers=[container("init", "echo why; exit 4")]
    )
    pods.create(pod("uninitialized", spec))
    failed = pods.wait_for_phase("uninitialized", "Failed")
    assert status_of(failed, "init")["state"]["terminated"]["exitCode"] == 4
    assert status_of(failed)["state"]["waiting"]["reason"] == "PodInitializing"
    assert pods.logs("uninitialized", "-c", "init") == "why\n"
    assert "waiting to start: PodInitializing" in pods.fails("logs", "uninitialized", "-c", "main")


def test_a_pod_waits_for_its_secret(pods: Pods) -> None:
    main = container(
        "main",
        "cat /credentials/key; echo; echo $PASSWORD; stat -c %a /credentials/key",
        env=[
            {
                "name": "PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": "later", "key": "password"}},
            }
        ],
        volumeMounts=[{"name": "secret", "mountPath": "/credentials", "readOnly": True}],
    )
    volume = {"name": "secret", "secret": {"secretName": "later", "defaultMode": 0o440}}
    pods.create(pod("patient", pod_spec(main, volumes=[volume])))
    assert 'secret "later" not found' in pods.wait_for_event("patient", "FailedMount")
    waiting = pods.get("patient")
    assert status_of(waiting)["state"]["waiting"]["reason"] == "ContainerCreating"
    pods.kubectl("create", "secret", "generic", "later", "--from-literal=key=k")
    path = ".status.containerStatuses[0].state.waiting.reason"
    waiting = pods.wait("patient", path, "CreateContainerConfigError")
    message = status_of(waiting)["state"]["waiting"]["message"]
    assert f"couldn't find key password in Secret {pods.namespace}/later" in message
    pods.kubectl("patch", "secret", "later", "-p", '{"stringData": {"password": "open sesame"}}')
    pods.wait_for_phase("patient", "Succeeded")
    assert pods.logs("patient") == "k\nopen sesame\n440\n"


def test_environment_and_volumes(pods: Pods, tmp_path_factory: pytest.TempPathFactory) -> None:
    host = tmp_path_factory.mktemp("host")
    (host / "in.txt").write_text("from the host")
    pods.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings"},
            "data": {"color": "blue", "file": "content"},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": pods.namespace},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": str(host)},
                "claimRef": {"namespace": pods.namespace, "name": "claim"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "claim"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "volumeName": pods.namespace,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    )
    script = """
        set -e
        echo color=$SET_color label=$LABEL cpu=$CPU name=$(POD)
        cat /config/renamed; echo
        cat /projected/name; echo
        cat /host/in.txt; echo
        cat /claim/in.txt; echo
        echo kept > /sub/file; cat /all/inner/file
        pwd; echo $PLACE; test -d $HOME -a -d $TMPDIR
        test -z "$(ls -A $TMPDIR)" && echo empty
        echo $TMPDIR | wc -c
        python -c "import jupyter_server, os; print('JUPYTER_KUEUE_LOCAL_PART' in os.environ)"
    """
    main = container(
        "main",
        script,
        workingDir="/all",
        env=[
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "PLACE", "value": "in /all/inner for $(POD)"},
        ],
        envFrom=[{"prefix": "SET_", "configMapRef": {"name": "settings"}}],
        resources={"limits": {"cpu": "1500m"}},
        volumeMounts=[
            {"name": "config", "mountPath": "/config"},
            {"name": "projected", "mountPath": "/projected"},
            {"name": "host", "mountPath": "/host"},
            {"name": "claim", "mountPath": "/claim"},
            {"name": "space", "mountPath": "/all"},
            {"name": "space", "mountPath": "/sub", "subPath": "inner"},
        ],
    )
    name_item = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    settings_item = {"key": "file", "path": "renamed"}
    spec = pod_spec(
        main,
        volumes=[
            {"name": "config", "configMap": {"name": "settings", "items": [settings_item]}},
            {
                "name": "projected",
                "projected": {"sources": [{"downwardAPI": {"items": [name_item]}}]},
            },
            {"name": "host", "hostPath": {"path": str(host), "type": "Directory"}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "space", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
    )
    pods.create(pod("furnished", spec, labels={"a": "b"}))
    done = until(lambda: ended(pods, "furnished"), "the pod ends")
    assert done["status"]["phase"] == "Succeeded", pods.logs("furnished")
    space = pods.folder("furnished") / "volumes" / "space"
    lines = pods.logs("furnished").splitlines()
    # Sockets below it must fit into 107 bytes.
    assert int(lines.pop(-2)) < 70
    assert lines == [
        "color=blue label=b cpu=2 name=furnished",
        "content",
        "furnished",
        "from the host",
        "from the host",
        "kept",
        str(space),
        f"in {space}/inner for furnished",
        "empty",
        "False",
    ]


def ended(pods: Pods, name: str) -> dict[str, object] | None:
    found = pods.get(name)
    return found if found["status"].get("phase") in ("Succeeded", "Failed") else None


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("refused-pid", {"hostPID": True}, "process namespace"),
        (
            "refused-nfs",
            {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
            "kind nfs",
        ),
    ],
)
def test_what_the_node_cannot_do_is_refused_with_the_reason(
    pods: Pods, name: str, spec: dict[str, object], words: str
) -> None:
    pods.create(simple_pod(name, "true", **spec))
    refused = pods.wait_for_phase(name, "Failed")
    assert refused["status"]["reason"] == "UnsupportedByLocalNode"
    assert words in refused["status"]["message"]


def test_a_missing_program_and_a_missing_command_are_told_apart(pods: Pods) -> None:
    nothing = simple_pod("commandless", "")
    del nothing["spec"]["containers"][0]["command"]
    missing = simple_pod("programless", "")
    missing["spec"]["containers"][0]["command"] = ["no-such-program"]
    pods.create(nothing, missing)
    end = status_of(pods.wait_for_phase("programless", "Failed"))["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert "no-such-program" in end["message"]
    path = ".status.containerStatuses[0].state.waiting.reason"
    waiting = pods.wait("commandless", path, "CreateContainerError")
    assert "no command specified" in status_of(waiting)["state"]["waiting"]["message"]
    pods.kubectl("delete", "pod", "commandless", "--wait=false")


def test_termination_messages(pods: Pods) -> None:
    written = simple_pod("message-file", "echo saved > /dev/termination-log; exit 1")
    logged = simple_pod("message-log", "echo the last words; exit 1")
    logged["spec"]["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError"
    pods.create(written, logged)
    for name, message in (("message-file", "saved\n"), ("message-log", "the last words\n")):
        end = status_of(pods.wait_for_phase(name, "Failed"))["state"]["terminated"]
        assert end["message"] == message


def test_probes_decide_readiness_and_life(pods: Pods) -> None:
    port = free_port()
    serve = f"exec python -m http.server {port} --bind 127.0.0.1 --directory /shared"
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    ready = {"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 1}
    alive = {
        "exec": {"command": ["test", "!", "-e", "/shared/sick"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    spec = pod_spec(
        container(
            "main",
            serve,
            ports=[{"name": "web", "containerPort": port}],
            startupProbe={"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 30},
            readinessProbe=ready,
            livenessProbe=alive,
            volumeMounts=mounts,
        ),
        volumes=[{"name": "shared", "emptyDir": {}}],
        restartPolicy="Always",
    )
    pods.create(pod("probed", spec))
    running = pods.wait("probed", ".status.containerStatuses[0].started", "true")
    pods.wait_for_event("probed", "Unhealthy", "HTTP probe failed with statuscode: 404")
    assert not status_of(running)["ready"]
    assert condition_of(running, "Ready")["reason"] == "ContainersNotReady"
    shared = pods.folder("probed") / "volumes" / "shared"
    (shared / "ready").touch()
    pods.kubectl("wait", "pod/probed", "--for=condition=Ready", "--timeout=60s")
    (shared / "sick").touch()
    pods.wait_for_event("probed", "Unhealthy", "Liveness probe failed")
    pods.wait_for_event("probed", "Killing", "failed liveness probe, will be restarted")
    (shared / "sick").unlink()
    again = pods.wait("probed", ".status.containerStatuses[0].restartCount", "1")
    assert status_of(again)["lastState"]["terminated"]["exitCode"] in (137, 143)
    pods.kubectl("delete", "pod", "probed", "--wait=false")


def test_an_ordinary_pod_gets_its_service_account_token(pods: Pods) -> None:
    ordinary = simple_pod("ordinary", "wc -c < $TOKEN")
    del ordinary["spec"]["automountServiceAccountToken"]
    ordinary["spec"]["containers"][0]["env"] = [
        {"name": "TOKEN", "value": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
    ]
    pods.create(ordinary)
    pods.wait_for_phase("ordinary", "Succeeded")
    assert int(pods.logs("ordinary")) > 100


def test_logs_with_all_options(pods: Pods) -> None:
    script = "for i in 1 2 3; do echo line $i; done; sleep 1.1; echo line 4 >&2; printf end"
    pods.create(simple_pod("talkative", script))
    whole = "line 1\nline 2\nline 3\nline 4\nend"
    with pods.follow("talkative", "line 2") as (seen, rest):
        assert seen + rest() == whole
    pods.wait_for_phase("talkative", "Succeeded")
    assert pods.logs("talkative") == whole
    assert pods.logs("talkative", "--tail=2") == "line 4\nend"
    assert pods.logs("talkative", "--limit-bytes=8") == "line 1\nl"
    stamped = pods.logs("talkative", "--timestamps").splitlines()
    moment = stamped[3].split()[0]
    assert stamped[3].endswith("line 4")
    assert pods.logs("talkative", f"--since-time={moment}") == "line 4\nend"
    assert "previous terminated container" in pods.fails("logs", "talkative", "--previous")


def test_entering_a_container_is_refused_in_words(pods: Pods) -> None:
    pods.create(simple_pod("closed", "sleep 1000"))
    pods.wait_for_phase("closed", "Running")
    assert "does not support exec" in pods.fails("exec", "closed", "--", "true")
    pods.kubectl("delete", "pod", "closed", "--wait=false")


def test_a_started_pod_is_reported_soon_and_in_full(pods: Pods) -> None:
    began = time.time()
    pods.create(simple_pod("seen", "sleep 1000"))
    pods.kubectl("wait", "pod/seen", "--for=condition=Ready", "--timeout=60s")
    described = pods.kubectl("describe", "pod", "seen")
    for words in ("local-node/127.0.0.1", "State:", "Running", "Started:", "QoS Class:"):
        assert words in described
    seen = pods.get("seen")
    assert seen["status"]["podIP"] == "127.0.0.1"
    assert condition_of(seen, "PodScheduled")["status"] == "True"
    assert began - 1 <= time.time()
    pods.kubectl("delete", "pod", "seen", "--wait=false")


def test_an_undeclared_image_is_not_pulled(pods: Pods) -> None:
    path = ".status.containerStatuses[0].state.waiting.reason"
    waiting = pods.wait("imageless", path, "ImagePullBackOff")
    message = status_of(waiting)["state"]["waiting"]["message"]
    assert "example.org/nobody/nothing:1" in message
    assert "jupyter kueue local up --image" in message
    assert waiting["status"]["phase"] == "Pending"
    pods.wait_for_event("imageless", "BackOff", "Back-off pulling image")
    pods.wait_for_event("imageless", "Failed", "Error: ErrImagePull")
    pods.kubectl("delete", "pod", "imageless", "--timeout=60s")


def test_a_crashing_container_backs_off_and_shows_its_previous_log(pods: Pods) -> None:
    path = ".status.containerStatuses[0].state.waiting.reason"
    waiting = pods.wait("crashing", path, "CrashLoopBackOff")
    status = status_of(waiting)
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 1
    message = status["state"]["waiting"]["message"]
    assert re.match(r"back-off [\dms]+ restarting failed container=main pod=crashing_", message)
    assert waiting["status"]["phase"] == "Running"
    assert pods.logs("crashing", "--previous").startswith("run-")
    assert pods.logs("crashing").startswith("run-")
    pods.kubectl("delete", "pod", "crashing", "--timeout=60s")


def test_a_failing_job_is_tried_again_as_often_as_it_says(pods: Pods) -> None:
    pods.kubectl("wait", "job/bad", "--for=condition=Failed", "--timeout=60s")
    status = pods.get("bad", "job")["status"]
    assert status["failed"] == 2
    assert status["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    name = pod_of_job(pods, "bad").removeprefix("pod/")
    failed = pods.get(name)
    assert failed["status"]["phase"] == "Failed"
    end = status_of(failed)["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (3, "Error")
