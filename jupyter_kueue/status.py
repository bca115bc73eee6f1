"""Where a run stands: from the bucket's and the cluster's facts to one state with its reason.

Pure, and never a guess: a watch that ended is no success, and an end without a result is a failure.
``service.reconciler`` calls ``derive``. The table it implements is in docs/architecture.md.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from jupyter_kueue import contract, quantities, workload_conditions
from jupyter_kueue.models import Status, parse_time

if TYPE_CHECKING:
    from jupyter_kueue.models import BucketFacts, ClusterFacts

Json = dict[str, Any]

# Kueue makes a Workload within a second or two. Without one for this long something is wrong.
_WORKLOAD_PATIENCE = dt.timedelta(seconds=30)

# How long after the end of its grace period a pod that is being deleted is waited for.
_LOST_POD_PATIENCE = dt.timedelta(seconds=60)

_CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CANNOT_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def derive(bucket: BucketFacts, cluster: ClusterFacts, now: dt.datetime) -> Status:
    """Return the status of one run. First match wins, in the order of the table."""
    if bucket.problem is not None:
        return Status(
            "failed",
            "unreadable",
            f"{bucket.problem} Delete the run: what it may still do in the cluster ends with it.",
            finished_at=bucket.record.created_at,
        )
    ended = _recorded_end(bucket)
    if ended:
        return ended
    queue = bucket.record.local_queue
    job = cluster.kube_job
    gone = job is None and not remaining_pods(cluster, now)
    if bucket.stop is not None or bucket.deleted:
        if gone and cluster.known:
            return Status(
                "stopped",
                "stopped",
                _stop_message(bucket),
                finished_at=(bucket.stop or {}).get("at"),
            )
        return Status("stopping", "stopping", "Stops and keeps the notebook as far as it came.")
    times = _times(bucket, cluster)
    if job is None:
        if not cluster.known:
            return Status("queued", "unknown", "The cluster has not answered yet.", **times)
        return _without_job(bucket, cluster, now)
    if failed := _condition(job, "Failed"):
        return _failure(bucket, cluster, failed)
    if complete := _condition(job, "Complete"):
        if any(_is_alive(pod) for pod in cluster.pods):
            return Status("running", "finishing", "Finished; its outputs are being saved.", **times)
        return Status(
            "failed",
            "outputs-lost",
            "The notebook ended but its outputs were not saved. Run it again.",
            complete.get("message"),
            finished_at=complete.get("lastTransitionTime"),
        )
    workload = cluster.workload
    if workload is None:
        return _without_workload(job, queue, now)
    if not workload["spec"].get("active", True):
        return _deactivated(workload)
    found = workload_conditions.conditions(workload)
    pod = current_pod(cluster)
    if not workload_conditions.is_true(found.get("Admitted")):
        if workload_conditions.is_true(found.get("QuotaReserved")):
            return Status(
                "queued",
                "admission-check",
                "Has its quota; the cluster is preparing a machine.",
                found.get("Admitted", {}).get("message"),
            )
        return workload_conditions.waiting_status(workload, queue, now)
    if pod is None and workload_conditions.is_true(found.get("Evicted")):
        # Its quota is being taken back: the pods are gone or going, the reservation is not yet.
        return workload_conditions.waiting_status(workload, queue, now)
    if pod is None:
        return Status("starting", "starting", "Has its quota and starts now.", **times)
    return _of_pod(pod, bucket, times)


def remaining_pods(cluster: ClusterFacts, now: dt.datetime) -> list[Json]:
    """Return the pods that still have to end.

    A pod on a machine that went away is never confirmed gone: it counts no longer once its own
    grace period, which its deletionTimestamp includes, has long passed.
    """
    return [
        pod
        for pod in cluster.pods
        if "deletionTimestamp" not in pod["metadata"]
        or now - parse_time(pod["metadata"]["deletionTimestamp"]) < _LOST_POD_PATIENCE
    ]


def current_pod(cluster: ClusterFacts) -> Json | None:
    """Return the newest pod that is not being deleted, None where there is none."""
    alive = [pod for pod in cluster.pods if "deletionTimestamp" not in pod["metadata"]]
    return max(alive, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def ended_pod(cluster: ClusterFacts) -> Json | None:
    """Return the newest pod in which the notebook container has ended."""
    ended = [pod for pod in cluster.pods if _terminated(pod, contract.NOTEBOOK)]
    return max(ended, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _recorded_end(bucket: BucketFacts) -> Status | None:
    final = bucket.final or {}
    result = bucket.result
    if result is None:
        return Status(**_status_fields(final)) if final else None
    times = {
        "admitted_at": final.get("admitted_at"),
        "started_at": result.get("started_at") or final.get("started_at"),
        "finished_at": result.get("ended_at"),
    }
    outcome = result["outcome"]
    if outcome == contract.SUCCEEDED:
        return Status("succeeded", None, None, **times)
    return Status("failed", outcome, _outcome_message(bucket, result), **times)


def _status_fields(final: Json) -> Json:
    known = ("state", "reason", "message", "detail", "admitted_at", "started_at", "finished_at")
    return {key: final.get(key) for key in known}


def _outcome_message(bucket: BucketFacts, result: Json) -> str:
    error = result.get("error") or {}
    if result["outcome"] == contract.TIME_LIMIT:
        limit = bucket.record.request.get("timeout_seconds")
        text = result.get("message")
        return text or f"Stopped at its limit of {limit} s. Run it again with a higher limit."
    value = str(error.get("value", "")).strip()
    first_line = value.splitlines()[0] if value else ""
    cell = error.get("cell_index")
    where = f"Cell {cell + 1} failed" if isinstance(cell, int) else "A cell failed"
    name = error.get("name")
    if not name:
        return str(result.get("message") or where)
    return ": ".join(filter(None, (where, name, first_line)))


def _stop_message(bucket: BucketFacts) -> str:
    by = (bucket.stop or {}).get("by")
    return f"Stopped by {by}." if by else "Stopped."


def _times(bucket: BucketFacts, cluster: ClusterFacts) -> Json:
    admitted = None
    if cluster.workload is not None:
        condition = workload_conditions.conditions(cluster.workload).get("Admitted")
        if workload_conditions.is_true(condition):
            admitted = condition["lastTransitionTime"] if condition else None
    started = next((item.get("started_at") for item in bucket.attempts), None)
    for pod in cluster.pods:
        state = _container(pod, contract.NOTEBOOK).get("state", {})
        running = state.get("running") or state.get("terminated") or {}
        started = started or running.get("startedAt")
    return {"admitted_at": admitted, "started_at": started}


def _without_job(bucket: BucketFacts, cluster: ClusterFacts, now: dt.datetime) -> Status:
    if bucket.accepted is None:
        return Status("queued", "submitting", "Is being handed to the cluster.")
    if any(_is_alive(pod) for pod in remaining_pods(cluster, now)):
        return Status("stopping", "removed", "Its Job was removed; its pod is ending.")
    if bucket.accepted.get("concurrency_policy") == "Replace":
        return Status(
            "stopped",
            "replaced",
            "The schedule's next run took its place, as the concurrency policy Replace says.",
        )
    return Status(
        "failed",
        "removed",
        "Somebody removed its Job from the cluster. Run it again if that was a mistake.",
    )


def _without_workload(job: Json, queue: str, now: dt.datetime) -> Status:
    created = parse_time(job["metadata"]["creationTimestamp"])
    if now - created < _WORKLOAD_PATIENCE:
        return Status("queued", "waiting", f"Waits for its turn in {queue}.")
    return Status(
        "queued",
        "blocked",
        "Kueue has not taken it up. Check that Kueue is running and that its priority class "
        "exists, or ask an admin.",
    )


def _deactivated(workload: Json) -> Status:
    evicted = workload_conditions.conditions(workload).get("Evicted", {})
    reason = str(evicted.get("reason", ""))
    at = evicted.get("lastTransitionTime")
    detail = evicted.get("message")
    if "MaximumExecutionTimeExceeded" in reason:
        return Status(
            "failed",
            contract.TIME_LIMIT,
            "Stopped at the time cap an admin set for this queue. Ask for less work in one run, "
            "or ask the admin.",
            detail,
            finished_at=at,
        )
    if "RequeuingLimitExceeded" in reason:
        return Status(
            "failed",
            "requeue-limit",
            "Could not start in time, again and again. Check its environment and resources, or "
            "ask an admin.",
            detail,
            finished_at=at,
        )
    return Status("stopped", "deactivated", "An admin stopped this run.", detail, finished_at=at)


def _of_pod(pod: Json, bucket: BucketFacts, times: Json) -> Status:
    notebook = _container(pod, contract.NOTEBOOK).get("state", {})
    staging = _container(pod, contract.STAGE_IN).get("state", {})
    is_staged = _is_staged(pod, bucket)
    if "running" in notebook and is_staged:
        return Status("running", None, None, **times)
    if _is_retried(pod, bucket):
        return Status(
            "starting",
            "retrying",
            "Its last attempt ended early; another follows by itself.",
            _why(bucket, pod)[1],
            **times,
        )
    if "terminated" in notebook:
        # The Job has not counted this end yet: it may retry, or the result is on its way.
        return Status("running", "finishing", "Its outputs are being saved.", **times)
    scheduled = next(
        (item for item in _pod_conditions(pod) if item["type"] == "PodScheduled"), None
    )
    if scheduled and scheduled["status"] == "False":
        return Status(
            "starting",
            "unschedulable",
            "Has its quota but no machine has room yet. Nothing to do; an admin can see which "
            "nodes are full.",
            scheduled.get("message"),
            **times,
        )
    for status in _all_containers(pod):
        waiting = status.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _CANNOT_PULL:
            return Status(
                "starting",
                "image-pull",
                f"Can't fetch the environment {status.get('image') or bucket.record.image}. Check "
                "its name; it is tried again by itself.",
                waiting.get("message"),
                **times,
            )
        if waiting.get("reason") in _CANNOT_CREATE:
            return Status(
                "starting",
                "container-config",
                "Its pod can't be set up. Ask an admin to look at the detail.",
                waiting.get("message"),
                **times,
            )
    if "running" in staging and not is_staged:
        return Status("starting", contract.STAGING, "Fetches its notebook and files.", **times)
    return Status("starting", "starting", "Starts on its machine.", **times)


def _is_staged(pod: Json, bucket: BucketFacts) -> bool:
    """Tell whether a pod's inputs are there: its stage-in says so in the attempt's record.

    A Job that somebody else made may have pods without one, and waits for nothing.
    """
    if not _container(pod, contract.STAGE_IN):
        return True
    uid = pod["metadata"]["uid"]
    return any(item.get("pod_uid") == uid and item.get("is_staged") for item in bucket.attempts)


def is_staging(pod: Json, bucket: BucketFacts) -> bool:
    """Tell whether a pod's notebook waits for its inputs, as far as is known."""
    notebook = _container(pod, contract.NOTEBOOK).get("state", {})
    return "running" in notebook and not _is_staged(pod, bucket)


