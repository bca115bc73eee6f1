"""Kueue's conditions of a waiting Workload, translated into sentences.

It knows the reasons of v0.19 and those of the feature gate UnadmittedWorkloadsObservability (on
from 0.20), and shows others unchanged. Sources: kueue apis/kueue/v1beta2/workload_types.go,
pkg/scheduler/flavorassigner/.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import all_of, both, say
from jupyter_kueue.domain import quantities
from jupyter_kueue.domain.run_facts import Status
from jupyter_kueue.domain.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Condition, Workload

_MISSING_QUEUE = re.compile(r"(LocalQueue|ClusterQueue) (\S+) (?:doesn't exist|is terminating)")
_INACTIVE_QUEUE = re.compile(r"(LocalQueue|ClusterQueue) (\S+) is (?:inactive|stopped)")
_OVER_MAXIMUM = re.compile(
    r"insufficient quota for (\S+) in flavor \S+,.*?current podset request \((\S+)\)"
    r" > maximum capacity \((\S+)\)"
)
_UNCOVERED = re.compile(r"resource (\S+) unavailable in ClusterQueue")
_MORE_NEEDED = re.compile(r"insufficient unused quota for (\S+) in flavor \S+, (\S+) more needed")
_PREEMPTED = re.compile(r"due to ([A-Za-z ]+); preemptor path: \S*?([^/\s;]+);")
# Reasons of the condition QuotaReserved that only mean that the Workload waits.
_WAITS = frozenset(
    ("", "Pending", "Inadmissible", "Waiting", "WaitingForQuota", "PendingEvaluation")
)
# Reasons of the condition Evicted other than Preempted.
_INTERRUPTIONS = {
    "AdmissionCheck": say("paused-no-machine", "the cluster could not prepare a machine"),
    "ClusterQueueStopped": say("paused-queue-stopped", "an admin stopped its queue"),
    "LocalQueueStopped": say("paused-queue-stopped", "an admin stopped its queue"),
    "NodeFailures": say("paused-machine-failed", "its machine failed"),
    "PodsReadyTimeout": say("paused-start-too-late", "it could not start in time"),
}
_WRONG_NAMESPACE = "workload namespace doesn't match ClusterQueue selector"
_MAX_SEARCHED = 4000


def conditions(workload: Workload) -> Mapping[str, Condition]:
    """Return the Workload's conditions by type."""
    found = workload.get("status", {}).get("conditions", [])
    return {item["type"]: item for item in found}


def condition_of(workload: Workload, kind: str) -> Condition:
    """Return one of the Workload's conditions; one that Kueue has not set is Unknown."""
    return conditions(workload).get(kind, {"type": kind, "status": "Unknown"})


def is_true(condition: Condition | None) -> bool:
    """Tell whether a condition is there and True."""
    return condition is not None and condition.get("status") == "True"


def is_pending(workload: Workload) -> bool:
    """Tell whether a Workload stands in its queue: active, unfinished and without quota."""
    found = conditions(workload)
    return (
        workload["spec"].get("active", True)
        and not is_true(found.get("Finished"))
        and not is_true(found.get("QuotaReserved"))
    )


def blocked(
    workload: Workload, local_queue: str, most: Mapping[str, Decimal] | None = None
) -> Sentence | None:
    """Return why a pending Workload cannot start without a change; None if it can.

    The arguments are those of ``waiting_status``.
    """
    reserved = condition_of(workload, "QuotaReserved")
    # What is looked for in it may be found in many places, and looked for from each of them.
    text = (reserved.get("message") or "")[:_MAX_SEARCHED]
    asked = workload["spec"].get("asked") or {}
    return _blocked(reserved.get("reason", ""), text, local_queue, asked) or _over(
        workload, local_queue, most
    )


