"""What Kueue says about a waiting Workload, in words a user can act on.

The messages are Kueue v0.19.2's own (pkg/scheduler, pkg/controller/core, pkg/workload).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from jupyter_kueue.domain import kueue_conditions

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
                "Will not start: the queue team-x does not exist. Edit it and submit it again in "
                "another queue, or ask an admin.",
            ),
            (
                "LocalQueue team-x is terminating or missing",
                "Will not start: the queue team-x does not exist. Edit it and submit it again in "
                "another queue, or ask an admin.",
            ),
            (
                "ClusterQueue big doesn't exist",
                "Will not start: team-a points to big, which does not exist. Ask an admin, or "
                "edit it and submit it again in another queue.",
            ),
            (
                "ClusterQueue big is terminating or missing",
                "Will not start: team-a points to big, which does not exist. Ask an admin, or "
                "edit it and submit it again in another queue.",
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
            "Will not start: team-a has at most 8 GPUs, this run asks for 9 GPUs. "
            "Edit it and submit it again with less, or ask an admin for more quota.",
        )
        for reason in ("Pending", "Inadmissible", "ExceedsMaxQuota")
    ),
    (
        "Pending",
        POD_SET + over("memory", "100Gi", "64Gi"),
        "blocked",
        "Will not start: team-a has at most 64 GiB of memory, this run asks for 100 GiB of memory. "
        "Edit it and submit it again with less, or ask an admin for more quota.",
    ),
    (
        # Two at once: each amount stays with its own resource.
        "Pending",
        POD_SET + over("cpu", "40", "16") + ", " + over("nvidia.com/gpu", "9", "8"),
        "blocked",
        "Will not start: team-a has at most 16 CPUs, this run asks for 40 CPUs. "
        "Edit it and submit it again with less, or ask an admin for more quota.",
    ),
    (
        # One resource is beyond any quota, another only in use.
        "Pending",
        POD_SET + over("cpu", "40", "16") + ", " + more("nvidia.com/gpu", "1"),
        "blocked",
        "Will not start: team-a has at most 16 CPUs, this run asks for 40 CPUs. "
        "Edit it and submit it again with less, or ask an admin for more quota.",
    ),
    (
        "Pending",
        POD_SET + "resource example.com/fpga unavailable in ClusterQueue",
        "blocked",
        "Will not start: team-a has no quota for example.com/fpga. Edit it and submit it "
        "again without example.com/fpga or in another queue, or ask an admin.",
    ),
    (
        "Pending",
        POD_SET + "resource ephemeral-storage unavailable in ClusterQueue",
        "blocked",
        "Will not start: team-a has no quota for disk (ephemeral-storage), which a limit of the "
        "namespace or a setting adds to every run. Edit it and submit it again in another queue, "
        "or ask an admin.",
    ),
    (
        "NoMatchingFlavor",
        POD_SET + "untolerated taint {gpu only NoSchedule <nil>} in flavor a100",
        "blocked",
        "Will not start as it is. Kueue says: couldn't assign flavors to pod set main: "
        "untolerated taint {gpu only NoSchedule <nil>} in flavor a100",
    ),
    (
        "Misconfigured",
        "flavor a100 not found",
        "blocked",
        "Will not start as it is. Kueue says: flavor a100 not found",
    ),
    # --- an admin holds it
    *(
        (
            reason,
            message,
            "held",
            "On hold: an admin paused team-a. It continues when the queue is reopened.",
        )
        for reason in ("Inadmissible", "Suspended")
        for message in ("LocalQueue team-a is inactive", "LocalQueue team-a is stopped")
    ),
    *(
        (
            reason,
            message,
            "held",
            "On hold: team-a is not accepting runs (its ClusterQueue big is paused or not set up). "
            "It continues when the queue is reopened; an admin can see why it is closed.",
        )
        for reason in ("Inadmissible", "Suspended")
        for message in ("ClusterQueue big is inactive", "ClusterQueue big is stopped")
    ),
    (
        "Suspended",
        "",
        "held",
        "On hold: an admin paused team-a. It continues when the queue is reopened.",
    ),
    # --- it waits for quota
    *(
        (
            reason,
            POD_SET + more("nvidia.com/gpu", "2"),
            "waiting",
            "Waiting for 2 GPUs.",
        )
        for reason in ("Pending", "WaitingForQuota")
    ),
    (
        "Pending",
        POD_SET + more("cpu", "1500m") + ", " + more("memory", "2Gi"),
        "waiting",
        "Waiting for 1.5 CPUs and 2 GiB of memory.",
    ),
    *(
        (
            # Too much for one flavor, but another has enough once it is free.
            reason,
            POD_SET + over("nvidia.com/gpu", "9", "8", "a100") + ", "
            f"{more('nvidia.com/gpu', '1', 't4')}",
            "waiting",
            "Waiting for 1 GPU.",
        )
        for reason in ("Pending", "WaitingForQuota")
    ),
    (
        "WaitingForPreemptedWorkloads",
        "",
        "waiting",
        "Starts next: other runs are making room.",
    ),
    (
        "Pending",
        POD_SET + more("cpu", "1") + ". Pending the preemption of 1 workload(s)",
        "waiting",
        "Starts next: other runs are making room.",
    ),
    (
        "Pending",
        "Workload no longer fits after processing another workload",
        "waiting",
        "Waiting in team-a.",
    ),
    ("PendingEvaluation", "", "waiting", "Waiting in team-a."),
    ("Waiting", "The workload is waiting", "waiting", "Waiting in team-a."),
    (None, "", "waiting", "Waiting in team-a."),
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
    found = kueue_conditions.waiting_status(workload_of(reason, message), "team-a", NOW)
    assert (found.state, found.reason, found.message) == ("queued", code, said)
    assert found.detail == (message or None)  # untouched


def test_a_workload_without_any_condition_waits() -> None:
    found = kueue_conditions.waiting_status({"spec": {}}, "team-a", NOW)
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
    found = kueue_conditions.waiting_status(workload, "team-a", NOW)
    assert found.reason == "preempted"
    assert found.message == (
        "Paused: a run with higher priority took its place. It restarts automatically (attempt "
        "3). Waiting for 1 GPU."
    )
    assert found.detail == EVICTED["message"]


def test_a_preempted_run_that_can_never_start_again_is_blocked() -> None:
    workload = workload_of("Pending", POD_SET + over("nvidia.com/gpu", "2", "1"), EVICTED)
    assert kueue_conditions.waiting_status(workload, "team-a", NOW).reason == "blocked"


def test_a_run_put_back_for_another_cause_does_not_blame_other_work() -> None:
    evicted = {"type": "Evicted", "status": "True", "reason": "NodeFailures", "message": "m"}
    stats = {"evictions": [{"reason": "NodeFailures", "count": 1}]}
    workload = workload_of("Pending", "", evicted, schedulingStats=stats)
    found = kueue_conditions.waiting_status(workload, "team-a", NOW)
    assert found.message == "Paused: its machine failed. It restarts automatically (attempt 2)."


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
    found = kueue_conditions.waiting_status(workload, "team-a", NOW)
    assert found.reason == "backoff"
    assert found.message == "Could not start. Retrying at 03:05 UTC (attempt 2)."
    later = NOW + dt.timedelta(minutes=5)
    assert kueue_conditions.waiting_status(workload, "team-a", later).reason == "preempted"


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
    assert kueue_conditions.is_pending(workload) is pending


def asking(workload: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the Workload with what it requests: these for the notebook, and a bit for staging."""
    asked = {
        name.replace("gpu", "nvidia.com/gpu"): Decimal(amount) for name, amount in more.items()
    }
    requests = {**asked, "cpu": asked.get("cpu", Decimal(1)) + Decimal("0.05")}
    return {**workload, "spec": {**workload["spec"], "requests": requests, "asked": asked}}


