"""What docs/operations.md, "Trust", says of a namespace, tried with its user's own kubectl."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import LocalCluster, Namespace

pytestmark = pytest.mark.integration

Json = dict[str, Any]

QUEUE = {"kueue.x-k8s.io/queue-name": "team-a"}
ORDINARY = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
DEADLINE_SECONDS = 60


class User:
    """The namespace as its user sees it."""

    def __init__(self, cluster: LocalCluster, namespace: Namespace) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def kubectl(self, *arguments: str, stdin: Json | None = None) -> str:
        return self.cluster.kubectl(
            *arguments,
            input=json.dumps(stdin) if stdin else None,
            kubeconfig=self.namespace.user_kubeconfig,
        )

    def try_to(
        self, *arguments: str, stdin: Json | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run what need not work."""
        return subprocess.run(
            [str(self.cluster.dir / "bin" / "kubectl"), *arguments],
            env={"KUBECONFIG": str(self.namespace.user_kubeconfig), "HOME": "/nowhere"},
            input=json.dumps(stdin) if stdin else None,
            capture_output=True,
            text=True,
            check=False,
        )

    def refused(self, *arguments: str, stdin: Json | None = None) -> str:
        """Run what must not work, and return the API server's words."""
        done = self.try_to(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def create(self, item: Json) -> Json:
        created: Json = json.loads(self.kubectl("create", "-f", "-", "-o", "json", stdin=item))
        return created

    def get(self, *arguments: str) -> Json:
        found: Json = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def pods(self, job: str) -> list[Json]:
        found: list[Json] = self.get("pods", "-l", f"job-name={job}")["items"]
        return found

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        return until(look, what)

    def until_event(self, name: str, reason: str) -> str:
        selector = f"--field-selector=involvedObject.name={name},reason={reason}"
        events = self.until(f"{reason} of {name}", lambda: self.get("events", selector)["items"])
        return str(events[0]["message"])


@pytest.fixture
def user(local_cluster: LocalCluster, namespace: Namespace) -> User:
    return User(local_cluster, namespace)


def job(name: str, labels: dict[str, str], **pod: Any) -> Json:
    main = {
        "name": "main",
        "image": "jupyter-kueue/local:latest",
        "command": ["true"],
        "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": ORDINARY,
        "containers": [main],
        **pod,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"template": {"spec": spec}},
    }


def test_an_ordinary_job_runs(user: User) -> None:
    user.create(job("ordinary", QUEUE))
    user.kubectl("wait", "job/ordinary", "--for=condition=Complete", "--timeout=60s")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("volumes", [{"name": "host", "hostPath": {"path": "/"}}], "hostPath"),
        ("securityContext", {**ORDINARY, "runAsUser": 0, "runAsNonRoot": False}, "runAsNonRoot"),
        ("hostNetwork", True, "hostNetwork"),
        ("hostPID", True, "hostPID"),
        ("securityContext", {"runAsNonRoot": True}, "seccompProfile"),
    ],
)
def test_a_job_that_wants_more_than_an_ordinary_one_never_gets_a_pod(
    user: User, field: str, value: Any, said: str
) -> None:
    user.create(job("more", QUEUE, **{field: value}))
    message = user.until_event("more", "FailedCreate")
    assert 'violates PodSecurity "restricted' in message
    assert said in message
    assert user.pods("more") == []


@pytest.mark.parametrize(
    "what",
    [
        ("get", "secrets"),
        ("create", "pods"),
        ("create", "pods", "--subresource=exec"),
        ("get", "pods", "--subresource=exec"),
        ("update", "pods", "--subresource=ephemeralcontainers"),
        ("patch", "jobs.batch", "--subresource=status"),
        ("create", "serviceaccounts", "--subresource=token"),
        ("create", "workloads.kueue.x-k8s.io"),
        ("update", "workloads.kueue.x-k8s.io", "--subresource=status"),
        ("create", "localqueues.kueue.x-k8s.io"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("create", "pods", "--subresource=binding"),
        ("patch", "namespaces"),
    ],
    ids=" ".join,
)
def test_what_would_lead_around_the_limits_is_nobodys_right(
    user: User, what: tuple[str, ...]
) -> None:
    assert user.try_to("auth", "can-i", *what).stdout.strip() == "no"


def test_the_labels_of_a_namespace_are_not_its_users_to_change(user: User) -> None:
    name = user.namespace.name
    for label in ("pod-security.kubernetes.io/enforce-", "jupyter-kueue/queue-required-"):
        assert "forbidden" in user.refused("label", "namespace", name, label).lower()


def test_every_job_of_a_users_namespace_goes_through_kueue(user: User) -> None:
    said = user.refused("create", "-f", "-", stdin=job("loose", {}))
    assert "set the label kueue.x-k8s.io/queue-name" in said
    empty = job("loose", {"kueue.x-k8s.io/queue-name": ""})
    assert "set the label" in user.refused("create", "-f", "-", stdin=empty)
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "loose"},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job("x", {})["spec"]}},
    }
    assert "set the label" in user.refused("create", "-f", "-", stdin=cron_job)
    cron_job["spec"]["jobTemplate"]["metadata"] = {"labels": QUEUE}
    user.create(cron_job)
    without = '[{"op": "remove", "path": "/spec/jobTemplate/metadata/labels"}]'
    change = ("patch", "cronjob", "loose", "--type=json", "-p", without)
    assert "set the label" in user.refused(*change)


def test_a_waiting_job_neither_loses_its_queue_nor_starts_by_its_makers_word(user: User) -> None:
    waiting = job("waiting", {"kueue.x-k8s.io/queue-name": "nosuch"})
    assert user.create(waiting)["spec"]["suspend"] is True
    label = user.refused("label", "job", "waiting", "kueue.x-k8s.io/queue-name-")
    assert "set the label" in label
    user.kubectl("patch", "job", "waiting", "--type=merge", "-p", '{"spec": {"suspend": false}}')
    user.until("it is suspended again", lambda: user.get("job", "waiting")["spec"]["suspend"])
    user.create(job("ordinary", QUEUE))
    user.kubectl("wait", "job/ordinary", "--for=condition=Complete", "--timeout=60s")
    assert user.pods("waiting") == []


def test_a_job_does_not_run_as_part_of_another(user: User) -> None:
    owner = user.create(job("owner", QUEUE))
    references = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": "owner",
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
    ]
    child = job("child", QUEUE)
    child["metadata"]["ownerReferences"] = references
    assert "remove metadata.ownerReferences" in user.refused("create", "-f", "-", stdin=child)
    user.create(job("child", {"kueue.x-k8s.io/queue-name": "nosuch"}))
    later = json.dumps({"metadata": {"ownerReferences": references}})
    adopted = user.refused("patch", "job", "child", "--type=merge", "-p", later)
    assert "remove metadata.ownerReferences" in adopted


@pytest.mark.parametrize("name", ["system-node-critical", "system-cluster-critical"])
def test_no_run_has_the_priority_of_the_clusters_own_parts(user: User, name: str) -> None:
    urgent = job("urgent", QUEUE, priorityClassName=name)
    refusal = user.refused("create", "-f", "-", stdin=urgent)
    assert "remove priorityClassName" in refusal
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "urgent"},
        "spec": {
            "schedule": "0 0 29 2 *",
            "jobTemplate": {"metadata": {"labels": QUEUE}, "spec": urgent["spec"]},
        },
    }
    assert "remove priorityClassName" in user.refused("create", "-f", "-", stdin=cron_job)