def _failed_staging(pod: Json, bucket: BucketFacts) -> Json | None:
    """Return how stage-in ended before the inputs were there, None if it did not."""
    if _is_staged(pod, bucket):
        return None
    container = _container(pod, contract.STAGE_IN)
    # It was killed and started again, or has ended with the pod.
    ends = (container.get(key, {}).get("terminated") for key in ("lastState", "state"))
    return next(
        (end for end in ends if end and end.get("exitCode") != contract.EXIT_SUCCEEDED), None
    )


def _is_retried(pod: Json, bucket: BucketFacts) -> bool:
    """Tell whether another pod follows a failed one, if the Job is not said to have failed."""
    if pod.get("status", {}).get("phase") != "Failed":
        return False
    code = (_terminated(pod, contract.NOTEBOOK) or {}).get("exitCode")
    if code in contract.FAIL_JOB_EXIT_CODES:
        return False
    is_counted = code != contract.EXIT_INTERRUPTED and not _is_disrupted(pod)
    return not is_counted or bool(bucket.record.request.get("max_retries"))


def _is_disrupted(pod: Json) -> bool:
    return any(
        item["type"] == "DisruptionTarget" and item["status"] == "True"
        for item in _pod_conditions(pod)
    )


def _failure(bucket: BucketFacts, cluster: ClusterFacts, failed: Json) -> Status:
    detail = failed.get("message")
    pod = max(
        cluster.pods, key=lambda item: str(item["metadata"]["creationTimestamp"]), default=None
    )
    finished = failed.get("lastTransitionTime")
    times = {**_times(bucket, cluster), "finished_at": finished}
    if failed.get("reason") == "DeadlineExceeded":
        return Status(
            "failed",
            contract.TIME_LIMIT,
            "Stopped: it ran, staging included, far beyond its limit. Run it again with more.",
            detail,
            **times,
        )
    reason, message = _why(bucket, pod)
    retries = bucket.record.request.get("max_retries") or 0
    if retries and failed.get("reason") == "BackoffLimitExceeded":
        message = f"{message} Its {retries} retries are used up."
    return Status("failed", reason, message, detail, **times)


