"""What keeps a run from starting, from pods and events as Kubernetes writes them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from jupyter_kueue.domain import pod_start, run_status
from jupyter_kueue.domain.run_facts import ClusterFacts, Status
from jupyter_kueue.domain.run_request import RunRequest
from tests.domain.test_run_status import (
    ADMITTED,
    STAGED,
    admitted,
    bucket,
    condition,
    derive,
    done,
    failed_pod,
    job,
    pod,
    restarted,
    running,
    running_pod,
    terminated,
    waiting,
)

Json = dict[str, Any]

CREATED_AT = dt.datetime(2026, 1, 2, 3, 1, 0, tzinfo=dt.UTC)  # ADMITTED
NOTEBOOK = "spec.containers{notebook}"
RUNNER = "spec.initContainers{stage-in}"


def after(**spent: float) -> dt.datetime:
    return CREATED_AT + dt.timedelta(**spent)


def event(
    reason: str,
    message: str = "",
    field: str = "",
    first: float = 0,
    last: float | None = None,
    kind: str = "Warning",
) -> Json:
    """Return an event that began ``first`` and was repeated ``last`` seconds after the pod."""
    begun, ended = after(seconds=first), after(seconds=first if last is None else last)
    return {
        "type": kind,
        "reason": reason,
        "message": message,
        "firstTimestamp": begun.isoformat(),
        "lastTimestamp": ended.isoformat(),
        "metadata": {"creationTimestamp": begun.isoformat()},
        "involvedObject": {"kind": "Pod", "fieldPath": field},
    }


def bound(pod: Json, at: str = ADMITTED) -> Json:
    scheduled = condition("PodScheduled", at=at)
    return {**pod, "status": {**pod["status"], "conditions": [scheduled]}}


def waits_for(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def seen(*pods: Json, events: tuple[Json, ...] | None, now: dt.datetime, **more: Any) -> Status:
    started = job()
    started["status"] = {"startTime": ADMITTED}
    facts = more.pop("bucket", bucket())
    return derive(facts, *pods, job=started, workload=admitted, events=events, now=now)


# --- Refused by the API server ------------------------------------------------------------------

_REFUSALS = [
    (
        'Error creating: pods "nb-x-7k2lp" is forbidden: failed quota: compute: must specify '
        "limits.cpu for: notebook,stage-in,stage-out",
        "requires limits.cpu for every container. Ask an admin to set cpu_limit",
        False,
    ),
    (
        'Error creating: pods "nb-x-7k2lp" is forbidden: failed quota: q: must specify '
        "limits.ephemeral-storage for: notebook; requests.storage for: notebook",
        "requires limits.ephemeral-storage and requests.storage",
        False,
    ),
    (
        'Error creating: pods "nb-x-7k2lp" is forbidden: exceeded quota: compute, requested: '
        "limits.cpu=1100m,pods=1, used: limits.cpu=3,pods=2, limited: limits.cpu=4,pods=10",
        "ResourceQuota is used up. Retrying automatically.",
        True,
    ),
    (
        'Error creating: pods "nb-x-7k2lp" is forbidden: exceeded quota: compute, requested: '
        "limits.memory=8Gi, used: limits.memory=0, limited: limits.memory=4Gi",
        "requests more limits.memory than the namespace's ResourceQuota allows",
        False,
    ),
    (
        'Error creating: pods "nb-x-7k2lp" is forbidden: violates PodSecurity "restricted:latest": '
        "host namespaces (hostNetwork=true)",
        "pod security standard does not allow it",
        False,
    ),
    (
        'Error creating: pods "nb-x-7k2lp" is forbidden: [maximum memory usage per Container is '
        "1Gi, but limit is 2Gi, maximum memory usage per Pod is 2Gi, but limit is 6Gi]",
        "LimitRange",
        False,
    ),
    (
        'Error creating: Pod "nb-x-7k2lp" is invalid: spec.hostname: Invalid value: "_"',
        "not valid",
        False,
    ),
    (
        'Error creating: admission webhook "policy.example.org" denied the request: no',
        "refused its pod. Ask an admin",
        True,
    ),
    ("Error creating: Internal error occurred: failed calling webhook", "Ask an admin", True),
]


@pytest.mark.parametrize(("text", "words", "passes"), _REFUSALS, ids=[row[1] for row in _REFUSALS])
def test_a_refused_pod_is_said_and_ended(text: str, words: str, passes: bool) -> None:
    events = (event("FailedCreate", text, first=1, last=30),)

    found = seen(events=events, now=after(seconds=40))
    assert (found.state, found.reason) == ("starting", "pod-refused")
    assert words in (found.message or "")
    assert not str(found.detail).startswith("Error creating: pods")

    late = seen(events=events, now=after(seconds=62))
    assert late.state == ("starting" if passes else "failed")
    ended = seen(events=events, now=after(minutes=10, seconds=1))
    assert (ended.state, ended.reason) == ("failed", "pod-refused")
    assert ("went on for 10 minutes" in (ended.message or "")) == passes


def test_what_was_refused_before_the_job_was_resumed_is_over() -> None:
    old = event("FailedCreate", "Error creating: no", first=-600, last=-300)
    assert seen(events=(old,), now=after(seconds=5)).reason == "starting"
    # The same words again: the cluster only counts on, and the time before is none of this start's.
    again = event("FailedCreate", "Error creating: no", first=-600, last=3)
    assert seen(events=(again,), now=after(minutes=9)).reason == "pod-refused"
    assert seen(events=(again,), now=after(minutes=10)).state == "failed"


def test_the_next_attempts_pod_can_be_refused_as_well() -> None:
    facts = bucket(request=RunRequest("a.ipynb", max_retries=3))
    dead = failed_pod(terminated(44))
    refused = event("FailedCreate", "Error creating: exceeded quota", first=20)
    found = seen(dead, events=(refused,), now=after(seconds=30), bucket=facts)
    assert (found.state, found.reason) == ("starting", "pod-refused")
    assert seen(dead, events=(), now=after(seconds=30), bucket=facts).reason == "retrying"


# --- Images -------------------------------------------------------------------------------------


def test_the_image_that_is_being_fetched_is_named() -> None:
    fetching = event("Pulling", 'Pulling image "x"', NOTEBOOK, first=4, kind="Normal")
    fetched = event("Pulled", "Successfully pulled", NOTEBOOK, first=4, kind="Normal")
    staging = bound(pod(waiting, stage_in=running, stage_out=running))
    found = seen(staging, events=(fetching,), now=after(minutes=25))
    assert (found.state, found.reason) == ("starting", "pulling")
    assert found.message == "Fetching the environment example.org/notebook:1."
    assert seen(staging, events=(fetching, fetched), now=after(seconds=9)).reason == "staging"
    again = event("Pulling", "", NOTEBOOK, first=4, last=20, kind="Normal")
    assert seen(staging, events=(again, fetched), now=after(seconds=9)).reason == "pulling"

    runner = event("Pulling", "", RUNNER, first=1, kind="Normal")
    first = bound(pod(waiting, stage_in=waits_for("ContainerCreating")))
    found = seen(first, events=(runner,), now=after(seconds=9))
    assert found.message == "Fetching the runner image example.org/runner:1."


def test_a_failing_pull_is_counted_from_its_first_failure() -> None:
    cannot = bound(pod(waits_for("ImagePullBackOff", "not found"), stage_in=running))
    failed = event("Failed", "Failed to pull image", NOTEBOOK, first=1200, last=1790)
    events = (failed, event("BackOff", "", NOTEBOOK, first=1201, kind="Normal"))

    found = seen(cannot, events=events, now=after(seconds=1795))
    assert (found.state, found.reason) == ("starting", "image-pull")
    assert "example.org/notebook:1" in (found.message or "")
    ended = seen(cannot, events=events, now=after(seconds=1801))
    assert (ended.state, ended.reason) == ("failed", "image-pull")
    assert ended.message == (
        "Fetching the environment example.org/notebook:1 kept failing for 10 minutes. "
        "Check its name."
    )


def test_a_failed_pull_is_told_before_the_pods_status_knows() -> None:
    staging = bound(pod(waiting, stage_in=running, stage_out=running))
    events = (
        event("Pulling", "", NOTEBOOK, first=4, last=20, kind="Normal"),
        event("Failed", 'Failed to pull image "x": not found', NOTEBOOK, first=5, last=21),
        event("Failed", "Error: ErrImagePull", NOTEBOOK, first=5, last=21),
    )
    found = seen(staging, events=events, now=after(seconds=30))
    assert (found.reason, found.detail) == ("image-pull", 'Failed to pull image "x": not found')
    again = (*events, event("Pulling", "", NOTEBOOK, first=4, last=40, kind="Normal"))
    assert seen(staging, events=again, now=after(seconds=45)).reason == "pulling"


@pytest.mark.parametrize("events", [None, ()])
def test_a_pull_of_which_no_failure_is_known_yet_has_all_its_time(events: Any) -> None:
    cannot = bound(pod(waits_for("ErrImagePull", "not found"), stage_in=running))
    assert seen(cannot, events=events, now=after(hours=5)).state == "starting"


def test_where_events_cannot_be_read_the_time_on_the_node_counts() -> None:
    cannot = bound(pod(waits_for("ErrImagePull", "denied"), stage_in=running))
    events = pod_start.stand_ins(cannot)
    assert seen(cannot, events=events, now=after(minutes=9)).state == "starting"
    assert seen(cannot, events=events, now=after(minutes=10)).state == "failed"


def test_a_name_that_is_none_is_not_waited_for() -> None:
    cannot = bound(pod(waits_for("InvalidImageName", "bad"), stage_in=running))
    events = (event("InspectFailed", "Failed to apply default image tag", NOTEBOOK, first=1),)
    assert seen(cannot, events=events, now=after(seconds=30)).state == "starting"
    assert seen(cannot, events=events, now=after(seconds=61)).state == "failed"


_STARTS_NOT = 'exec: "python": executable file not found in $PATH'
_RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    f"create failed: unable to start container process: {_STARTS_NOT}: unknown"
)
_MODULE = (
    "/opt/venv/bin/python: Error while finding module specification for "
    "'jupyter_kueue.runner.stage_in.stage_in' "
    "(ModuleNotFoundError: No module named 'jupyter_kueue')"
)
_FAULTS = [
    (
        "the package, restarted",
        restarted(
            pod(running, stage_in=waits_for("CrashLoopBackOff"), phase="Running"),
            "stage-in",
            terminated(1, message=_MODULE),
        ),
        "runner-image",
        "runner image example.org/runner:1 does not contain this version of jupyter-kueue",
    ),
    (
        "the package, just ended",
        pod(waiting, stage_in=terminated(1, message=_MODULE)),
        "runner-image",
        "runner_image",
    ),
    (
        "no python for the runner",
        pod(waiting, stage_in=waits_for("RunContainerError", _RUNC)),
        "runner-image",
        "runner image example.org/runner:1 has no `python`",
    ),
    (
        "no python for the runner, restarted",
        restarted(
            pod(waiting, stage_in=waits_for("CrashLoopBackOff")),
            "stage-in",
            terminated(128, "StartError", _RUNC),
        ),
        "runner-image",
        "has no `python`",
    ),
    (
        "no python for the notebook",
        failed_pod(terminated(128, "StartError", _RUNC)),
        "no-kernel",
        "environment example.org/notebook:1 has no `python`",
    ),
    (
        "no python for the notebook, another runtime",
        failed_pod(terminated(127, "ContainerCannotRun", _STARTS_NOT)),
        "no-kernel",
        "has no `python`",
    ),
]


@pytest.mark.parametrize(
    ("faulty", "reason", "words"), [row[1:] for row in _FAULTS], ids=[row[0] for row in _FAULTS]
)
def test_an_image_that_lacks_what_it_needs_fails_the_run_at_once(
    faulty: Json, reason: str, words: str
) -> None:
    facts = bucket(request=RunRequest("a.ipynb", max_retries=3))
    found = seen(bound(faulty), events=None, now=after(seconds=3), bucket=facts)
    assert (found.state, found.reason) == ("failed", reason)
    assert words in (found.message or "")


def test_what_a_program_says_that_has_begun_is_no_fault_of_its_image() -> None:
    said = pod(
        terminated(1, message=_STARTS_NOT), stage_in=running, stage_out=running, phase="Running"
    )
    assert seen(said, events=(), now=after(seconds=9)).reason == "finishing"
    died = restarted(running_pod, "stage-out", terminated(1, message=_MODULE))
    found = seen(died, events=(), now=after(seconds=9), bucket=bucket(attempts=STAGED))
    assert found.state == "running"


# --- The node -----------------------------------------------------------------------------------

_FULL = "MountVolume.SetUp failed for volume: write /var/lib/kubelet/x: no space left on device"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (event("FailedMount", _FULL, first=2, last=500), "node-full"),
        (event("FailedCreatePodSandBox", f"open: {_FULL}", first=2, last=500), "node-full"),
        (event("FailedMount", 'secret "bucket" not found', first=2, last=500), "pod-setup"),
        (event("FailedCreatePodSandBox", "cni plugin", first=2, last=500), "pod-setup"),
        (event("FailedAttachVolume", "Multi-Attach error", first=2, last=500), "pod-setup"),
    ],
)
def test_a_node_that_cannot_set_a_pod_up_is_said_and_left(trouble: Json, reason: str) -> None:
    stuck = bound(pod(waits_for("ContainerCreating"), stage_in=waits_for("PodInitializing")))
    bare = {**stuck, "status": {"phase": "Pending", "conditions": stuck["status"]["conditions"]}}
    for one in (stuck, bare):
        found = seen(one, events=(trouble,), now=after(minutes=9))
        assert (found.state, found.reason) == ("starting", reason)
        assert found.detail == trouble["message"]
        ended = seen(one, events=(trouble,), now=after(minutes=11))
        assert (ended.state, ended.reason) == ("failed", reason)

    passed = (trouble, event("Pulled", "", RUNNER, first=501, kind="Normal"))
    assert seen(stuck, events=passed, now=after(minutes=11)).state == "starting"


def test_a_full_node_that_cannot_take_an_image_is_said() -> None:
    detail = "failed to extract layer: write /x: no space left on device"
    stuck = bound(pod(waits_for("ErrImagePull", detail), stage_in=running))
    events = (event("Failed", detail, NOTEBOOK, first=5),)
    assert seen(stuck, events=events, now=after(minutes=2)).reason == "node-full"
    assert seen(stuck, events=events, now=after(minutes=11)).state == "failed"


def test_a_container_that_cannot_be_configured_gives_its_quota_back() -> None:
    stuck = bound(pod(waits_for("CreateContainerConfigError", 'secret "x" not found')))
    events = (event("Failed", 'Error: secret "x" not found', NOTEBOOK, first=5, last=600),)
    assert seen(stuck, events=events, now=after(minutes=9)).reason == "container-config"
    assert seen(stuck, events=events, now=after(minutes=11)).state == "failed"


# --- Which events are read ----------------------------------------------------------------------


def wanted(*pods: Json, now: dt.datetime, **how: Any) -> str | None:
    resumed = job(**how)
    resumed["status"]["startTime"] = ADMITTED
    facts = ClusterFacts(job=resumed, workload=admitted, pods=tuple(pods))
    found = run_status.wants_events(facts, now)
    return found["metadata"]["uid"] if found else None


def test_events_are_read_only_of_what_does_not_start() -> None:
    late = after(minutes=1)
    assert wanted(now=late) == "job-uid"
    assert wanted(now=after(seconds=1)) is None
    assert wanted(now=late, suspend=True) is None
    waits = bound(pod(waiting))
    assert wanted(waits, now=late) == waits["metadata"]["uid"]
    assert wanted(waits, now=after(seconds=1)) is None
    assert wanted(pod(waiting), now=late) is None  # it has no node
    assert wanted(bound(running_pod), now=late) is None
    assert wanted(failed_pod(terminated(44)), now=late) == "job-uid"
    assert wanted(failed_pod(done), now=late) == "job-uid"
