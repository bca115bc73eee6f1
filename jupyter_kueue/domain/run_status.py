"""The status of a run: one state with its reason, from the facts in bucket and cluster.

Pure, and never a guess: a watch that ended is no success, and an end without a result is a failure.
The table that ``derive`` implements is in docs/architecture.md.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import both, foreign, say
from jupyter_kueue.domain import (
    evictions,
    kueue_conditions,
    names,
    pod_containers,
    pod_start,
    quantities,
)
from jupyter_kueue.domain.run_facts import Limits, Status, stored_sentence
from jupyter_kueue.domain.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import (
        Condition,
        ContainerStateTerminated,
        Job,
        Pod,
        Workload,
    )
    from jupyter_kueue.domain.pod_start import Obstacle
    from jupyter_kueue.domain.run_documents import Attempt, Final, Result
    from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts
    from jupyter_kueue.domain.run_record import RunRecord

# The reason of a run of which bucket or cluster hold something that is none of ours.
UNREADABLE = "unreadable"

# Kueue creates a Workload within a second or two. After this long without one, something is wrong.
_WORKLOAD_PATIENCE = dt.timedelta(seconds=30)

# How long after the end of its grace period a pod that is being deleted is waited for.
LOST_POD_PATIENCE = dt.timedelta(seconds=60)

# The Job controller creates a pod within a second. After this long without one, events are read.
POD_PATIENCE = dt.timedelta(seconds=2)


def derive(bucket: BucketFacts, cluster: ClusterFacts, now: dt.datetime, limits: Limits) -> Status:
    """Return the status of one run. The first match wins, in the order of the table."""
    if bucket.problem is not None:
        return Status(
            "failed",
            UNREADABLE,
            say(
                "run-unreadable",
                "{problem} Delete the run; this also removes what is left of it in the cluster.",
                problem=bucket.problem,
            ),
            finished_at=bucket.record.created_at,
        )
    ended = _recorded_end(bucket)
    if ended:
        return ended
    queue = bucket.record.local_queue
    job = cluster.job
    gone = job is None and not remaining_pods(cluster, now)
    if bucket.stop is not None or bucket.deleted:
        if gone and cluster.known:
            return Status(
                "stopped",
                "stopped",
                _stop_message(bucket),
                finished_at=(bucket.stop or {}).get("at"),
            )
        return Status("stopping", "stopping", say("stopping", "Stopping. Finished cells are kept."))
    times = _times(bucket, cluster)
    if job is None:
        if not cluster.known:
            said = say("cluster-not-answered-yet", "The cluster has not answered yet.")
            return Status("queued", "unknown", said, **times)
        return _without_job(bucket, cluster, now)
    if failed := _condition(job, "Failed"):
        return _failure(bucket, cluster, failed)
    if complete := _condition(job, "Complete"):
        if any(_is_alive(pod) for pod in cluster.pods):
            said = say("finished-saving", "Finished. Saving outputs.")
            return Status("running", "finishing", said, **times)
        if given_up := _given_up(bucket, complete.get("lastTransitionTime"), times):
            return given_up
        return Status(
            "failed",
            "outputs-lost",
            say("outputs-lost", "The notebook ended but its outputs were not saved. Run it again."),
            complete.get("message"),
            finished_at=complete.get("lastTransitionTime"),
        )
    if evicted := _evicted(bucket, cluster, limits, times):
        return evicted
    workload = cluster.workload
    if workload is None:
        return _without_workload(job, bucket.record, cluster.most, now)
    if not workload["spec"].get("active", True):
        return _deactivated(workload)
    found = kueue_conditions.conditions(workload)
    pod = current_pod(cluster)
    if not kueue_conditions.is_true(found.get("Admitted")):
        if kueue_conditions.is_true(found.get("QuotaReserved")):
            return Status(
                "queued",
                "admission-check",
                say("admission-check", "Next to run. The cluster is preparing a machine."),
                kueue_conditions.condition_of(workload, "Admitted").get("message"),
            )
        return kueue_conditions.waiting_status(workload, queue, now, cluster.most)
    if pod is None and kueue_conditions.is_true(found.get("Evicted")):
        # Its quota is being taken back: the pods are gone or ending, but the reservation is still
        # there.
        return kueue_conditions.waiting_status(workload, queue, now, cluster.most)
    if ended := _ended_by_itself(bucket, cluster, times):
        return ended
    if obstacle := _obstacle(bucket, cluster, pod, limits):
        lasted = obstacle.has_lasted(now, limits.start_timeout)
        return Status(
            "failed" if lasted else "starting",
            obstacle.reason,
            obstacle.failure if lasted else obstacle.message,
            obstacle.detail,
            **times,
        )
    if pod is None:
        return Status("starting", "starting", say("starting", "Starting."), **times)
    return _of_pod(pod, bucket, times)


def wants_events(cluster: ClusterFacts, now: dt.datetime) -> Job | Pod | None:
    """Return the object whose events say why a run does not start, None if none is needed.

    That is the Job if it should have a pod and has none, or the pod if its containers wait on its
    node.
    """
    job, workload, pod = cluster.job, cluster.workload, current_pod(cluster)
    if job is None or workload is None or job["spec"].get("suspend") or is_ended(job):
        return None
    if not kueue_conditions.is_true(kueue_conditions.conditions(workload).get("Admitted")):
        return None
    if pod is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return job if now - _pod_wanted_since(job, pod) >= POD_PATIENCE else None
    if "running" in pod_containers.state_of(pod, pod_contract.NOTEBOOK):
        return None
    bound = pod_start.bound_at(pod)
    return pod if bound is not None and now - bound >= POD_PATIENCE else None


def _pod_wanted_since(job: Job, pod: Pod | None) -> dt.datetime:
    """Return since when a Job should have another pod than ``pod``, its last one."""
    resumed = parse_time(
        job.get("status", {}).get("startTime") or job["metadata"]["creationTimestamp"]
    )
    if pod is None:
        return resumed
    return max(resumed, parse_time(pod["metadata"]["creationTimestamp"]))


def _obstacle(
    bucket: BucketFacts, cluster: ClusterFacts, pod: Pod | None, limits: Limits
) -> Obstacle | None:
    """Return what keeps an admitted run from starting, None if it starts or runs."""
    job, image = cluster.job, bucket.record.image
    if job is None:
        return None
    if pod is not None and _is_alive(pod):
        if "running" in pod_containers.state_of(pod, pod_contract.NOTEBOOK):
            return None if _is_staged(pod, bucket) else pod_start.image_fault(pod, image)
        return pod_start.of_pod(pod, cluster.events, image, limits.start_timeout)
    if pod is not None and (fault := pod_start.image_fault(pod, image)):
        return fault
    since = _pod_wanted_since(job, pod)
    return pod_start.refusal(cluster.events or (), since, limits.start_timeout)


def _evicted(
    bucket: BucketFacts, cluster: ClusterFacts, limits: Limits, times: _Times
) -> Status | None:
    """Return the end of a run after too many evictions, None if another attempt may succeed."""
    found = [(pod, eviction) for pod in cluster.pods if (eviction := evictions.of(pod))]
    for pod, eviction in found:
        if eviction.is_its_own_doing:
            return Status(
                "failed",
                eviction.reason,
                eviction.message,
                pod["status"].get("message"),
                **times,
            )
    uids = {pod["metadata"]["uid"] for pod, _ in found}
    uids |= {
        uid
        for item in bucket.attempts
        if item.get("reason") == pod_contract.EVICTED and (uid := item.get("pod_uid"))
    }
    if len(uids) <= limits.max_evictions:
        return None
    last = max(found, key=lambda item: str(item[0]["metadata"]["creationTimestamp"]), default=None)
    message = say(
        "evicted-too-often",
        "Its machines evicted it {count} times, so it is not retried.",
        "Its machine evicted it, so it is not retried.",
        count=len(uids),
    )
    return Status(
        "failed",
        pod_contract.EVICTED,
        say(
            "evicted-the-last-time",
            "{what} The last time, {cause}.",
            what=message,
            cause=last[1].cause,
        )
        if last
        else message,
        last[0]["status"].get("message") if last else None,
        **times,
    )


def _ended_by_itself(bucket: BucketFacts, cluster: ClusterFacts, times: _Times) -> Status | None:
    """Return the end of a run in which something sends SIGTERM, None while it may be retried.

    The Job does not count such an end, because pods are also deleted by SIGTERM; but then the pod
    or its node shows that.
    """
    count = sum(_is_ended_by_itself(pod) for pod in cluster.pods)
    retries = bucket.record.request.max_retries
    if count <= retries:
        return None
    return Status(
        "failed",
        pod_contract.INTERRUPTED,
        say(
            "stopped-itself",
            "The run ended itself with the signal SIGTERM. Look for code that signals "
            "its parent process or its process group, such as os.kill. Earlier "
            "outputs are kept.",
        ),
        **times,
    )


def _is_ended_by_itself(pod: Pod) -> bool:
    ended = pod_containers.terminated(pod, pod_contract.NOTEBOOK) or {}
    return (
        pod.get("status", {}).get("phase") == "Failed"
        and ended.get("exitCode") == pod_contract.EXIT_INTERRUPTED
        and "deletionTimestamp" not in pod["metadata"]
        and not _is_disrupted(pod)
        and evictions.of(pod) is None
    )


def _given_up(bucket: BucketFacts, at: str | None, times: _Times) -> Status | None:
    """Return the end of a run whose last attempt found that going on makes no sense."""
    if not bucket.attempts:
        return None
    last = bucket.attempts[-1]
    reason = last.get("reason")
    if reason not in (pod_contract.DISK_FULL, pod_contract.EVICTED):
        return None
    message = _said_by_runner(last)
    return Status("failed", reason, message, **times, finished_at=at)


def remaining_pods(cluster: ClusterFacts, now: dt.datetime) -> list[Pod]:
    """Return the pods that still have to end.

    A pod on a lost node is never confirmed to be gone: it no longer counts long after its grace
    period, which its deletionTimestamp includes.
    """
    return [
        pod
        for pod in cluster.pods
        if "deletionTimestamp" not in pod["metadata"]
        or now - parse_time(pod["metadata"]["deletionTimestamp"]) < LOST_POD_PATIENCE
    ]


def goes_on(pod: Pod) -> bool:
    """Tell whether a pod runs or will run, and is not being deleted."""
    has_ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return "deletionTimestamp" not in pod["metadata"] and not has_ended


def current_pod(cluster: ClusterFacts) -> Pod | None:
    """Return the newest pod that is not being deleted, None where there is none."""
    alive = [pod for pod in cluster.pods if "deletionTimestamp" not in pod["metadata"]]
    return max(alive, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def ended_pod(cluster: ClusterFacts) -> Pod | None:
    """Return the newest pod in which the notebook container has ended."""
    ended = [pod for pod in cluster.pods if pod_containers.terminated(pod, pod_contract.NOTEBOOK)]
    return max(ended, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _recorded_end(bucket: BucketFacts) -> Status | None:
    final, result = bucket.final, bucket.result
    if result is None:
        return None if final is None else _final_status(final)
    times = {
        "admitted_at": None if final is None else final.get("admitted_at"),
        "started_at": result.get("started_at")
        or (None if final is None else final.get("started_at")),
        "finished_at": result.get("ended_at"),
    }
    outcome = result["outcome"]
    if outcome == pod_contract.SUCCEEDED:
        return Status("succeeded", None, None, **times)
    return Status("failed", outcome, _said_by_runner(result) or _default_words(outcome), **times)


def _said_by_runner(document: Attempt | Result) -> Sentence | None:
    """Return the message of an attempt or a result, None if it has none."""
    return stored_sentence(document.get("message") or None, document.get("sentence"))


def _final_status(final: Final) -> Status:
    return Status(
        final["state"],
        final.get("reason"),
        stored_sentence(final.get("message"), final.get("sentence")),
        final.get("detail"),
        admitted_at=final.get("admitted_at"),
        started_at=final.get("started_at"),
        finished_at=final.get("finished_at"),
    )


def _stop_message(bucket: BucketFacts) -> Sentence:
    by = (bucket.stop or {}).get("by")
    if by == bucket.record.owner.name:
        return say("stopped-by-you", "Stopped by you.")
    return say("stopped-by", "Stopped by {user}.", user=by) if by else say("stopped", "Stopped.")


class _Times(TypedDict):
    """Fields of a Status."""

    admitted_at: str | None
    started_at: str | None


def _times(bucket: BucketFacts, cluster: ClusterFacts) -> _Times:
    admitted = None
    if cluster.workload is not None:
        condition = kueue_conditions.conditions(cluster.workload).get("Admitted")
        if kueue_conditions.is_true(condition):
            admitted = condition.get("lastTransitionTime") if condition else None
    started = next((item.get("started_at") for item in bucket.attempts), None)
    for pod in cluster.pods:
        state = pod_containers.state_of(pod, pod_contract.NOTEBOOK)
        begun = state.get("running") or state.get("terminated")
        started = started or (begun.get("startedAt") if begun else None)
    return {"admitted_at": admitted, "started_at": started}


def _without_job(bucket: BucketFacts, cluster: ClusterFacts, now: dt.datetime) -> Status:
    if bucket.accepted is None:
        return Status("queued", "submitting", say("submitting", "Submitting."))
    if any(_is_alive(pod) for pod in remaining_pods(cluster, now)):
        said = say("job-removed", "It was removed from the cluster and is ending.")
        return Status("stopping", "removed", said)
    if bucket.accepted.get("concurrency_policy") == "Replace":
        return Status(
            "stopped",
            "replaced",
            say(
                "replaced",
                "The schedule's next run replaced it (concurrency policy Replace).",
            ),
        )
    return Status(
        "failed",
        "removed",
        say(
            "removed",
            "Someone deleted this run from the cluster. Run it again if that was a mistake.",
        ),
    )


def _without_workload(
    job: Job, record: RunRecord, most: Mapping[str, Decimal] | None, now: dt.datetime
) -> Status:
    # Known before Kueue has looked at it, so that nobody waits for what cannot come.
    asked = {
        "cpu": quantities.reported(record.resources.cpu),
        "memory": quantities.reported(record.resources.memory),
        names.GPU_RESOURCE: Decimal(record.resources.gpus),
    }
    queue = record.local_queue
    if why := kueue_conditions.too_much_for_queue(asked, queue, most):
        return Status("queued", "blocked", why)
    created = parse_time(job["metadata"]["creationTimestamp"])
    if now - created < _WORKLOAD_PATIENCE:
        return Status("queued", "waiting", kueue_conditions.waits_for_turn(queue))
    return Status(
        "queued",
        "blocked",
        say(
            "not-taken-up",
            "Kueue has not noticed it yet. Check that Kueue is running and that its "
            "priority class exists, or ask an admin.",
        ),
    )


def _deactivated(workload: Workload) -> Status:
    evicted = kueue_conditions.condition_of(workload, "Evicted")
    reason = evicted.get("reason", "")
    at = evicted.get("lastTransitionTime")
    detail = evicted.get("message")
    if "MaximumExecutionTimeExceeded" in reason:
        return Status(
            "failed",
            pod_contract.TIME_LIMIT,
            say(
                "time-cap-of-queue",
                "Stopped at the time limit that an admin set for this queue. Do less "
                "work in one run, or ask the admin.",
            ),
            detail,
            finished_at=at,
        )
    if "RequeuingLimitExceeded" in reason:
        return Status(
            "failed",
            "requeue-limit",
            say(
                "requeue-limit",
                "Repeatedly failed to start in time. Check its environment and "
                "resources, or ask an admin.",
            ),
            detail,
            finished_at=at,
        )
    said = say("stopped-by-admin", "An admin stopped this run.")
    return Status("stopped", "deactivated", said, detail, finished_at=at)


def _of_pod(pod: Pod, bucket: BucketFacts, times: _Times) -> Status:
    notebook = pod_containers.state_of(pod, pod_contract.NOTEBOOK)
    staging = pod_containers.state_of(pod, pod_contract.STAGE_IN)
    is_staged = _is_staged(pod, bucket)
    if "running" in notebook and is_staged:
        return Status("running", None, None, **times)
    if _is_retried(pod, bucket):
        return Status(
            "starting",
            "retrying",
            say("retrying", "The last attempt was interrupted. Retrying."),
            _why(bucket, pod)[1],
            **times,
        )
    if "terminated" in notebook:
        # The Job has not counted this end yet: a retry may follow, or the result.
        said = say("saving", "Saving outputs.")
        return Status("running", "finishing", said, **times)
    scheduled = next(
        (item for item in pod_containers.conditions(pod) if item["type"] == "PodScheduled"), None
    )
    if scheduled and scheduled["status"] == "False":
        return Status(
            "starting",
            "unschedulable",
            say(
                "unschedulable",
                "Next to run, but no machine has room yet. It starts as soon as one "
                "has; an admin can see which machines are full.",
            ),
            scheduled.get("message"),
            **times,
        )
    if "running" in staging and not is_staged:
        said = say("staging", "Fetching the notebook and files.")
        return Status("starting", pod_contract.STAGING, said, **times)
    said = say("starting-on-machine", "Starting on its machine.")
    return Status("starting", "starting", said, **times)


def _is_staged(pod: Pod, bucket: BucketFacts) -> bool:
    """Tell whether a pod's inputs are there: its stage-in says so in the attempt's record.

    A Job that was created elsewhere may have pods without a stage-in, which wait for nothing.
    """
    if not pod_containers.status_of(pod, pod_contract.STAGE_IN):
        return True
    uid = pod["metadata"]["uid"]
    return any(item.get("pod_uid") == uid and item.get("is_staged") for item in bucket.attempts)


def is_staging(pod: Pod, bucket: BucketFacts) -> bool:
    """Tell whether a pod's notebook waits for its inputs, as far as is known."""
    notebook = pod_containers.state_of(pod, pod_contract.NOTEBOOK)
    return "running" in notebook and not _is_staged(pod, bucket)


