"""What Kueue says about a waiting Workload, in words a user can act on.

The messages are Kueue v0.19.2's own (pkg/scheduler, pkg/controller/core, pkg/workload).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from jupyter_kueue import workload_conditions

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
OVER = (
    "insufficient quota for {resource} in flavor {flavor}, previously considered podsets "
    "requests (0) + current podset request ({asked}) > maximum capacity ({most})"
)
MORE = "insufficient unused quota for {resource} in flavor {flavor}, {more} more needed"
POD_SET = "couldn't assign flavors to pod set main: "


def over(resource: str, asked: str, most: str, flavor: str = "default") -> str:
    return OVER.format(resource=resource, flavor=flavor, asked=asked, most=most)


def more(resource: str, amount: str, flavor: str = "default") -> str:
    return MORE.format(resource=resource, flavor=flavor, more=amount)


def workload_of(
    reason: str | None, message: str = "", *others: dict[str, Any], **status: Any
) -> dict[str, Any]:
    conditions = [*others]
    if reason is not None:
        conditions.append(
            {"type": "QuotaReserved", "status": "False", "reason": reason, "message": message}
        )
    return {"metadata": {"name": "w"}, "spec": {}, "status": {"conditions": conditions, **status}}


_ROWS = [
    # --- it will not start by itself
    *(
        (reason, message, "blocked", said)
        for reason in ("Inadmissible", "Misconfigured")
        for message, said in [
            (
                "LocalQueue team-x doesn't exist",
                "Will not start: there is no queue team-x here. Move it to another queue, or ask "
                "an admin.",
            ),
            (
                "LocalQueue team-x is terminating or missing",
                "Will not start: there is no queue team-x here. Move it to another queue, or ask "
                "an admin.",
            ),
            (
                "ClusterQueue big doesn't exist",
                "Will not start: team-a leads to big, which does not exist. Ask an admin, or move "
                "it to another queue.",
            ),
            (
                "ClusterQueue big is terminating or missing",
                "Will not start: team-a leads to big, which does not exist. Ask an admin, or move "
                "it to another queue.",
            ),
            (
                "workload namespace doesn't match ClusterQueue selector",
                "Will not start: team-a is not open to this namespace. Ask an admin.",
            ),
        ]
    ),
    *(
        (
            reason,
            POD_SET + over("nvidia.com/gpu", "9", "8"),
            "blocked",
            "Will not start: asks for 9 GPUs, team-a can have 8 GPUs at most. Change the request, "
            "or ask an admin for more quota.",
        )
        for reason in ("Pending", "Inadmissible", "ExceedsMaxQuota")
    ),
    (
        "Pending",
        POD_SET + over("memory", "100Gi", "64Gi"),
        "blocked",
        "Will not start: asks for 100 GiB of memory, team-a can have 64 GiB of memory at most. "
        "Change the request, or ask an admin for more quota.",
    ),
    (
        # Two at once: each amount stays with its own resource.
        "Pending",
        POD_SET + over("cpu", "40", "16") + ", " + over("nvidia.com/gpu", "9", "8"),
        "blocked",
        "Will not start: asks for 40 CPUs, team-a can have 16 CPUs at most. Change the request, "
        "or ask an admin for more quota.",
    ),
    (
        # One resource is beyond any quota, another only in use.
        "Pending",
        POD_SET + over("cpu", "40", "16") + ", " + more("nvidia.com/gpu", "1"),
        "blocked",
        "Will not start: asks for 40 CPUs, team-a can have 16 CPUs at most. Change the request, "
        "or ask an admin for more quota.",
    ),
    (
        "Pending",
        POD_SET + "resource example.com/fpga unavailable in ClusterQueue",
        "blocked",
        "Will not start: team-a has no quota for example.com/fpga. Ask for none of it, use "
        "another queue, or ask an admin.",
    ),
    (
        "NoMatchingFlavor",
        POD_SET + "untolerated taint {gpu only NoSchedule <nil>} in flavor a100",
        "blocked",
        "Will not start by itself. Kueue says: couldn't assign flavors to pod set main: "
        "untolerated taint {gpu only NoSchedule <nil>} in flavor a100",
    ),
    (
        "Misconfigured",
        "flavor a100 not found",
        "blocked",
        "Will not start by itself. Kueue says: flavor a100 not found",
    ),
    # --- an admin holds it
    *(
        (
            reason,
            message,
            "held",
            "Waits: an admin stopped team-a. It goes on by itself when the queue is opened.",
        )
        for reason in ("Inadmissible", "Suspended")
        for message in ("LocalQueue team-a is inactive", "LocalQueue team-a is stopped")
    ),
    *(
        (
            reason,
            message,
            "held",
            "Waits: team-a's ClusterQueue big is stopped or not set up yet. It goes on by itself "
            "once the queue is active; an admin can see why it is not.",
        )
        for reason in ("Inadmissible", "Suspended")
        for message in ("ClusterQueue big is inactive", "ClusterQueue big is stopped")
    ),
    (
        "Suspended",
        "",
        "held",
        "Waits: an admin stopped team-a. It goes on by itself when the queue is opened.",
    ),
    # --- it waits for quota
    *(
        (
            reason,
            POD_SET + more("nvidia.com/gpu", "2"),
            "waiting",
            "Waits for 2 GPUs to become free.",
        )
        for reason in ("Pending", "WaitingForQuota")
    ),
    (
        "Pending",
        POD_SET + more("cpu", "1500m") + ", " + more("memory", "2Gi"),
        "waiting",
        "Waits for 1.5 CPUs and 2 GiB of memory to become free.",
    ),
    *(
        (
            # Too much for one flavor, but another has enough once it is free.
            reason,
            POD_SET + over("nvidia.com/gpu", "9", "8", "a100") + ", "
            f"{more('nvidia.com/gpu', '1', 't4')}",
            "waiting",
            "Waits for 1 GPU to become free.",
        )
        for reason in ("Pending", "WaitingForQuota")
    ),
    (
        "WaitingForPreemptedWorkloads",
        "",
        "waiting",
        "Starts as soon as lower-priority work has made room.",
    ),
    (
        "Pending",
        POD_SET + more("cpu", "1") + ". Pending the preemption of 1 workload(s)",
        "waiting",
        "Starts as soon as lower-priority work has made room.",
    ),
    (
        "Pending",
        "Workload no longer fits after processing another workload",
        "waiting",
        "Waits for its turn in team-a.",
    ),
    ("PendingEvaluation", "", "waiting", "Waits for its turn in team-a."),
    ("Waiting", "The workload is waiting", "waiting", "Waits for its turn in team-a."),
    (None, "", "waiting", "Waits for its turn in team-a."),
    # --- Kueue's word is shown where we know none better
    (
        "TopologyPlacementFailed",
        "topology doesn't allow to fit any of 1 pod(s)",
        "waiting",
        "Kueue says: topology doesn't allow to fit any of 1 pod(s)",
    ),
    ("SomethingNew", "because", "waiting", "Kueue says: because"),
    ("SomethingNew", "", "waiting", "Kueue says: SomethingNew"),
]


@pytest.mark.parametrize(
    ("reason", "message", "code", "said"),
    _ROWS,
    ids=[f"{number}-{row[0]}-{row[2]}" for number, row in enumerate(_ROWS)],
)
def test_each_reason_in_words(reason: str | None, message: str, code: str, said: str) -> None:
    found = workload_conditions.waiting_status(workload_of(reason, message), "team-a", NOW)
    assert (found.state, found.reason, found.message) == ("queued", code, said)
    assert found.detail == (message or None)  # untouched


def test_a_workload_without_any_condition_waits() -> None:
    found = workload_conditions.waiting_status({"spec": {}}, "team-a", NOW)
    assert (found.state, found.reason) == ("queued", "waiting")


EVICTED = {
    "type": "Evicted",
    "status": "True",
    "reason": "Preempted",
    "message": "Preempted to accommodate a workload (UID: u, JobUID: j) due to prioritization in "
    "the ClusterQueue; preemptor path: /big; preemptee path: /big",
}


def test_a_preempted_run_says_so_with_its_next_attempt() -> None:
    workload = workload_of(
        "Pending",
        POD_SET + more("nvidia.com/gpu", "1"),
        EVICTED,
        schedulingStats={"evictions": [{"reason": "Preempted", "count": 2}]},
    )
    found = workload_conditions.waiting_status(workload, "team-a", NOW)
    assert found.reason == "preempted"
    assert found.message == (
        "Waits again: its quota was taken back for other work (attempt 3). Waits for 1 GPU to "
        "become free."
    )
    assert found.detail == EVICTED["message"]


def test_a_preempted_run_that_can_never_start_again_is_blocked() -> None:
    workload = workload_of("Pending", POD_SET + over("nvidia.com/gpu", "2", "1"), EVICTED)
    assert workload_conditions.waiting_status(workload, "team-a", NOW).reason == "blocked"


def test_a_run_put_back_for_another_cause_does_not_blame_other_work() -> None:
    evicted = {"type": "Evicted", "status": "True", "reason": "NodeFailures", "message": "m"}
    stats = {"evictions": [{"reason": "NodeFailures", "count": 1}]}
    workload = workload_of("Pending", "", evicted, schedulingStats=stats)
    found = workload_conditions.waiting_status(workload, "team-a", NOW)
    assert found.message == "Waits again: it was put back (attempt 2). Nothing to do."


def test_a_retry_names_its_time_while_it_is_to_come() -> None:
    evicted = {
        "type": "Evicted",
        "status": "True",
        "reason": "PodsReadyTimeout",
        "message": "Exceeded the PodsReady timeout ns/wl",
    }
    workload = workload_of(
        "Pending",
        "Exceeded the PodsReady timeout ns/wl",
        evicted,
        requeueState={"count": 1, "requeueAt": "2026-01-02T03:05:05Z"},
        schedulingStats={"evictions": [{"reason": "PodsReadyTimeout", "count": 1}]},
    )
    found = workload_conditions.waiting_status(workload, "team-a", NOW)
    assert found.reason == "backoff"
    assert found.message == "Could not start and is tried again at 03:05 UTC (attempt 2)."
    later = NOW + dt.timedelta(minutes=5)
    assert workload_conditions.waiting_status(workload, "team-a", later).reason == "preempted"


@pytest.mark.parametrize(
    ("spec", "conditions", "pending"),
    [
        ({}, [], True),
        ({"active": True}, [("QuotaReserved", "False")], True),
        ({"active": False}, [], False),
        ({}, [("QuotaReserved", "True")], False),
        ({}, [("Finished", "True")], False),
    ],
)
def test_what_stands_in_a_queue(
    spec: dict[str, Any], conditions: list[tuple[str, str]], pending: bool
) -> None:
    found = [{"type": kind, "status": state} for kind, state in conditions]
    workload = {"spec": spec, "status": {"conditions": found}}
    assert workload_conditions.is_pending(workload) is pending