def _why(bucket: BucketFacts, pod: Json | None) -> tuple[str, str]:
    """Say why the last pod failed: the reason's code and a sentence."""
    last = bucket.attempts[-1] if bucket.attempts else {}
    if pod is None:
        reason = last.get("reason") or "node-lost"
        return reason, str(last.get("message") or "Its pod is gone and left no word. Run it again.")
    wanted = bucket.record.resources
    cell = last.get("cell_index")
    where = f" in cell {cell + 1}" if isinstance(cell, int) else ""
    unstaged = _failed_staging(pod, bucket)
    for status in _all_containers(pod):
        ended = status.get("state", {}).get("terminated")
        if status["name"] == contract.STAGE_IN:
            ended = unstaged
        if ended and ended.get("reason") == "OOMKilled":
            if status["name"] == contract.NOTEBOOK:
                amount = quantities.in_words("memory", float(quantities.parse(wanted.memory)))
                return (
                    "out-of-memory",
                    f"Used all of its {amount}{where}. Run it again with more memory.",
                )
            return (
                contract.STAGING,
                f"The container {status['name']} ran out of memory while moving files. Ask an "
                "admin to raise staging_memory_limit.",
            )
    pod_reason = pod.get("status", {}).get("reason", "")
    if pod_reason == "Evicted":
        text = str(pod.get("status", {}).get("message", ""))
        if "ephemeral" in text or "disk" in text.lower():
            return "disk-full", "Filled its machine's disk. Write less, or ask for a bigger disk."
        return "evicted", "Its machine threw it out for lack of resources. Run it again."
    if pod_reason in ("NodeLost", "NodeShutdown", "Terminated") or _is_disrupted(pod):
        return "node-lost", "The machine it ran on went away. Run it again."
    # The notebook waited in vain for a stage-in that failed.
    ended = unstaged or _terminated(pod, contract.NOTEBOOK)
    if ended is None:
        message = pod.get("status", {}).get("message") or pod_reason
        return "pod-failed", f"Its pod could not run. The cluster says: {message}"
    return _of_exit(ended, where)