def _failed_staging(pod: Pod, bucket: BucketFacts) -> ContainerStateTerminated | None:
    """Return how stage-in ended before the inputs were there, None if it did not."""
    if _is_staged(pod, bucket):
        return None
    container = pod_containers.status_of(pod, pod_contract.STAGE_IN)
    if container is None:
        return None
    # It was killed and started again, or has ended with the pod.
    states = (container.get("lastState", {}), container.get("state", {}))
    ends = (state.get("terminated") for state in states)
    return next(
        (end for end in ends if end and end.get("exitCode") != pod_contract.EXIT_SUCCEEDED), None
    )


def _is_retried(pod: Pod, bucket: BucketFacts) -> bool:
    """Tell whether another pod follows a failed one, if the Job is not said to have failed."""
    if pod.get("status", {}).get("phase") != "Failed":
        return False
    code = (pod_containers.terminated(pod, pod_contract.NOTEBOOK) or {}).get("exitCode")
    if code in pod_contract.FAIL_JOB_EXIT_CODES:
        return False
    is_counted = code != pod_contract.EXIT_INTERRUPTED and not _is_disrupted(pod)
    return not is_counted or bool(bucket.record.request.max_retries)


def _is_disrupted(pod: Pod) -> bool:
    return any(
        item["type"] == "DisruptionTarget" and item["status"] == "True"
        for item in pod_containers.conditions(pod)
    )