def message_of(workload: dict[str, Any], most: dict[str, int] | None = None) -> str:
    limits = None if most is None else {name: Decimal(amount) for name, amount in most.items()}
    return kueue_conditions.waiting_status(workload, "team-a", NOW, limits).message or ""


def test_what_it_asks_for_and_what_is_missing() -> None:
    one = workload_of("Pending", POD_SET + more("nvidia.com/gpu", "1"))
    assert message_of(asking(one, gpu=4)) == "Waiting for 1 GPU to become free (asks for 4 GPUs)."
    memory = workload_of("Pending", POD_SET + more("memory", "1536Mi"))
    assert message_of(asking(memory, memory=4 * 2**30)) == (
        "Waiting for 1.5 GiB of memory to become free (asks for 4 GiB of memory)."
    )
    both = workload_of("Pending", POD_SET + more("cpu", "500m") + ", " + more("memory", "2Gi"))
    assert message_of(asking(both, cpu=2, memory=4 * 2**30)) == (
        "Waiting for 0.5 CPUs and 2 GiB of memory to become free "
        "(asks for 2 CPUs and 4 GiB of memory)."
    )


def test_too_much_is_said_in_the_amounts_that_were_asked_for() -> None:
    kueues = workload_of("Pending", POD_SET + over("cpu", "100050m", "8"))
    assert message_of(asking(kueues, cpu=100)).startswith(
        "Will not start: team-a has at most 8 CPUs, this run asks for 100 CPUs."
    )


def test_what_kueue_says_of_one_of_many_alone_is_found_by_the_quota() -> None:
    silent = asking(workload_of(None), gpu=16)
    assert message_of(silent) == "Waiting in team-a."
    assert message_of(silent, {"nvidia.com/gpu": 4}) == (
        "Will not start: team-a has at most 4 GPUs, this run asks for 16 GPUs. "
        "Edit it and submit it again with less, or ask an admin for more quota."
    )
    assert message_of(silent, {"nvidia.com/gpu": 16, "cpu": 2}) == "Waiting in team-a."
    # What it takes beyond what was asked for counts, too.
    assert message_of(asking(workload_of(None), cpu=8), {"cpu": 8}).startswith("Will not start")
    # A resource without quota is Kueue's to judge: it may be set to look away.
    assert message_of(silent, {"cpu": 2}) == "Waiting in team-a."


@pytest.mark.parametrize(
    ("due_to", "said"),
    [
        ("reclamation within the cohort", "Paused: team-b took back what it had lent."),
        (
            "reclamation within the cohort while borrowing",
            "Paused: team-b took back what it had lent.",
        ),
        ("Fair Sharing within the cohort", "Paused: team-b had less than its fair share."),
        (
            "prioritization in the ClusterQueue",
            "Paused: a run with higher priority took its place.",
        ),
        ("UNKNOWN", "Paused: other runs needed its place."),
    ],
)
def test_who_took_a_preempted_runs_place(due_to: str, said: str) -> None:
    message = (
        f"Preempted to accommodate a workload (UID: u, JobUID: j) due to {due_to}; preemptor "
        "path: /all/team-b; preemptee path: /all/team-a"
    )
    workload = workload_of("Pending", "", {**EVICTED, "message": message})
    assert message_of(workload) == f"{said} It restarts automatically (attempt 1)."


def test_a_preempted_run_that_is_next_says_so() -> None:
    workload = workload_of("WaitingForPreemptedWorkloads", "", EVICTED)
    assert message_of(workload).endswith("Starts next: other runs are making room.")
