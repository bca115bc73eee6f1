"""What is shown of a run and what is done next: the table of decisions."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.domain import names, run_decisions
from jupyter_kueue.domain.run_decisions import (
    GONE,
    Accept,
    Decision,
    DeleteJob,
    EndInCluster,
    FindJob,
    ForgetRecords,
    LookAgain,
    Purge,
    ReadAge,
    ReadEvents,
    ReadRecords,
    RemoveLeftovers,
    Rules,
    RunFacts,
    Stored,
    TakeIn,
    WriteEnd,
)
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Limits, Status
from jupyter_kueue.domain.run_row import FINISHED_STATES
from tests.domain.test_pod_start import NOTEBOOK, bound, event, waits_for
from tests.domain.test_run_status import (
    ADMITTED,
    CREATED,
    ENDED,
    NOW,
    RESERVED,
    admitted,
    bucket,
    condition,
    done,
    job,
    pod,
    preempted,
    running,
    running_pod,
    terminated,
    waiting,
    workload,
)

Json = dict[str, Any]

RULES = Rules()
RUN_ID = bucket().record.run_id
JOB_NAME = names.job_name(RUN_ID)
SOON, LONG_AGO = NOW - dt.timedelta(seconds=1), NOW - dt.timedelta(days=2)
ACCEPTED = {"job_name": "nb-x", "uid": "job-uid"}
SUCCEEDED = {"outcome": "succeeded", "started_at": CREATED, "ended_at": ENDED}
FINAL = {"state": "succeeded", "finished_at": ENDED}
OLD = {"state": "succeeded", "finished_at": "2026-01-01T00:00:00Z"}
STOP = {"at": ENDED, "by": "ada"}
COMPLETE = condition("Complete", reason="Completed")
FAILED = condition("Failed", reason="BackoffLimitExceeded")
NO_JOB = ClusterFacts()
WAITS = ClusterFacts(job(suspend=True), workload(condition("QuotaReserved", "False")))
RUNS = ClusterFacts(job(), admitted, (running_pod,))
STAGED = {"attempts": ({"pod_uid": running_pod["metadata"]["uid"], "is_staged": True},)}
THE_POD = ((running_pod["metadata"]["name"], running_pod["metadata"]["uid"]),)


def facts(stored: Stored, cluster: ClusterFacts = NO_JOB, **more: Any) -> RunFacts:
    return RunFacts(RUN_ID, stored, cluster, **more)


def recorded(cluster: ClusterFacts, of_bucket: Json | None = None, **more: Any) -> RunFacts:
    found = bucket(**{"accepted": ACCEPTED, **(of_bucket or {})})
    return facts(Stored.RECORDED, cluster, **{"bucket": found, **more})


def decide(known: RunFacts, rules: Rules = RULES) -> Decision:
    return run_decisions.decide(known, NOW, rules)


def going(thing: Json) -> Json:
    return {**thing, "metadata": {**thing["metadata"], "deletionTimestamp": ENDED}}


def scheduled(thing: Json) -> Json:
    labels = {names.LABEL_SCHEDULE_ID: "s", names.LABEL_REVISION: "r"}
    return {**thing, "metadata": {**thing["metadata"], "labels": labels}}


# --- With a record ------------------------------------------------------------------------------

AFTER_A_RECORD = {
    "a Job that is there finishes the submit": (
        recorded(WAITS, {"accepted": None}),
        None,
        [Accept("nb-x", "job-uid")],
    ),
    "a submit may go on": (recorded(NO_JOB, {"accepted": None}), "submitting", []),
    "a Job that no watch shows is asked for": (recorded(NO_JOB), None, [FindJob("nb-x")]),
    "nobody is asked before the first list": (
        recorded(ClusterFacts(known=False)),
        "unknown",
        [],
    ),
    "an end is said once the bucket was read after it": (
        recorded(NO_JOB, is_confirmed=True),
        None,
        [ReadRecords()],
    ),
    "a pod's end as well": (
        recorded(ClusterFacts(job(FAILED), admitted, ())),
        None,
        [ReadRecords()],
    ),
    "a result ends a run at once, and is written down": (
        recorded(RUNS, {"result": SUCCEEDED}),
        None,
        [
            WriteEnd(
                Status("succeeded", started_at=CREATED, finished_at=ENDED),
            )
        ],
    ),
    "a Job that is about to be counted is left alone": (
        recorded(RUNS, {"result": SUCCEEDED, "final": FINAL}),
        "succeeded",
        [],
    ),
    "a Job that was suspended after its result would run again": (
        recorded(ClusterFacts(job(suspend=True), preempted), {"result": SUCCEEDED, "final": FINAL}),
        "succeeded",
        [EndInCluster("nb-x", ())],
    ),
    "a Job that goes on without a result is ended": (
        recorded(RUNS, {"final": {"state": "failed", "reason": "removed"}}),
        "failed",
        [EndInCluster("nb-x", THE_POD)],
    ),
    "a Job that has ended stays to be seen": (
        recorded(ClusterFacts(job(COMPLETE)), {"result": SUCCEEDED, "final": FINAL}),
        "succeeded",
        [],
    ),
    "and goes after an hour": (
        recorded(ClusterFacts(job(COMPLETE)), {"final": OLD}),
        "succeeded",
        [DeleteJob("nb-x")],
    ),
    "one that is going needs nothing": (
        recorded(ClusterFacts(going(job(COMPLETE))), {"final": OLD}),
        "succeeded",
        [],
    ),
    "a stop ends Job and pods": (
        recorded(RUNS, {"stop": STOP, **STAGED}),
        "stopping",
        [EndInCluster("nb-x", THE_POD)],
    ),
    "pods whose Job is gone, too": (
        recorded(ClusterFacts(None, None, (running_pod,)), {"stop": STOP}, is_confirmed=True),
        "stopping",
        [EndInCluster(None, THE_POD)],
    ),
    "what is going is waited for": (
        recorded(
            ClusterFacts(going(job()), admitted, (pod(running, deleting=True),)), {"stop": STOP}
        ),
        "stopping",
        [],
    ),
    "a run that runs needs nothing": (recorded(RUNS, STAGED), "running", []),
    "a run that waits needs nothing": (recorded(WAITS), "queued", []),
}


@pytest.mark.parametrize(
    ("known", "shown", "actions"), AFTER_A_RECORD.values(), ids=list(AFTER_A_RECORD)
)
def test_a_run_with_a_record(known: RunFacts, shown: str | None, actions: list[Any]) -> None:
    decision = decide(known)
    assert list(decision.actions) == actions
    if shown is None:
        assert decision.status is None
    else:
        assert isinstance(decision.status, Status)
        assert shown in (decision.status.state, decision.status.reason)


def test_a_submit_that_never_reached_the_cluster_is_removed_once_the_api_server_says_so() -> None:
    old = dataclasses.replace(bucket().record, created_at="2026-01-02T02:00:00Z")
    known = facts(Stored.RECORDED, bucket=BucketFacts(old))
    assert decide(known) == Decision(None, (FindJob(JOB_NAME),))
    confirmed = dataclasses.replace(known, is_confirmed=True)
    assert decide(confirmed) == Decision(None, (RemoveLeftovers(JOB_NAME),))
    patient = Rules(leftovers=dt.timedelta(hours=2))
    assert decide(confirmed, patient).actions == ()


def test_the_end_of_a_run_keeps_what_only_this_server_saw() -> None:
    known = recorded(
        NO_JOB,
        {"stop": STOP},
        is_confirmed=True,
        is_current=True,
        admitted_at=ADMITTED,
        started_at=CREATED,
    )
    [action] = decide(known).actions
    assert isinstance(action, WriteEnd)
    assert (action.status.state, action.status.finished_at) == ("stopped", ENDED)
    assert (action.status.admitted_at, action.status.started_at) == (ADMITTED, CREATED)


def test_an_end_of_which_nobody_knows_when_it_was_is_now() -> None:
    [action] = decide(recorded(NO_JOB, is_confirmed=True, is_current=True)).actions
    assert isinstance(action, WriteEnd)
    assert action.status.finished_at == "2026-01-02T03:10:00.000Z"


@pytest.mark.parametrize(
    ("cluster", "kept"),
    [
        (ClusterFacts(job(), workload(RESERVED, condition("Admitted")), ()), True),
        (WAITS, False),
    ],
    ids=["starting", "queued again"],
)
def test_when_a_run_began_is_kept_while_it_goes_on(cluster: ClusterFacts, kept: bool) -> None:
    known = recorded(
        dataclasses.replace(cluster, events=()), admitted_at=CREATED, started_at=CREATED
    )
    status = decide(known).status
    assert isinstance(status, Status)
    assert (status.started_at == CREATED) == kept


def test_what_cannot_be_understood_is_shown_and_left_alone() -> None:
    odd = dataclasses.replace(bucket(accepted=ACCEPTED), problem="it is none")
    decision = decide(facts(Stored.RECORDED, RUNS, bucket=odd))
    assert isinstance(decision.status, Status)
    assert (decision.status.reason, decision.actions) == ("unreadable", ())


# --- Looked at again ----------------------------------------------------------------------------


def test_what_keeps_a_run_from_starting_is_read_and_looked_at_again() -> None:
    no_pod = ClusterFacts(job(), admitted)
    [read] = decide(recorded(no_pod)).actions
    assert isinstance(read, ReadEvents)
    assert read.about == no_pod.job
    decision = decide(recorded(dataclasses.replace(no_pod, events=())))
    assert isinstance(decision.status, Status)
    assert decision.status.state == "starting"
    assert decision.actions == (LookAgain(read.max_age_seconds),)


def test_a_run_that_may_not_start_is_looked_at_after_a_moment() -> None:
    at = (NOW - dt.timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fresh = job()
    fresh["metadata"]["creationTimestamp"] = at
    decision = decide(recorded(ClusterFacts(fresh, admitted)))
    assert decision.actions == (LookAgain(2.0),)


@pytest.mark.parametrize(("age", "pause"), [(0.1, 0.25), (8, 2.0), (3600, 5.0)])
def test_inputs_that_are_fetched_are_looked_for_more_seldom_the_longer_it_takes(
    age: float, pause: float
) -> None:
    began = (NOW - dt.timedelta(seconds=age)).isoformat()
    staging = pod(running, stage_in=running, stage_out=running, phase="Running", at=began)
    decision = decide(recorded(ClusterFacts(job(), admitted, (staging,), events=())))
    assert LookAgain(pause, reread=True) in decision.actions


@pytest.mark.parametrize("minutes", [5, 60])
def test_how_long_an_image_may_fail_to_be_fetched_is_a_setting(minutes: int) -> None:
    stuck = bound(pod(waits_for("ErrImagePull", "not found"), stage_in=running))
    failed = event("Failed", "Failed to pull image", NOTEBOOK, first=5, last=500)
    cluster = ClusterFacts(job(), admitted, (stuck,), events=(failed,))
    rules = Rules(Limits(start_timeout=dt.timedelta(minutes=minutes)))
    decision = decide(recorded(cluster, is_current=True), rules)
    if minutes == 5:
        [action] = decision.actions
        assert isinstance(action, WriteEnd)
        assert (action.status.state, action.status.reason) == ("failed", "image-pull")
    else:
        assert isinstance(decision.status, Status)
        assert (decision.status.state, decision.status.reason) == ("starting", "image-pull")


# --- Without a record ---------------------------------------------------------------------------

A_JOB = job()
ITSELF = dataclasses.replace(bucket(accepted=ACCEPTED), is_recorded=False)
WITHOUT_A_RECORD = {
    "the bucket is read first": (facts(Stored.UNREAD), None, [ReadRecords()]),
    "nothing is nothing": (facts(Stored.EMPTY), GONE, []),
    "how old leftovers are": (facts(Stored.LEFTOVERS), GONE, [ReadAge()]),
    "new ones may be a submit": (
        facts(Stored.LEFTOVERS, newest_at=SOON),
        GONE,
        [LookAgain(899.0)],
    ),
    "old ones go": (
        facts(Stored.LEFTOVERS, newest_at=LONG_AGO),
        GONE,
        [RemoveLeftovers(JOB_NAME)],
    ),
    "not before the first list": (
        facts(Stored.LEFTOVERS, ClusterFacts(known=False), newest_at=LONG_AGO),
        GONE,
        [],
    ),
    "a CronJob's run is taken in": (
        facts(Stored.EMPTY, ClusterFacts(scheduled(A_JOB))),
        None,
        [TakeIn(scheduled(A_JOB))],
    ),
    "unless its schedule has none for it": (
        facts(Stored.EMPTY, ClusterFacts(scheduled(A_JOB)), is_refused=True),
        GONE,
        [DeleteJob("nb-x")],
    ),
    "or is unknown": (
        facts(Stored.EMPTY, ClusterFacts(scheduled(A_JOB)), has_unknown_schedule=True),
        None,
        [FindJob("nb-x")],
    ),
    "a Job that nobody submitted is asked for": (
        facts(Stored.EMPTY, ClusterFacts(A_JOB)),
        None,
        [FindJob("nb-x")],
    ),
    "and shown as it is": (
        facts(Stored.EMPTY, WAITS, is_confirmed=True, bucket=ITSELF),
        "queued",
        [],
    ),
    "one that is going is not": (
        facts(Stored.EMPTY, ClusterFacts(going(A_JOB)), is_confirmed=True),
        GONE,
        [],
    ),
    "a cleared submit is nobody's": (facts(Stored.CLEARED), GONE, [ReadAge()]),
    "whoever cleared it has a minute": (
        facts(Stored.CLEARED, ClusterFacts(A_JOB), newest_at=SOON),
        GONE,
        [DeleteJob("nb-x"), LookAgain(59.0)],
    ),
    "or was killed": (
        facts(Stored.CLEARED, newest_at=LONG_AGO),
        GONE,
        [ForgetRecords()],
    ),
    "a deleted run's Job is asked for": (facts(Stored.DELETED), GONE, [FindJob(JOB_NAME)]),
    "and ended": (facts(Stored.DELETED, RUNS), GONE, [EndInCluster("nb-x", THE_POD)]),
    "its pods are waited for": (
        facts(
            Stored.DELETED,
            ClusterFacts(None, None, (pod(running, deleting=True),)),
            is_confirmed=True,
        ),
        GONE,
        [LookAgain(60.0)],
    ),
    "before its files are looked for": (
        facts(Stored.DELETED, is_confirmed=True),
        GONE,
        [ReadRecords()],
    ),
    "and removed": (
        facts(Stored.DELETED, is_confirmed=True, is_current=True, has_more=True),
        GONE,
        [Purge()],
    ),
    "its tombstone stays": (
        facts(Stored.DELETED, is_confirmed=True, is_current=True, tombstone_at=SOON),
        GONE,
        [],
    ),
    "for a day": (
        facts(Stored.DELETED, is_confirmed=True, is_current=True, tombstone_at=LONG_AGO),
        GONE,
        [ForgetRecords()],
    ),
    "a lost record's run is shown as the cluster has it": (
        facts(Stored.LOST, WAITS, bucket=ITSELF, lost="gone"),
        "queued",
        [],
    ),
    "how it ended only the bucket knows": (
        facts(Stored.LOST, ClusterFacts(job(COMPLETE)), bucket=ITSELF, lost="gone"),
        "unknown",
        [],
    ),
    "and all else without a Job": (
        facts(Stored.LOST, bucket=ITSELF, lost="gone"),
        "unknown",
        [],
    ),
    "a row that is final, and its Job goes on: the records say whether it may": (
        facts(Stored.ENDED, ClusterFacts(job()), finished_at=ENDED),
        None,
        [ReadRecords()],
    ),
    "a row that is final stays": (facts(Stored.ENDED, finished_at=ENDED), None, []),
    "its Job goes after an hour": (
        facts(Stored.ENDED, ClusterFacts(job(COMPLETE)), finished_at="2026-01-01T00:00:00Z"),
        None,
        [DeleteJob("nb-x")],
    ),
    "and at once if it would run again": (
        facts(Stored.ENDED, ClusterFacts(job(suspend=True)), finished_at=ENDED),
        None,
        [DeleteJob("nb-x")],
    ),
}


@pytest.mark.parametrize(
    ("known", "shown", "actions"), WITHOUT_A_RECORD.values(), ids=list(WITHOUT_A_RECORD)
)
def test_a_run_without_a_record(known: RunFacts, shown: Any, actions: list[Any]) -> None:
    decision = decide(known)
    assert list(decision.actions) == actions
    if isinstance(decision.status, Status):
        assert shown in (decision.status.state, decision.status.reason)
    else:
        assert decision.status is shown


# --- Whatever is known --------------------------------------------------------------------------

MAYBE = {"bucket": ITSELF, "is_confirmed": True, "is_current": True, "has_more": True}
JOBS = [
    None,
    job(),
    job(suspend=True),
    job(COMPLETE),
    job(FAILED),
    going(job()),
    scheduled(job()),
    going(scheduled(job(suspend=True))),
]
PODS = [
    pod(),
    running_pod,
    pod(running, deleting=True),
    pod(done, phase="Succeeded"),
    pod(terminated(41), phase="Failed", at=ENDED),
    pod(terminated(43), phase="Failed"),
    pod(waiting, stage_in=terminated(46), phase="Failed"),
]


@st.composite
def anything(draw: st.DrawFn) -> RunFacts:
    cluster = ClusterFacts(
        draw(st.sampled_from(JOBS)),
        draw(st.sampled_from([None, admitted, preempted, workload(active=False)])),
        tuple(draw(st.lists(st.sampled_from(PODS), max_size=2))),
        known=draw(st.booleans()),
        events=draw(st.sampled_from([None, ()])),
    )
    marks = {
        "accepted": ACCEPTED,
        "stop": STOP,
        "result": SUCCEEDED,
        "final": FINAL,
        "problem": "it is none",
    }
    there = draw(st.sets(st.sampled_from(sorted(marks))))
    found = bucket(**{"accepted": None, **{key: marks[key] for key in there}}, **STAGED)
    moment = st.sampled_from([None, SOON, LONG_AGO])
    return RunFacts(
        RUN_ID,
        draw(st.sampled_from(Stored)),
        cluster,
        bucket=draw(st.sampled_from([None, found, dataclasses.replace(found, is_recorded=False)])),
        is_current=draw(st.booleans()),
        is_confirmed=draw(st.booleans()),
        has_more=draw(st.booleans()),
        tombstone_at=draw(moment),
        newest_at=draw(moment),
        has_unknown_schedule=draw(st.booleans()),
        is_refused=draw(st.booleans()),
        finished_at=draw(st.sampled_from([None, ENDED])),
    )


@given(anything())
def test_there_is_a_decision_on_any_facts_and_no_guess(known: RunFacts) -> None:
    decision = decide(known)
    assert decide(known) == decision
    if decision.status is None and known.stored is not Stored.ENDED:
        # It is found out what is missing.
        assert len(decision.actions) == 1
    if not isinstance(decision.status, Status) or known.bucket is None:
        return
    is_recorded = known.stored is Stored.RECORDED and not run_decisions.is_provisional(known.bucket)
    if is_recorded and decision.status.state in FINISHED_STATES:
        # Nothing has ended before that is written down.
        assert known.bucket.final is not None
    if decision.status.state == "succeeded":
        assert known.bucket.result is not None or known.bucket.final is not None
    if known.stored is Stored.LOST:
        assert decision.status.state not in FINISHED_STATES


@given(anything())
def test_nothing_is_removed_of_a_run_that_somebody_was_told_of(known: RunFacts) -> None:
    removals = (Purge, ForgetRecords, RemoveLeftovers)
    if not any(isinstance(action, removals) for action in decide(known).actions):
        return
    is_told = known.stored is Stored.RECORDED and known.bucket is not None
    assert not is_told or known.bucket.accepted is None
    assert known.stored in (Stored.DELETED, Stored.CLEARED, Stored.LEFTOVERS, Stored.RECORDED)