def _of_exit(ended: Json, where: str) -> tuple[str, str]:
    code = ended.get("exitCode", 1)
    said = str(ended.get("message") or "").strip()
    outcome = contract.OUTCOME_OF_EXIT_CODE.get(code)
    if outcome and outcome != contract.SUCCEEDED:
        return outcome, said or _DEFAULT_WORDS[outcome].format(where=where)
    if ended.get("reason") == "StartError":
        return "no-kernel", f"Its environment can't run notebooks: {said or 'no Python in it'}."
    if code == 137:  # noqa: PLR2004 - 128 + SIGKILL
        return "killed", f"Was killed from outside{where}. Often that is memory: try with more."
    return "pod-failed", f"Ended with code {code}{where}. {said[:500]}".strip()


_DEFAULT_WORDS = {
    contract.NOTEBOOK_FAILED: "A cell failed.",
    contract.TIME_LIMIT: "Stopped at its time limit{where}. Run it again with a higher limit.",
    contract.INTERRUPTED: "Was interrupted{where}.",
    contract.KERNEL_DIED: "The kernel died{where}. Often a native library; see the log.",
    contract.NO_KERNEL: "Its environment has no such kernel. Choose another environment.",
    contract.STAGING: "Its files could not be moved to or from the bucket. Run it again.",
    contract.DISK_FULL: "The disk was full{where}. Write less, or ask for a bigger disk.",
}


def _condition(job: Json, kind: str) -> Json | None:
    found: list[Json] = job.get("status", {}).get("conditions") or []
    return next((item for item in found if item["type"] == kind and item["status"] == "True"), None)


def _pod_conditions(pod: Json) -> list[Json]:
    found: list[Json] = pod.get("status", {}).get("conditions") or []
    return found


def _all_containers(pod: Json) -> list[Json]:
    status = pod.get("status", {})
    return [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]


def _container(pod: Json, name: str) -> Json:
    return next((item for item in _all_containers(pod) if item["name"] == name), {})


def _terminated(pod: Json, name: str) -> Json | None:
    ended: Json | None = _container(pod, name).get("state", {}).get("terminated")
    return ended


def _is_alive(pod: Json) -> bool:
    return pod.get("status", {}).get("phase") in ("Pending", "Running")