def _failure(bucket: BucketFacts, cluster: ClusterFacts, failed: Condition) -> Status:
    detail = failed.get("message")
    pod = max(
        cluster.pods, key=lambda item: str(item["metadata"]["creationTimestamp"]), default=None
    )
    finished = failed.get("lastTransitionTime")
    times = _times(bucket, cluster)
    if failed.get("reason") == "DeadlineExceeded":
        return Status(
            "failed",
            pod_contract.TIME_LIMIT,
            say(
                "far-beyond-time-limit",
                "Stopped: it ran far beyond its time limit, including the time to "
                "move files. Run it again with a higher limit.",
            ),
            detail,
            **times,
            finished_at=finished,
        )
    reason, message = _why(bucket, pod)
    retries = bucket.record.request.max_retries
    if retries and failed.get("reason") == "BackoffLimitExceeded":
        message = say(
            "retries-used-up",
            "{what} No retries are left ({count} used).",
            what=message,
            count=retries,
        )
    return Status("failed", reason, message, detail, **times, finished_at=finished)


# Exit codes that the program itself chose, whether or not it ran out of memory.
_ENDS_OF_ITS_OWN = frozenset(pod_contract.EXIT_CODES.values()) - {pod_contract.EXIT_KERNEL_DIED}


def _why(bucket: BucketFacts, pod: Pod | None) -> tuple[str, Sentence]:
    """Say why the last pod failed: the reason's code and a sentence."""
    last = bucket.attempts[-1] if bucket.attempts else {}
    if pod is None:
        reason = last.get("reason") or "node-lost"
        gone = say("pod-gone", "Its pod disappeared without a result. Run it again.")
        return reason, _said_by_runner(last) or gone
    wanted = bucket.record.resources
    cell = last.get("cell")
    unstaged = _failed_staging(pod, bucket)
    for status in pod_containers.statuses(pod):
        ended = status.get("state", {}).get("terminated")
        if status["name"] == pod_contract.STAGE_IN:
            ended = unstaged
        # With cgroup v1 the reason is OOMKilled even if only a child was killed and the program
        # ended otherwise (kubelet, containerd 1.6).
        own_end = ended and ended.get("exitCode") in _ENDS_OF_ITS_OWN
        if ended and ended.get("reason") == "OOMKilled" and not own_end:
            if status["name"] == pod_contract.NOTEBOOK:
                had = float(quantities.reported(wanted.memory))
                amount, more = (quantities.shortly("memory", value) for value in (had, 2 * had))
                return "out-of-memory", _out_of_memory(cell, amount, more)
            return (
                pod_contract.STAGING,
                say(
                    "staging-out-of-memory",
                    "The container {container} ran out of memory while moving files. Ask an "
                    "admin to raise staging_memory_limit.",
                    container=status["name"],
                ),
            )
    if eviction := evictions.of(pod):
        return eviction.reason, eviction.message
    if (
        last.get("pod_uid") == pod["metadata"]["uid"]
        and last.get("reason") == pod_contract.DISK_FULL
    ):
        return pod_contract.DISK_FULL, _said_by_runner(last) or _default_words(
            pod_contract.DISK_FULL
        )
    pod_reason = pod.get("status", {}).get("reason", "")
    if pod_reason in ("NodeLost", "NodeShutdown", "Terminated") or _is_disrupted(pod):
        return "node-lost", say("node-lost", "The machine it ran on was lost. Run it again.")
    # The notebook waited for a stage-in that failed.
    ended = unstaged or pod_containers.terminated(pod, pod_contract.NOTEBOOK)
    if ended is None:
        message = pod.get("status", {}).get("message") or pod_reason
        return "pod-failed", say(
            "pod-could-not-run",
            "The cluster could not run it: {message}",
            message=message,
        )
    return _of_exit(ended, cell, _said_by_runner(last))