def waiting_status(
    workload: Workload,
    local_queue: str,
    now: dt.datetime,
    most: Mapping[str, Decimal] | None = None,
) -> Status:
    """Return the status of a Workload whose quota is not reserved.

    Args:
        workload: its spec may have ``requests`` and ``asked``: the requests of all its pods, and of
            the notebook alone, by resource in base units.
        local_queue: the name of its queue.
        now: the current time.
        most: the most that a run can ever have of each resource in this queue, None if unknown.
    """
    reserved = condition_of(workload, "QuotaReserved")
    detail = reserved.get("message") or None
    text = (detail or "")[:_MAX_SEARCHED]
    reason = reserved.get("reason", "")
    backoff = _backoff(workload, now)
    attempt = 1 + sum(
        item.get("count", 0)
        for item in workload.get("status", {}).get("schedulingStats", {}).get("evictions", [])
    )
    if match := _INACTIVE_QUEUE.search(text):
        return _queued("held", _held(match[1], match[2], local_queue), detail)
    if reason == "Suspended":
        return _queued("held", _held("LocalQueue", local_queue, local_queue), detail)
    if why := blocked(workload, local_queue, most):
        return _queued("blocked", why, detail)
    if backoff:
        at = backoff.astimezone(dt.UTC).strftime("%H:%M UTC")
        why = say(
            "backoff",
            "Could not start. Retrying at {time} (attempt {attempt}).",
            time=at,
            attempt=attempt,
        )
        return _queued("backoff", why, detail)
    is_next = reason == "WaitingForPreemptedWorkloads" or "Pending the preemption" in text
    needs = (
        say("starts-next", "Starts next: other runs are making room.")
        if is_next
        else _needs(text, workload["spec"].get("asked") or {})
    )
    evicted = condition_of(workload, "Evicted")
    if is_true(evicted) or attempt > 1:
        paused = say(
            "paused",
            "Paused: {why}. It restarts automatically (attempt {attempt}).",
            why=_interruption(evicted, condition_of(workload, "Requeued")),
            attempt=attempt,
        )
        return _queued(
            "preempted",
            both(paused, needs) if needs else paused,
            evicted.get("message") or detail,
        )
    if is_next or reason in _WAITS:
        return _queued("waiting", needs or waits_for_turn(local_queue), detail)
    said = say("kueue-says", "Kueue says: {message}", message=text or reason)
    return _queued("waiting", said, detail)


def too_much_for_queue(
    asked: Mapping[str, Decimal], local_queue: str, most: Mapping[str, Decimal] | None
) -> Sentence | None:
    """Say that a run whose Workload is not there yet asks for more than its queue could ever have.

    Args:
        asked: what the notebook asks for, by resource in base units.
        local_queue: its queue's name.
        most: how much of each resource a run could ever have there, None where it is not known.
    """
    for resource, amount in asked.items():
        if most is not None and resource in most and amount > most[resource]:
            return _too_much(resource, float(amount), float(most[resource]), local_queue)
    return None


def waits_for_turn(local_queue: str) -> Sentence:
    """Return the message of a run that waits, with no obstacle."""
    return say("waits-for-turn", "Waiting in {queue}.", queue=local_queue)


def _queued(reason: str, message: Sentence, detail: str | None) -> Status:
    return Status("queued", reason, message, detail)


def _held(kind: str, name: str, local_queue: str) -> Sentence:
    if kind == "LocalQueue":
        return say(
            "held",
            "On hold: an admin paused {queue}. It continues when the queue is reopened.",
            queue=name,
        )
    return say(
        "held-cluster-queue",
        "On hold: {queue} is not accepting runs (its ClusterQueue "
        "{cluster_queue} is paused or not set up). It continues when the queue "
        "is reopened; an admin can see why it is closed.",
        queue=local_queue,
        cluster_queue=name,
    )


def _interruption(evicted: Condition, requeued: Condition) -> Sentence:
    """Say why a run lost its quota (kueue pkg/scheduler/preemption, HumanReadable…Reasons)."""
    reason = evicted.get("reason") or requeued.get("reason")
    if reason != "Preempted":
        return _INTERRUPTIONS.get(
            str(reason), say("paused-cluster-needs-place", "the cluster needed its place")
        )
    match = _PREEMPTED.search((evicted.get("message") or "")[:_MAX_SEARCHED])
    cause, queue = (match[1], match[2]) if match else ("", "")
    if cause.startswith("reclamation"):
        return say("paused-taken-back", "{queue} took back what it had lent", queue=queue)
    if cause.startswith("Fair Sharing"):
        return say("paused-fair-share", "{queue} had less than its fair share", queue=queue)
    if cause.startswith("prioritization"):
        return say("paused-higher-priority", "a run with higher priority took its place")
    return say("paused-others-need-place", "other runs needed its place")


