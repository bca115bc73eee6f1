"""Why a kubelet evicted a pod, in its own words, and when that ends a run."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain.run_facts import Limits
from jupyter_kueue.domain.run_request import RunRequest
from tests.domain.test_run_status import (
    ADMITTED,
    ENDED,
    NOW,
    admitted,
    bucket,
    condition,
    derive,
    failed_job,
    failed_pod,
    job,
    pod,
    running,
    terminated,
)

Json = dict[str, Any]

# pkg/kubelet/eviction/helpers.go of Kubernetes 1.36.
POD = "Pod ephemeral local storage usage exceeds the total limit of containers 180Mi. "
VOLUME = 'Usage of EmptyDir volume "workspace" exceeds the limit "50Mi". '
CONTAINER = 'Container notebook exceeded its local ephemeral storage limit "60Mi". '
MEMORY = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 88Mi. Container "
    "notebook was using 1234Ki, request is 300Mi, has larger consumption of memory. "
)
DISK = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. "
    "Container notebook was using 5Gi, request is 0, has larger consumption of ephemeral-storage. "
)
REJECTED = "Pod was rejected: The node had condition: [DiskPressure]. "
BY_KUBELET = {"conditions": [condition("DisruptionTarget", reason="TerminationByKubelet")]}


def evicted(message: str, at: str = ADMITTED, code: int = 43, **more: Any) -> Json:
    return failed_pod(terminated(code), at=at, reason="Evicted", message=message, **more)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (POD, "it may use 180 MiB of its machine's disk"),
        (VOLUME, "its volume workspace may hold 50 MiB"),
        (CONTAINER, "its container notebook may use 60 MiB"),
    ],
)
def test_a_run_that_filled_its_own_disk_has_ended_whatever_it_may_retry(
    message: str, words: str
) -> None:
    facts = bucket(request=RunRequest("a.ipynb", max_retries=5))
    # Another pod has come already.
    pods = (evicted(message), pod(running, at=ENDED, phase="Running"))
    found = derive(facts, *pods, job=job(), workload=admitted)
    assert (found.state, found.reason) == ("failed", "disk-full")
    assert words in (found.message or "")
    assert found.detail == message
    failed = derive(facts, evicted(message, code=137), job=failed_job(), workload=admitted)
    assert failed.reason == "disk-full"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (MEMORY, "ran out of memory. The notebook used 1234Ki of it."),
        (DISK, "ran out of disk. The notebook used 5Gi of it."),
        ("The node was low on resource: pids. ", "ran out of process IDs."),
        ("whatever comes next", "ran out of resources."),
    ],
)
def test_a_node_may_evict_a_run_so_often_and_no_more(message: str, words: str) -> None:
    pods = [evicted(message, f"2026-01-02T03:0{n}:00Z", **BY_KUBELET) for n in range(1, 5)]
    allowed = derive(bucket(), *pods[:3], job=job(), workload=admitted)
    assert (allowed.state, allowed.reason) == ("starting", "retrying")
    assert words in (allowed.detail or "")
    ended = derive(bucket(), *pods, job=job(), workload=admitted)
    assert (ended.state, ended.reason) == ("failed", "evicted")
    assert (ended.message or "").startswith("Its machines evicted it 4 times")
    assert words.partition(". The")[0].rstrip(".") in (ended.message or "")
    # Also while it waits for quota again, and by what attempts said whose pods are gone.
    gone = [{"pod_uid": f"gone-{n}", "reason": pod_contract.EVICTED} for n in range(3)]
    ended = derive(bucket(attempts=gone), pods[0], job=job(suspend=True), workload=admitted)
    assert ended.reason == "evicted"


def test_the_number_of_evictions_is_an_admins() -> None:
    one = evicted(MEMORY, **BY_KUBELET)
    facts = {"job": job(), "workload": admitted, "now": NOW}
    assert derive(bucket(), one, limits=Limits(max_evictions=0), **facts).state == "failed"
    assert derive(bucket(), one, limits=Limits(max_evictions=1), **facts).state == "starting"


def test_a_drained_or_preempted_pod_is_no_eviction_of_its_node() -> None:
    drained = [
        failed_pod(
            terminated(43),
            at=f"2026-01-02T03:0{n}:00Z",
            conditions=[condition("DisruptionTarget", reason="EvictionByEvictionAPI")],
        )
        for n in range(9)
    ]
    attempts = [{"pod_uid": str(n), "reason": pod_contract.INTERRUPTED} for n in range(9)]
    found = derive(bucket(attempts=attempts), *drained, job=job(), workload=admitted)
    assert (found.state, found.reason) == ("starting", "retrying")


def test_a_pod_that_a_full_node_took_no_more_wrote_nothing() -> None:
    refused = {
        "metadata": {"name": "p", "uid": "p", "creationTimestamp": ADMITTED},
        "status": {"phase": "Failed", "reason": "Evicted", "message": REJECTED},
    }
    found = derive(bucket(), refused, job=failed_job(), workload=admitted)
    assert (found.state, found.reason) == ("failed", "node-full")


@pytest.mark.parametrize("reason", [pod_contract.DISK_FULL, pod_contract.EVICTED])
def test_a_complete_job_without_result_ended_as_its_last_attempt_says(reason: str) -> None:
    last = {"pod_uid": "p", "reason": reason, "message": "It wrote too much."}
    complete = job(condition("Complete", at=ENDED))
    found = derive(bucket(attempts=(last,)), job=complete, workload=admitted)
    assert (found.state, found.reason, found.message) == ("failed", reason, "It wrote too much.")
    assert found.finished_at == ENDED
    earlier = (last, {"pod_uid": "q", "reason": None})
    assert derive(bucket(attempts=earlier), job=complete).reason == "outputs-lost"


def test_a_pod_that_stopped_itself_beyond_its_disk_is_called_so() -> None:
    stopped = failed_pod(terminated(pod_contract.EXIT_DISK_FULL_AT_STOP, message="It wrote more."))
    found = derive(bucket(), stopped, job=failed_job(), workload=admitted)
    assert (found.reason, found.message) == ("disk-full", "It wrote more.")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(137, "out-of-memory"), (44, "out-of-memory"), (46, "staging"), (45, "no-kernel")],
)
def test_out_of_memory_is_told_from_a_child_that_was_killed_before_another_end(
    code: int, reason: str
) -> None:
    ended = failed_pod(terminated(code, "OOMKilled"))
    assert derive(bucket(), ended, job=failed_job(), workload=admitted).reason == reason