def _out_of_memory(cell: int | None, amount: str, more: str) -> Sentence:
    if cell:
        return say(
            "out-of-memory-in-cell",
            "Ran out of memory in cell {cell}: it used all of its {amount}. "
            "Run it again with more, such as {more}.",
            cell=cell,
            amount=amount,
            more=more,
        )
    return say(
        "out-of-memory",
        "Ran out of memory: it used all of its {amount}. Run it again with more, such as {more}.",
        amount=amount,
        more=more,
    )


def _of_exit(
    ended: ContainerStateTerminated, cell: int | None, recorded: Sentence | None
) -> tuple[str, Sentence]:
    code = ended.get("exitCode", 1)
    said = str(ended.get("message") or "").strip()
    outcome = pod_contract.OUTCOME_OF_EXIT_CODE.get(code)
    if outcome and outcome != pod_contract.SUCCEEDED:
        if said and recorded is not None and recorded.strip() == said:
            return outcome, recorded
        return outcome, foreign(said) if said else _default_words(outcome, cell)
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        return "no-kernel", say(
            "environment-cannot-run",
            "Its environment cannot run notebooks: {why}.",
            why=said or say("no-python-in-it", "it has no Python"),
        )
    if code == 137:  # noqa: PLR2004 - 128 + SIGKILL
        return "killed", _killed(cell)
    how = (
        say(
            "ended-with-code-in-cell",
            "Exited with code {code} in cell {cell}.",
            code=code,
            cell=cell,
        )
        if cell
        else say("ended-with-code", "Exited with code {code}.", code=code)
    )
    return "pod-failed", both(how, said[:500]) if said else how


