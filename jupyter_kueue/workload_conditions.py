"""What Kueue's conditions say about a waiting Workload, in words.

Understands the reasons of v0.19's default and those of the gate UnadmittedWorkloadsObservability
(on from 0.20), and shows an unknown one as it is. ``status.derive`` is the caller.
Sources: kueue apis/kueue/v1beta2/workload_types.go, pkg/scheduler/flavorassigner/.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from jupyter_kueue import quantities
from jupyter_kueue.models import Status, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

_MISSING_QUEUE = re.compile(r"(LocalQueue|ClusterQueue) (\S+) (?:doesn't exist|is terminating)")
_INACTIVE_QUEUE = re.compile(r"(LocalQueue|ClusterQueue) (\S+) is (?:inactive|stopped)")
_OVER_MAXIMUM = re.compile(
    r"insufficient quota for (\S+) in flavor \S+,.*?current podset request \((\S+)\)"
    r" > maximum capacity \((\S+)\)"
)
_UNCOVERED = re.compile(r"resource (\S+) unavailable in ClusterQueue")
_MORE_NEEDED = re.compile(r"insufficient unused quota for (\S+) in flavor \S+, (\S+) more needed")
_WRONG_NAMESPACE = "workload namespace doesn't match ClusterQueue selector"
_MAX_SEARCHED = 4000


def conditions(workload: Json) -> Mapping[str, Json]:
    """Return the Workload's conditions by type."""
    found: list[Json] = workload.get("status", {}).get("conditions", [])
    return {item["type"]: item for item in found}


def is_true(condition: Json | None) -> bool:
    """Tell whether a condition is there and True."""
    return condition is not None and condition.get("status") == "True"


def is_pending(workload: Json) -> bool:
    """Tell whether a Workload stands in its queue: active, unfinished and without quota."""
    found = conditions(workload)
    return (
        workload["spec"].get("active", True)
        and not is_true(found.get("Finished"))
        and not is_true(found.get("QuotaReserved"))
    )


def waiting_status(workload: Json, local_queue: str, now: dt.datetime) -> Status:
    """Return the status of a Workload whose quota is not reserved."""
    found = conditions(workload)
    reserved = found.get("QuotaReserved", {})
    detail = reserved.get("message") or None
    # What is looked for in it may be found in many places, and looked for from each of them.
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
    blocked = _blocked(reason, text, local_queue)
    if blocked:
        return _queued("blocked", blocked, detail)
    if backoff:
        at = backoff.astimezone(dt.UTC).strftime("%H:%M UTC")
        return _queued(
            "backoff", f"Could not start and is tried again at {at} (attempt {attempt}).", detail
        )
    needs = _needs(text)
    evicted = found.get("Evicted", {})
    if is_true(evicted) or attempt > 1:
        why = (
            "its quota was taken back for other work"
            if "Preempted" in (evicted.get("reason"), found.get("Requeued", {}).get("reason"))
            else "it was put back"
        )
        return _queued(
            "preempted",
            f"Waits again: {why} (attempt {attempt}). {needs or 'Nothing to do'}.",
            evicted.get("message") or detail,
        )
    if reason == "WaitingForPreemptedWorkloads" or "Pending the preemption" in text:
        return _queued("waiting", "Starts as soon as lower-priority work has made room.", detail)
    known = ("", "Pending", "Inadmissible", "Waiting", "WaitingForQuota", "PendingEvaluation")
    if reason in known:
        return _queued("waiting", f"{needs or f'Waits for its turn in {local_queue}'}.", detail)
    return _queued("waiting", f"Kueue says: {text or reason}", detail)


def _queued(reason: str, message: str, detail: str | None) -> Status:
    return Status("queued", reason, message, detail)


def _held(kind: str, name: str, local_queue: str) -> str:
    if kind == "LocalQueue":
        return f"Waits: an admin stopped {name}. It goes on by itself when the queue is opened."
    return (
        f"Waits: {local_queue}'s ClusterQueue {name} is stopped or not set up yet. It goes on by "
        "itself once the queue is active; an admin can see why it is not."
    )


def _blocked(reason: str, text: str, local_queue: str) -> str | None:
    if match := _MISSING_QUEUE.search(text):
        if match[1] == "LocalQueue":
            return (
                f"Will not start: there is no queue {match[2]} here. Move it to another queue, "
                "or ask an admin."
            )
        return (
            f"Will not start: {local_queue} leads to {match[2]}, which does not exist. Ask an "
            "admin, or move it to another queue."
        )
    if _WRONG_NAMESPACE in text:
        return f"Will not start: {local_queue} is not open to this namespace. Ask an admin."
    match = _OVER_MAXIMUM.search(text)
    # Too much for one flavor, while another has enough of it and is only in use: that one is waited
    # for.
    may_fit = {found[1] for found in _MORE_NEEDED.finditer(text)}
    if match and reason != "WaitingForQuota" and match[1] not in may_fit:
        asked = _amount(match[1], match[2])
        most = _amount(match[1], match[3])
        return (
            f"Will not start: asks for {asked}, {local_queue} can have {most} at most. Change the "
            "request, or ask an admin for more quota."
        )
    if match := _UNCOVERED.search(text):
        return (
            f"Will not start: {local_queue} has no quota for {match[1]}. Ask for none of it, use "
            "another queue, or ask an admin."
        )
    if reason in ("ExceedsMaxQuota", "NoMatchingFlavor", "Misconfigured"):
        return f"Will not start by itself. Kueue says: {text or reason}"
    return None


def _needs(text: str) -> str | None:
    missing = {match[1]: _amount(match[1], match[2]) for match in _MORE_NEEDED.finditer(text)}
    return f"Waits for {' and '.join(missing.values())} to become free" if missing else None


def _amount(resource: str, text: str) -> str:
    try:
        value = float(quantities.reported(text))
    except ValueError:
        return f"{text} {resource}"
    return quantities.in_words(resource, value)


def _backoff(workload: Json, now: dt.datetime) -> dt.datetime | None:
    at = workload.get("status", {}).get("requeueState", {}).get("requeueAt")
    moment = parse_time(at) if at else None
    return moment if moment and moment > now else None
