from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.polling import until

if TYPE_CHECKING:
    from conftest import LocalCluster, Namespace

pytestmark = pytest.mark.integration


def job(name: str, local_queue: str = "team-a", priority: str = "", **requests: str) -> Any:
    """Return a Job as a user writes it; its image is unknown to every node, so it never ends."""
    labels = {"kueue.x-k8s.io/queue-name": local_queue}
    if priority:
        labels["kueue.x-k8s.io/priority-class"] = priority
    resources = {"requests": requests, "limits": requests}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {"name": "main", "image": "nowhere/nothing:1", "resources": resources}
                    ],
                }
            }
        },
    }


class Queue:
    """Submits Jobs in one namespace as its user and sees what Kueue makes of them."""

    def __init__(self, cluster: LocalCluster, namespace: Namespace) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def submit(self, body: Any) -> None:
        self.cluster.kubectl(
            "create", "-f", "-", input=json.dumps(body), kubeconfig=self.namespace.user_kubeconfig
        )

    def conditions(self, name: str) -> dict[str, Any]:
        """Return the conditions of a Job's Workload, by type."""
        found = self.cluster.get("workloads", "-n", self.namespace.name)["items"]
        for workload in found:
            if workload["metadata"]["ownerReferences"][0]["name"] == name:
                return {c["type"]: c for c in workload.get("status", {}).get("conditions", [])}
        return {}

    def await_condition(self, name: str, condition: str, status: str = "True") -> Any:
        def found() -> Any:
            seen = self.conditions(name).get(condition, {})
            return seen if seen.get("status") == status else None

        return until(found, f"{name} {condition}={status}")

    def positions(self, local_queue: str = "team-a") -> list[str]:
        """Return the pending Jobs of a LocalQueue in order, as the position API has them."""
        path = (
            f"/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/{self.namespace.name}"
            f"/localqueues/{local_queue}/pendingworkloads"
        )
        answer = json.loads(
            self.cluster.kubectl("get", "--raw", path, kubeconfig=self.namespace.user_kubeconfig)
        )
        items = sorted(answer["items"], key=lambda item: item["positionInLocalQueue"])
        return [item["metadata"]["ownerReferences"][0]["name"] for item in items]


@pytest.fixture
def queue(local_cluster: LocalCluster, namespace: Namespace) -> Queue:
    return Queue(local_cluster, namespace)


def test_a_job_with_the_label_is_suspended_by_the_webhook(queue: Queue) -> None:
    body = job("plain", cpu="1")
    dry_run = queue.cluster.kubectl(
        "create",
        "--dry-run=server",
        "-o",
        "json",
        "-f",
        "-",
        input=json.dumps(body),
        kubeconfig=queue.namespace.user_kubeconfig,
    )
    assert json.loads(dry_run)["spec"]["suspend"] is True


@pytest.mark.parametrize("namespace", [{"gpus": 2, "cpu": 4}], indirect=True)
def test_quota_borrowing_positions_and_reclaim(queue: Queue) -> None:
    gpu = {"cpu": "100m", "nvidia.com/gpu": "1"}
    queue.submit(job("first", **gpu))
    queue.submit(job("borrower", **gpu))
    for name in ("first", "borrower"):
        queue.await_condition(name, "Admitted")
    queue.submit(job("third", **gpu))
    queue.submit(job("urgent", priority="high", **gpu))
    # More urgent than what its own team has running.
    queue.await_condition("urgent", "Admitted")
    waiting = until(lambda: len(queue.positions()) == 2 and queue.positions(), "positions")
    (preempted,) = {"first", "borrower"} & set(waiting)
    assert set(waiting) == {"third", preempted}
    assert queue.await_condition(preempted, "Preempted")["reason"] == "InClusterQueue"
    # The other team takes back its own half, from the less urgent one.
    queue.submit(job("owner", "team-b", **gpu))
    queue.await_condition("owner", "Admitted")
    (reclaimed,) = {"first", "borrower"} - {preempted}
    assert queue.await_condition(reclaimed, "Preempted")["reason"] == "InCohortReclamation"
    assert queue.conditions("urgent")["Admitted"]["status"] == "True"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (job("lost", "nosuch", cpu="1"), "Misconfigured"),
        (job("huge", cpu="999"), "ExceedsMaxQuota"),
    ],
    ids=["no-such-queue", "more-than-the-cohort"],
)
def test_the_reason_why_a_job_cannot_start_is_told(queue: Queue, body: Any, reason: str) -> None:
    queue.submit(body)
    name = body["metadata"]["name"]
    assert queue.await_condition(name, "QuotaReserved", "False")["reason"] == reason