def _killed(cell: int | None) -> Sentence:
    if cell:
        return say(
            "killed-in-cell",
            "Killed from outside the run in cell {cell}; the cluster does not "
            "say why. Run it again, with more memory if it had used most of "
            "it.",
            cell=cell,
        )
    return say(
        "killed",
        "Killed from outside the run; the cluster does not say why. Run it "
        "again, with more memory if it had used most of it.",
    )


def _default_words(outcome: str, cell: int | None = None) -> Sentence:
    """Return the message for an end without one; ``cell`` is the cell that ran, if any."""
    if cell and outcome in _IN_CELL:
        return _IN_CELL[outcome](cell)
    return _DEFAULT_WORDS[outcome]


_DEFAULT_WORDS = {
    pod_contract.NOTEBOOK_FAILED: say("cell-failed", "A cell failed."),
    pod_contract.TIME_LIMIT: say(
        "time-limit", "Stopped at its time limit. Run it again with a higher limit."
    ),
    pod_contract.INTERRUPTED: say("interrupted", "Interrupted."),
    pod_contract.KERNEL_DIED: say(
        "kernel-died", "The kernel died. A native library is often the cause; see the log."
    ),
    pod_contract.NO_KERNEL: say(
        "no-such-kernel",
        "Its kernel is not installed in its environment. Choose another environment.",
    ),
    pod_contract.STAGING: say(
        "staging-failed", "Its files could not be moved to or from the bucket. Run it again."
    ),
    pod_contract.DISK_FULL: say(
        "disk-full", "The disk was full. Write less, or ask an admin for more disk space."
    ),
}
_IN_CELL = {
    pod_contract.TIME_LIMIT: lambda cell: say(
        "time-limit-in-cell",
        "Stopped at its time limit in cell {cell}. Run it again with a higher limit.",
        cell=cell,
    ),
    pod_contract.INTERRUPTED: lambda cell: say(
        "interrupted-in-cell", "Interrupted in cell {cell}.", cell=cell
    ),
    pod_contract.KERNEL_DIED: lambda cell: say(
        "kernel-died-in-cell",
        "The kernel died in cell {cell}. A native library is often the cause; see the log.",
        cell=cell,
    ),
    pod_contract.DISK_FULL: lambda cell: say(
        "disk-full-in-cell",
        "The disk was full in cell {cell}. Write less, or ask an admin for more disk space.",
        cell=cell,
    ),
}


def _condition(job: Job, kind: str) -> Condition | None:
    found = job.get("status", {}).get("conditions", [])
    return next((item for item in found if item["type"] == kind and item["status"] == "True"), None)


def is_ended(job: Job) -> bool:
    """Tell whether a Job is complete or has failed."""
    return any(_condition(job, kind) for kind in ("Complete", "Failed"))


def _is_alive(pod: Pod) -> bool:
    return pod.get("status", {}).get("phase") in ("Pending", "Running")
