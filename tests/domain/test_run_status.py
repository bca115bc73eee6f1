"""Where a run stands, from objects as the cluster and the bucket hold them: the whole table."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import quantities, run_row, run_status
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Limits, Status
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest

Json = dict[str, Any]

NOW = dt.datetime(2026, 1, 2, 3, 10, 0, tzinfo=dt.UTC)
CREATED = "2026-01-02T03:00:00Z"
ADMITTED = "2026-01-02T03:01:00Z"
STARTED = "2026-01-02T03:02:00Z"
LIMITS = Limits()
ENDED = "2026-01-02T03:09:00Z"
GRACE_ENDS = "2026-01-02T03:10:20Z"


# --- Objects as the API server returns them, without what nobody reads --------------------------


def bucket(*, request: RunRequest | None = None, **facts: Any) -> BucketFacts:
    record = RunRecord(
        run_id="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
        name="Weekly",
        owner=Owner.of("ada"),
        namespace="team-a",
        created_at=CREATED,
        request=request or RunRequest("a.ipynb"),
        local_queue="team-a",
        resources=Resources("2", "4Gi", 1),
        image="example.org/notebook:1",
        notebook="a.ipynb",
        input=(),
    )
    return BucketFacts(record, **{"accepted": {"uid": "job-uid"}, **facts})


def condition(kind: str, value: str = "True", at: str = ADMITTED, **more: str) -> Json:
    return {"type": kind, "status": value, "lastTransitionTime": at, **more}


def job(*conditions: Json, suspend: bool = False) -> Json:
    return {
        "metadata": {"name": "nb-x", "uid": "job-uid", "creationTimestamp": CREATED},
        "spec": {"suspend": suspend},
        "status": {"conditions": list(conditions)} if conditions else {},
    }


def workload(*conditions: Json, active: bool = True, **more: Any) -> Json:
    return {
        "metadata": {"name": "job-nb-x-00000", "uid": "workload-uid"},
        "spec": {"active": active, "queueName": "team-a"},
        "status": {"conditions": list(conditions), **more},
    }


RESERVED = condition("QuotaReserved", reason="QuotaReserved", message="Quota reserved in big")
IS_ADMITTED = condition("Admitted", reason="Admitted", message="The workload is admitted")
PENDING = condition(
    "QuotaReserved",
    "False",
    reason="Pending",
    message="couldn't assign flavors to pod set main: insufficient unused quota for "
    "nvidia.com/gpu in flavor default, 1 more needed",
)
PREEMPTED = condition(
    "Evicted", reason="Preempted", message="Preempted to accommodate a workload (UID: u)"
)
admitted = workload(RESERVED, IS_ADMITTED)
preempted = workload(
    PENDING,
    condition("Admitted", "False", reason="NoReservation", message="no reservation"),
    PREEMPTED,
    schedulingStats={"evictions": [{"reason": "Preempted", "count": 1}]},
)

waiting: Json = {"waiting": {"reason": "PodInitializing"}}
running: Json = {"running": {"startedAt": STARTED}}


def terminated(code: int, reason: str = "Error", message: str | None = None) -> Json:
    ended = {"exitCode": code, "reason": reason, "startedAt": STARTED, "finishedAt": ENDED}
    return {"terminated": {**ended, **({"message": message} if message else {})}}


done = terminated(0, "Completed")


def pod(
    notebook: Json | None = None,
    *,
    stage_in: Json | None = None,
    stage_out: Json | None = None,
    phase: str = "Pending",
    at: str = ADMITTED,
    deleting: bool = False,
    **more: Any,
) -> Json:
    def shown(name: str, image: str, state: Json | None) -> Json:
        return {"name": name, "image": image, "state": waiting if state is None else state}

    return {
        "metadata": {
            "name": f"nb-x-{at}",
            "uid": f"pod-{at}",
            "creationTimestamp": at,
            **({"deletionTimestamp": GRACE_ENDS} if deleting else {}),
        },
        "status": {
            "phase": phase,
            "initContainerStatuses": [
                shown("stage-in", "example.org/runner:1", stage_in),
                shown("stage-out", "example.org/runner:1", stage_out),
            ],
            "containerStatuses": [
                shown("notebook", "example.org/notebook:1", notebook),
            ],
            **more,
        },
    }


running_pod = pod(running, stage_in=running, stage_out=running, phase="Running")
# What stage-in notes once the inputs are there.
STAGED = ({"pod_uid": f"pod-{ADMITTED}", "started_at": STARTED, "is_staged": True},)


def failed_pod(state: Json, **more: Any) -> Json:
    return pod(state, stage_in=done, stage_out=done, phase="Failed", **more)


def failed_job(reason: str = "BackoffLimitExceeded", message: str = "said so") -> Json:
    return job(condition("Failed", at=ENDED, reason=reason, message=message))


def derive(
    facts: BucketFacts,
    *pods: Json,
    now: dt.datetime = NOW,
    limits: Limits = LIMITS,
    **cluster: Any,
) -> Status:
    return run_status.derive(facts, ClusterFacts(pods=tuple(pods), **cluster), now, limits)


def result_of(outcome: str, **more: Any) -> Json:
    return {
        "version": 1,
        "pod_uid": "some-pod",
        "outcome": outcome,
        "error": None,
        "message": None,
        "started_at": STARTED,
        "ended_at": ENDED,
        "files": [],
        **more,
    }


# --- Waiting and starting ----------------------------------------------------------------------


def test_a_job_the_cluster_was_not_asked_for_yet() -> None:
    found = derive(bucket(accepted=None))
    assert (found.state, found.reason) == ("queued", "submitting")


def test_before_the_cluster_answered_nothing_is_claimed() -> None:
    found = derive(bucket(), known=False)
    assert (found.state, found.reason) == ("queued", "unknown")


def test_a_fresh_job_waits_for_kueue_to_see_it() -> None:
    early = dt.datetime(2026, 1, 2, 3, 0, 10, tzinfo=dt.UTC)
    found = derive(bucket(), job=job(suspend=True), now=early)
    assert (found.state, found.reason) == ("queued", "waiting")
    assert found.message == "Waiting in team-a."


def test_a_fresh_job_that_asks_for_too_much_says_so_before_kueue_sees_it() -> None:
    most = {"memory": quantities.parse("2Gi")}
    status = derive(bucket(), job=job(suspend=True), most=most)
    assert (status.state, status.reason) == ("queued", "blocked")
    assert status.message is not None
    assert status.message.startswith("Will not start: ")


def test_a_job_that_kueue_never_takes_up_says_what_to_check() -> None:
    found = derive(bucket(), job=job(suspend=True))
    assert (found.state, found.reason) == ("queued", "blocked")
    assert "Check that Kueue is running" in (found.message or "")


_QUEUED = [
    (workload(), "waiting"),
    (workload(PENDING), "waiting"),
    (
        workload(condition("QuotaReserved", "False", reason="WaitingForQuota", message="")),
        "waiting",
    ),
    (
        workload(
            condition(
                "QuotaReserved",
                "False",
                reason="Inadmissible",
                message="LocalQueue team-a doesn't exist",
            )
        ),
        "blocked",
    ),
    (
        workload(
            condition("QuotaReserved", "False", reason="Misconfigured", message="flavor not found")
        ),
        "blocked",
    ),
    (
        workload(
            condition(
                "QuotaReserved",
                "False",
                reason="Inadmissible",
                message="LocalQueue team-a is inactive",
            )
        ),
        "held",
    ),
    (
        workload(condition("QuotaReserved", "False", reason="Suspended", message="stopped")),
        "held",
    ),
    (
        workload(PENDING, requeueState={"count": 1, "requeueAt": "2026-01-02T03:11:00Z"}),
        "backoff",
    ),
    (preempted, "preempted"),
    (workload(RESERVED), "admission-check"),
    (
        workload(condition("QuotaReserved", "False", reason="SomethingNew", message="because")),
        "waiting",
    ),
]


@pytest.mark.parametrize(
    ("waits", "reason"),
    _QUEUED,
    ids=[f"{number}-{row[1]}" for number, row in enumerate(_QUEUED)],
)
def test_without_admission_it_is_queued(waits: Json, reason: str) -> None:
    found = derive(bucket(), job=job(suspend=True), workload=waits)
    assert (found.state, found.reason) == ("queued", reason)
    assert found.message
    assert found.admitted_at is found.finished_at is None


UNSCHEDULABLE = condition("PodScheduled", "False", reason="Unschedulable", message="0/3 nodes")
_STARTING = [
    ("no pod yet", (), "starting", None),
    ("scheduled", (pod(),), "starting", None),
    ("staging", (pod(stage_in=running),), "staging", None),
    ("waits-for-inputs", (running_pod,), "staging", None),
    ("unschedulable", (pod(conditions=[UNSCHEDULABLE]),), "unschedulable", "0/3 nodes"),
    (
        "no node said anything yet",
        ({"metadata": {"name": "p", "uid": "p", "creationTimestamp": ADMITTED}, "status": {}},),
        "starting",
        None,
    ),
    *(
        (
            f"notebook image: {reason}",
            (pod({"waiting": {"reason": reason, "message": "no such image"}}, stage_in=done),),
            "image-pull",
            "no such image",
        )
        for reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
    ),
    (
        "runner image",
        (pod(stage_in={"waiting": {"reason": "ImagePullBackOff", "message": "no runner"}}),),
        "image-pull",
        "no runner",
    ),
    *(
        (
            f"config: {reason}",
            (pod(stage_in={"waiting": {"reason": reason, "message": "secret not found"}}),),
            "container-config",
            "secret not found",
        )
        for reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
    ),
    (
        "the pod of a former attempt is still ending",
        (pod(running, phase="Running", deleting=True),),
        "starting",
        None,
    ),
    (
        "a former attempt failed, the next pod is there",
        (failed_pod(terminated(137)), pod(stage_in=running, at=STARTED)),
        "staging",
        None,
    ),
]


@pytest.mark.parametrize(
    ("pods", "reason", "detail"), [row[1:] for row in _STARTING], ids=[row[0] for row in _STARTING]
)
def test_with_admission_it_is_starting(
    pods: tuple[Json, ...], reason: str, detail: str | None
) -> None:
    found = derive(bucket(), *pods, job=job(), workload=admitted)
    assert (found.state, found.reason, found.detail) == ("starting", reason, detail)
    assert found.message
    assert found.admitted_at == ADMITTED


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    bad = pod({"waiting": {"reason": "ErrImagePull", "message": "denied"}}, stage_in=done)
    found = derive(bucket(), bad, job=job(), workload=admitted)
    assert "example.org/notebook:1" in (found.message or "")


# --- Running -----------------------------------------------------------------------------------


def test_a_running_notebook_container_is_a_running_run() -> None:
    found = derive(bucket(attempts=STAGED), running_pod, job=job(), workload=admitted)
    assert found == Status("running", admitted_at=ADMITTED, started_at=STARTED)


def test_a_notebook_container_that_nobody_stages_for_runs_at_once() -> None:
    foreign = {**running_pod, "status": {**running_pod["status"], "initContainerStatuses": []}}
    found = derive(bucket(), foreign, job=job(), workload=admitted)
    assert found.state == "running"


def test_the_first_attempts_start_is_the_runs_start() -> None:
    attempts = ({"pod_uid": "first", "started_at": "2026-01-02T02:00:00Z"},)
    found = derive(bucket(attempts=attempts), running_pod, job=job(), workload=admitted)
    assert found.started_at == "2026-01-02T02:00:00Z"


def test_an_ended_notebook_is_no_end_of_the_run() -> None:
    ended = pod(done, stage_in=done, stage_out=running, phase="Running")
    found = derive(bucket(), ended, job=job(), workload=admitted)
    assert (found.state, found.reason) == ("running", "finishing")


def test_a_complete_job_whose_pod_still_uploads_is_no_success() -> None:
    uploads = pod(done, stage_in=done, stage_out=running, phase="Running")
    found = derive(bucket(), uploads, job=job(condition("Complete")), workload=admitted)
    assert (found.state, found.reason) == ("running", "finishing")


@pytest.mark.parametrize(
    ("retries", "state", "more", "expected"),
    [
        (1, terminated(44), {}, "retrying"),
        (1, terminated(137, "OOMKilled"), {}, "retrying"),
        # Its pod was deleted, which nothing counts.
        (0, terminated(43), {"conditions": [condition("DisruptionTarget")]}, "retrying"),
        (1, terminated(43), {}, "retrying"),
        (0, terminated(43), {}, "interrupted"),  # nobody but the run itself
        (0, terminated(143), {"conditions": [condition("DisruptionTarget")]}, "retrying"),
        (0, terminated(44), {}, "finishing"),  # the Job is about to fail
        (1, terminated(41), {}, "finishing"),  # a cell failed: its result is on its way
        (1, terminated(42), {}, "finishing"),
    ],
)
def test_a_failed_attempt_says_whether_another_follows(
    retries: int, state: Json, more: Json, expected: str
) -> None:
    facts = bucket(request=RunRequest("a.ipynb", max_retries=retries))
    found = derive(facts, failed_pod(state, **more), job=job(), workload=admitted)
    assert found.reason == expected
    if expected == "retrying":
        assert found.state == "starting"
        assert "Retrying" in (found.message or "")
        assert found.detail


def test_a_run_that_stops_itself_is_retried_as_often_as_it_asked_for() -> None:
    facts = bucket(request=RunRequest("a.ipynb", max_retries=2))
    ends = [failed_pod(terminated(43), at=f"2026-01-02T03:0{n}:00Z") for n in range(3)]
    others = [
        failed_pod(terminated(43), deleting=True),
        failed_pod(terminated(43), conditions=[condition("DisruptionTarget")]),
        failed_pod(terminated(44)),
    ]
    allowed = derive(facts, *ends[:2], *others, job=job(), workload=admitted)
    assert allowed.state == "starting"
    found = derive(facts, *ends, *others, job=job(), workload=admitted)
    assert (found.state, found.reason) == ("failed", "interrupted")
    assert "os.kill" in (found.message or "")


# --- Preemption, with objects that lag behind each other ----------------------------------------

_EVICTED_STILL_RESERVED = workload(
    RESERVED,
    IS_ADMITTED,
    PREEMPTED,
    schedulingStats={"evictions": [{"reason": "Preempted", "count": 1}]},
)


@pytest.mark.parametrize(
    ("evicted", "pods"),
    [
        (_EVICTED_STILL_RESERVED, (pod(running, phase="Running", deleting=True),)),
        (_EVICTED_STILL_RESERVED, ()),
        (preempted, (pod(running, phase="Running", deleting=True),)),
        (preempted, (running_pod,)),  # the pod's watch lags behind
        (preempted, (failed_pod(terminated(43)),)),
        (preempted, (failed_pod(terminated(137, "OOMKilled")),)),
        (preempted, ()),
    ],
)
def test_a_preempted_run_waits_whatever_its_old_pod_still_says(
    evicted: Json, pods: tuple[Json, ...]
) -> None:
    found = derive(bucket(), *pods, job=job(suspend=True), workload=evicted)
    assert (found.state, found.reason) == ("queued", "preempted")
    assert "It restarts automatically (attempt 2)" in (found.message or "")
    assert found.detail == PREEMPTED["message"]


def test_a_run_admitted_again_forgets_its_eviction() -> None:
    again = workload(
        RESERVED,
        IS_ADMITTED,
        condition("Evicted", "False", reason="QuotaReserved", message="Previously: Preempted"),
    )
    found = derive(bucket(), job=job(), workload=again)
    assert (found.state, found.reason) == ("starting", "starting")


# --- Ends that the bucket records ----------------------------------------------------------------

_ENDS = [
    (result_of("succeeded"), "succeeded", None, None),
    (
        result_of("notebook-failed", message="Cell 3 failed: ValueError: bad"),
        "failed",
        "notebook-failed",
        "Cell 3 failed: ValueError: bad",
    ),
    (result_of("notebook-failed"), "failed", "notebook-failed", "A cell failed."),
    (
        result_of("time-limit", message="Stopped in cell 3 at its limit of 60 s."),
        "failed",
        "time-limit",
        "Stopped in cell 3 at its limit of 60 s.",
    ),
    (
        result_of("time-limit"),
        "failed",
        "time-limit",
        "Stopped at its time limit. Run it again with a higher limit.",
    ),
]
_CLUSTERS: dict[str, Any] = {
    "cluster silent": {"known": False},
    "all gone": {},
    "still running": {"job": job(), "workload": admitted, "pods": (running_pod,)},
    "complete": {"job": job(condition("Complete"))},
    "failed": {"job": failed_job(), "pods": (failed_pod(terminated(137, "OOMKilled")),)},
    "preempted": {"job": job(suspend=True), "workload": preempted},
    "deactivated": {"job": job(suspend=True), "workload": workload(active=False)},
}
_OTHER_FACTS: dict[str, Json] = {
    "alone": {},
    "stopped too late": {"stop": {"at": ENDED, "by": "ada"}},
    "deleted": {"deleted": True},
    "not accepted": {"accepted": None},
}


@pytest.mark.parametrize(("result", "state", "reason", "message"), _ENDS)
@pytest.mark.parametrize("cluster", _CLUSTERS.values(), ids=_CLUSTERS)
@pytest.mark.parametrize("others", _OTHER_FACTS.values(), ids=_OTHER_FACTS)
def test_a_result_wins_over_everything(
    result: Json, state: str, reason: str, message: str, cluster: Json, others: Json
) -> None:
    facts = bucket(request=RunRequest("a.ipynb", timeout_seconds=60), result=result, **others)
    found = run_status.derive(facts, ClusterFacts(**cluster), NOW, LIMITS)
    assert found == Status(state, reason, message, started_at=STARTED, finished_at=ENDED)


def test_a_result_wins_over_a_closing_word_and_keeps_its_times() -> None:
    final = {"state": "failed", "reason": "node-lost", "admitted_at": ADMITTED}
    found = derive(bucket(result=result_of("succeeded"), final=final))
    assert found == Status("succeeded", admitted_at=ADMITTED, started_at=STARTED, finished_at=ENDED)


@pytest.mark.parametrize("cluster", _CLUSTERS.values(), ids=_CLUSTERS)
def test_a_closing_word_stands_whatever_the_cluster_says(cluster: Json) -> None:
    final = {
        "version": 1,
        "state": "failed",
        "reason": "requeue-limit",
        "message": "m",
        "detail": "d",
        "finished_at": ENDED,
    }
    found = run_status.derive(bucket(final=final), ClusterFacts(**cluster), NOW, LIMITS)
    assert found == Status("failed", "requeue-limit", "m", "d", finished_at=ENDED)


# --- Stopping ----------------------------------------------------------------------------------


def test_a_stop_does_not_wait_for_ever_for_a_machine_that_went_away() -> None:
    facts = bucket(stop={"at": ENDED, "by": "ada"})
    cluster = ClusterFacts(pods=(pod(running, phase="Running", deleting=True),))

    soon = run_status.derive(facts, cluster, NOW + dt.timedelta(seconds=70), LIMITS)
    later = run_status.derive(facts, cluster, NOW + dt.timedelta(seconds=90), LIMITS)

    assert (soon.state, later.state) == ("stopping", "stopped")


@pytest.mark.parametrize("facts", [{"stop": {"at": ENDED, "by": "ada"}}, {"deleted": True}])
@pytest.mark.parametrize(
    "cluster",
    [
        {"job": job(suspend=True), "workload": workload(PENDING)},
        {"job": job(), "workload": admitted, "pods": (running_pod,)},
        {"pods": (pod(running, phase="Running", deleting=True),)},
        {"job": failed_job(), "pods": (failed_pod(terminated(43)),)},
        {"known": False},
    ],
)
def test_a_stop_is_stopping_until_the_objects_are_gone(facts: Json, cluster: Json) -> None:
    found = run_status.derive(bucket(**facts), ClusterFacts(**cluster), NOW, LIMITS)
    assert (found.state, found.reason) == ("stopping", "stopping")


def test_a_stopped_run_says_by_whom_and_when() -> None:
    found = derive(bucket(stop={"at": ENDED, "by": "ada"}))
    assert found == Status("stopped", "stopped", "Stopped by you.", finished_at=ENDED)
    assert derive(bucket(deleted=True)).state == "stopped"


# --- Ends that only the cluster knows ------------------------------------------------------------


def test_a_complete_job_without_a_result_lost_its_outputs() -> None:
    ended = pod(done, stage_in=done, stage_out=done, phase="Succeeded")
    complete = condition("Complete", at=ENDED, reason="CompletionsReached", message="Reached")
    for pods in ((), (ended,)):
        found = derive(bucket(), *pods, job=job(complete), workload=admitted)
        assert (found.state, found.reason) == ("failed", "outputs-lost")
        assert found.message == "The notebook ended but its outputs were not saved. Run it again."
        assert found.finished_at == ENDED


def test_a_job_that_somebody_deleted() -> None:
    found = derive(bucket())
    assert (found.state, found.reason) == ("failed", "removed")
    found = derive(bucket(), running_pod)
    assert (found.state, found.reason) == ("stopping", "removed")


@pytest.mark.parametrize(
    ("policy", "state", "reason"),
    [
        ("Replace", "stopped", "replaced"),
        ("Forbid", "failed", "removed"),
        ("Allow", "failed", "removed"),
    ],
)
def test_a_scheduled_job_that_is_gone_was_replaced_only_if_its_schedule_says_so(
    policy: str, state: str, reason: str
) -> None:
    accepted = {"job_name": "nb-x-1", "uid": "job-uid", "concurrency_policy": policy}
    found = derive(bucket(accepted=accepted))
    assert (found.state, found.reason) == (state, reason)
    assert ("the schedule's next run" in str(found.message).lower()) == (reason == "replaced")
    assert derive(bucket(accepted=accepted), running_pod).state == "stopping"
    assert derive(bucket(accepted=accepted, stop={"at": ENDED})).reason == "stopped"


def test_what_cannot_be_read_is_told_before_anything_else() -> None:
    problem = "result.json in the bucket cannot be understood: outcome is missing."
    for facts in ({}, {"final": {"state": "succeeded"}}, {"stop": {"at": ENDED}}):
        found = derive(bucket(problem=problem, **facts), running_pod, job=job())
        assert (found.state, found.reason) == ("failed", "unreadable")
        assert str(found.message).startswith(f"{problem} Delete the run")


@pytest.mark.parametrize(
    ("evicted_reason", "state", "reason"),
    [
        ("DeactivatedDueToMaximumExecutionTimeExceeded", "failed", "time-limit"),
        ("MaximumExecutionTimeExceeded", "failed", "time-limit"),
        ("DeactivatedDueToRequeuingLimitExceeded", "failed", "requeue-limit"),
        ("Deactivated", "stopped", "deactivated"),
    ],
)
def test_a_deactivated_workload(evicted_reason: str, state: str, reason: str) -> None:
    evicted = condition("Evicted", at=ENDED, reason=evicted_reason, message="The workload is")
    found = derive(
        bucket(), job=job(suspend=True), workload=workload(PENDING, evicted, active=False)
    )
    assert (found.state, found.reason) == (state, reason)
    assert (found.detail, found.finished_at) == ("The workload is", ENDED)


_EVICTED_POD = {"reason": "Evicted", "message": "The node was low on resource: memory."}
_FULL_DISK = {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the limit"}
_DISRUPTED = {"conditions": [condition("DisruptionTarget", reason="DeletionByTaintManager")]}
_FAILURES = [
    (
        "memory",
        failed_pod(terminated(137, "OOMKilled")),
        "out-of-memory",
        "all of its 4 GiB. Run",
    ),
    ("killed", failed_pod(terminated(137)), "killed", "does not say why"),
    ("kernel", failed_pod(terminated(44)), "kernel-died", "The kernel died"),
    ("said", failed_pod(terminated(44, message="Died of SIGSEGV.")), "kernel-died", "SIGSEGV"),
    ("no kernel", failed_pod(terminated(45)), "no-kernel", "Choose another environment"),
    (
        "no python",
        failed_pod(terminated(127, "StartError", 'exec: "python": not found')),
        "no-kernel",
        "cannot run notebooks",
    ),
    ("cell", failed_pod(terminated(41)), "notebook-failed", "A cell failed"),
    ("limit", failed_pod(terminated(42)), "time-limit", "Run it again with a higher limit"),
    (
        "staging",
        pod(stage_in=terminated(46, message="No bucket."), phase="Failed"),
        "staging",
        "No bucket.",
    ),
    (
        "staging in vain",
        pod(
            terminated(46, message="The inputs were not fetched."),
            stage_in=terminated(46, message="No bucket."),
            phase="Failed",
        ),
        "staging",
        "No bucket.",
    ),
    ("saving", failed_pod(terminated(46)), "staging", "to or from the bucket"),
    (
        "staging memory",
        pod(stage_in=terminated(137, "OOMKilled"), phase="Failed"),
        "staging",
        "raise staging_memory_limit",
    ),
    ("other code", failed_pod(terminated(3, message="hm")), "pod-failed", "Exited with code 3. hm"),
    ("evicted", failed_pod(terminated(137), **_EVICTED_POD), "evicted", "Run it again"),
    ("disk", failed_pod(terminated(137), **_FULL_DISK), "disk-full", "Write less"),
    ("node gone", failed_pod(terminated(137), reason="NodeLost"), "node-lost", "Run it again"),
    ("drained", failed_pod(terminated(143), **_DISRUPTED), "node-lost", "Run it again"),
    (
        "refused by its node",
        {
            "metadata": {"name": "p", "uid": "p", "creationTimestamp": ADMITTED},
            "status": {
                "phase": "Failed",
                "reason": "UnexpectedAdmissionError",
                "message": "No GPU",
            },
        },
        "pod-failed",
        "The cluster could not run it: No GPU",
    ),
    (
        "the last attempt counts",
        failed_pod(terminated(137, "OOMKilled"), at="2026-01-02T03:05:00Z"),
        "out-of-memory",
        "again with more, such as",
    ),
]


@pytest.mark.parametrize(
    ("last", "reason", "words"), [row[1:] for row in _FAILURES], ids=[row[0] for row in _FAILURES]
)
def test_a_failed_job_says_why_from_its_last_pod(last: Json, reason: str, words: str) -> None:
    earlier = failed_pod(terminated(44), at=CREATED)
    found = derive(bucket(), earlier, last, job=failed_job(), workload=admitted)
    assert (found.state, found.reason) == ("failed", reason)
    assert words in (found.message or "")
    assert (found.detail, found.finished_at) == ("said so", ENDED)
    assert found.admitted_at == ADMITTED


def restarted(pod: Json, name: str, end: Json) -> Json:
    """Return a pod in which a sidecar ended early and was started again."""
    status = pod["status"]
    containers = [
        {**item, "lastState": end} if item["name"] == name else item
        for item in status["initContainerStatuses"]
    ]
    return {**pod, "status": {**status, "initContainerStatuses": containers}}


def test_a_stage_in_that_was_started_again_is_the_failure_if_inputs_are_missing() -> None:
    pod = restarted(failed_pod(terminated(46)), "stage-in", terminated(137, "OOMKilled"))
    found = derive(bucket(), pod, job=failed_job(), workload=admitted)
    assert found.reason == "staging"
    assert "stage-in ran out of memory" in (found.message or "")

    died = restarted(failed_pod(terminated(44)), "stage-in", terminated(137, "OOMKilled"))
    found = derive(bucket(attempts=STAGED), died, job=failed_job(), workload=admitted)
    assert found.reason == "kernel-died"


def test_a_failure_names_the_cell_where_the_attempt_knew_it() -> None:
    attempts = ({"pod_uid": "p", "started_at": STARTED, "cell": 3},)
    found = derive(
        bucket(attempts=attempts),
        failed_pod(terminated(137, "OOMKilled")),
        job=failed_job(),
        workload=admitted,
    )
    assert found.message == (
        "Ran out of memory in cell 3: it used all of its 4 GiB. Run it again with more, "
        "such as 8 GiB."
    )


def test_a_failure_after_retries_says_that_they_are_used_up() -> None:
    facts = bucket(request=RunRequest("a.ipynb", max_retries=2))
    dead = failed_pod(terminated(44))
    found = derive(facts, dead, job=failed_job(), workload=admitted)
    assert (found.message or "").endswith("No retries are left (2 used).")
    at_once = failed_job("PodFailurePolicy")
    found = derive(facts, dead, job=at_once, workload=admitted)
    assert "retries" not in (found.message or "")


def test_a_deadline_of_the_job_is_a_time_limit() -> None:
    found = derive(bucket(), job=failed_job("DeadlineExceeded"), workload=admitted)
    assert (found.state, found.reason) == ("failed", "time-limit")


def test_a_failed_job_whose_pods_are_gone_asks_the_attempts() -> None:
    last_word = {"pod_uid": "p", "reason": "kernel-died", "message": "The kernel died in cell 2."}
    found = derive(bucket(attempts=(last_word,)), job=failed_job())
    assert (found.reason, found.message) == ("kernel-died", "The kernel died in cell 2.")
    found = derive(bucket(), job=failed_job())
    assert (found.reason, found.message) == (
        "node-lost",
        "Its pod disappeared without a result. Run it again.",
    )


# --- No combination is answered with an error or an unknown word ---------------------------------


def test_any_mix_of_facts_has_one_documented_state() -> None:
    buckets = [
        bucket(**facts, **end)
        for facts in _OTHER_FACTS.values()
        for end in ({}, {"result": result_of("succeeded")}, {"final": {"state": "stopped"}})
    ]
    jobs = [None, job(), job(condition("Complete")), failed_job(), job(suspend=True)]
    workloads = [None, workload(), admitted, preempted, workload(active=False)]
    pod_lists: list[tuple[Json, ...]] = [
        (),
        (running_pod,),
        (failed_pod(terminated(137)),),
        (pod(deleting=True),),
        ({"metadata": {"name": "p", "uid": "p", "creationTimestamp": CREATED}},),
    ]
    for facts, one, work, pods in itertools.product(buckets, jobs, workloads, pod_lists):
        found = run_status.derive(facts, ClusterFacts(one, work, pods), NOW, LIMITS)
        assert found.state in run_row.STATES
        if found.state == "succeeded":
            assert facts.result is not None
        if found.state in run_row.FINISHED_STATES - {"succeeded"} and facts.final is None:
            assert found.reason
            assert found.message


def test_every_exit_code_of_the_runner_has_words() -> None:
    for code, outcome in pod_contract.OUTCOME_OF_EXIT_CODE.items():
        if outcome == pod_contract.SUCCEEDED:
            continue
        last = failed_pod(terminated(code))
        found = derive(bucket(), last, job=failed_job(), workload=admitted)
        assert found.reason == outcome
        assert found.message