def _over(
    workload: Workload, local_queue: str, most: Mapping[str, Decimal] | None
) -> Sentence | None:
    """Say that a run asks for more than its queue could ever have.

    Kueue reports this for only one of several equal Workloads.
    """
    spec = workload["spec"]
    for resource, amount in (spec.get("requests") or {}).items():
        if most is None or resource not in most or amount <= most[resource]:
            continue
        asked = (spec.get("asked") or {}).get(resource, amount)
        return _too_much(resource, float(asked), float(most[resource]), local_queue)
    return None


def _too_much(resource: str, asked: float, most: float, local_queue: str) -> Sentence:
    return say(
        "asks-for-too-much",
        "Will not start: {queue} has at most {most}, this run asks for {asked}. Edit it and "
        "submit it again with less, or ask an admin for more quota.",
        asked=quantities.in_words(resource, asked),
        queue=local_queue,
        most=quantities.in_words(resource, most),
    )


def _blocked(
    reason: str, text: str, local_queue: str, of_notebook: Mapping[str, Decimal]
) -> Sentence | None:
    if match := _MISSING_QUEUE.search(text):
        if match[1] == "LocalQueue":
            return say(
                "no-such-queue",
                "Will not start: the queue {queue} does not exist. Edit it and "
                "submit it again in another queue, or ask an admin.",
                queue=match[2],
            )
        return say(
            "no-such-cluster-queue",
            "Will not start: {queue} points to {cluster_queue}, which does not "
            "exist. Ask an admin, or edit it and submit it again in another "
            "queue.",
            queue=local_queue,
            cluster_queue=match[2],
        )
    if _WRONG_NAMESPACE in text:
        return say(
            "queue-not-open",
            "Will not start: {queue} is not open to this namespace. Ask an admin.",
            queue=local_queue,
        )
    match = _OVER_MAXIMUM.search(text)
    # Too much for one flavor, while another has enough of it but in use: the run waits for that
    # one.
    may_fit = {found[1] for found in _MORE_NEEDED.finditer(text)}
    if match and reason != "WaitingForQuota" and match[1] not in may_fit:
        return _too_much(
            match[1],
            float(of_notebook.get(match[1], _number(match[2]))),
            float(_number(match[3])),
            local_queue,
        )
    if match := _UNCOVERED.search(text):
        if match[1] == "ephemeral-storage":  # no field of a request sets it
            return say(
                "no-quota-for-disk",
                "Will not start: {queue} has no quota for disk "
                "(ephemeral-storage), which a limit of the namespace or a "
                "setting adds to every run. Edit it and submit it again in "
                "another queue, or ask an admin.",
                queue=local_queue,
            )
        return say(
            "no-quota-for",
            "Will not start: {queue} has no quota for {resource}. Edit it and "
            "submit it again without {resource} or in another queue, or ask an "
            "admin.",
            queue=local_queue,
            resource=match[1],
        )
    if reason in ("ExceedsMaxQuota", "NoMatchingFlavor", "Misconfigured"):
        return say(
            "will-not-start",
            "Will not start as it is. Kueue says: {message}",
            message=text or reason,
        )
    return None


def _needs(text: str, asked: Mapping[str, Decimal]) -> Sentence | None:
    missing = {match[1]: float(_number(match[2])) for match in _MORE_NEEDED.finditer(text)}
    if not missing:
        return None
    more = all_of(quantities.in_words(name, value) for name, value in missing.items())
    if all(float(asked.get(name, value)) == value for name, value in missing.items()):
        return say("waits-for-amount", "Waiting for {amount}.", amount=more)
    wanted = all_of(
        quantities.in_words(name, float(asked.get(name, missing[name]))) for name in missing
    )
    return say(
        "asks-and-lacks",
        "Waiting for {more} to become free (asks for {wanted}).",
        wanted=wanted,
        more=more,
    )


def _number(text: str) -> Decimal:
    """Return a number in a message; Kueue writes a missing one as text, which counts as 0."""
    try:
        return quantities.reported(text)
    except ValueError:
        return Decimal(0)


def _backoff(workload: Workload, now: dt.datetime) -> dt.datetime | None:
    at = workload.get("status", {}).get("requeueState", {}).get("requeueAt")
    moment = parse_time(at) if at else None
    return moment if moment and moment > now else None
