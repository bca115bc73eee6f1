"""How a schedule is shown: the list row, from its record, its CronJob and its runs.

The fields are REST's (``domain.schedule_row``, docs/rest.md). It does no I/O.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import cron_expressions
from jupyter_kueue.domain.cron_job_manifest import DEFAULT_TIMEZONE
from jupyter_kueue.domain.run_facts import stored_sentence
from jupyter_kueue.domain.times import parse_time, rfc3339
from jupyter_kueue.service.runs import files_not_uploaded

if TYPE_CHECKING:
    import datetime as dt

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import CronJob
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.domain.schedule_record import ScheduleRecord
    from jupyter_kueue.domain.schedule_row import LastRun, ScheduleRow

_WAITING = ("queued", "starting")


@dataclass(frozen=True)
class ScheduleRuns:
    """The runs of one schedule: the newest row, and the rows that its CronJob still waits for."""

    last: RunRow | None = None
    open: tuple[RunRow, ...] = ()


def is_over(record: ScheduleRecord, runs_counted: int, now: dt.datetime) -> bool:
    """Tell whether a schedule's end has come, so that no further run may be due."""
    end_date, max_runs = record.request.end_date, record.request.max_runs
    if max_runs is not None and runs_counted >= max_runs:
        return True
    return end_date is not None and now > parse_time(end_date)


def is_active(record: ScheduleRecord, cron_job: CronJob | None) -> bool:
    """Tell whether a schedule fires: its CronJob, which kubectl may have suspended, says so."""
    if cron_job is None:
        return bool(record.request.active)
    return not cron_job["spec"].get("suspend")


def next_run(record: ScheduleRecord, now: dt.datetime) -> dt.datetime | None:
    """Return when it is due next, as far as this side can tell; None if it is not due any more."""
    request = record.request
    if request.schedule is None:
        return None
    expression = cron_expressions.parse(request.schedule)
    zone = _zone(request.timezone or DEFAULT_TIMEZONE)
    if expression is None or zone is None:
        return None
    due = expression.next_after(now, zone)
    end_date = request.end_date
    return None if due is None or (end_date and due > parse_time(end_date)) else due


def never_fires(record: ScheduleRecord, now: dt.datetime) -> bool:
    """Tell whether a schedule names a time that never comes, such as 30 February.

    The cluster, too, looks five years ahead and no further.
    """
    request = record.request
    expression = cron_expressions.parse(request.schedule or "")
    zone = _zone(request.timezone or DEFAULT_TIMEZONE)
    return expression is not None and zone is not None and expression.next_after(now, zone) is None


@functools.cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Known to the API server, which took it, but not to this machine.
        return None


def build_row(
    record: ScheduleRecord,
    cron_job: CronJob | None,
    runs_counted: int,
    runs: ScheduleRuns,
    next_run_at: dt.datetime | None,
    message: Sentence | None,
) -> ScheduleRow:
    """Return a schedule's list row."""
    request = record.request
    active = is_active(record, cron_job)
    return {
        "schedule_id": record.schedule_id,
        "name": record.name,
        "owner": record.owner.name,
        "active": active,
        "schedule": request.schedule,
        "timezone": request.timezone,
        "concurrency_policy": request.concurrency_policy,
        "starting_deadline_seconds": request.starting_deadline_seconds,
        "end_date": request.end_date,
        "max_runs": request.max_runs,
        "runs_counted": runs_counted if request.max_runs is not None else None,
        "tags": list(request.tags),
        "local_queue": record.local_queue,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "next_run_at": rfc3339(next_run_at) if next_run_at is not None and active else None,
        "last_run": _last(runs.last),
        "message": message,
        "sentence": sentences.as_json(message),
        "left_behind": files_not_uploaded.shown(record.left_behind),
        "request": dataclasses.replace(request, active=active),
    }


def build_message(
    record: ScheduleRecord,
    runs_counted: int,
    runs: ScheduleRuns,
    next_run_at: dt.datetime | None,
    problem: Sentence | None,
    now: dt.datetime,
) -> Sentence | None:
    """Return why a schedule does not fire, or its next run cannot start; None if all is well."""
    request = record.request
    if problem is not None:
        return say("schedule-problem", "It does not run as requested: {problem}", problem=problem)
    if is_over(record, runs_counted, now):
        max_runs = request.max_runs
        if max_runs is not None and runs_counted >= max_runs:
            return say(
                "schedule-ended-after",
                "It has ended after {count} runs. Raise max_runs to continue it.",
                "It has ended after {count} run. Raise max_runs to continue it.",
                count=runs_counted,
            )
        return say(
            "schedule-ended-at",
            "It ended at {time}. Set a later end_date to continue it.",
            time=request.end_date or "",
        )
    if next_run_at is None and never_fires(record, now):
        return say(
            "schedule-never-fires",
            "It never runs, because the date in its schedule does not exist. Change the schedule.",
        )
    waiting = next((row for row in runs.open if row["state"] in _WAITING), None)
    if waiting is None or request.concurrency_policy != "Forbid":
        return None
    return say(
        "schedule-run-goes-on",
        "The run of {time} is still {state} ({message}). With the concurrency "
        "policy Forbid, the next run starts only after it has ended. Stop that "
        "run, or choose Replace or Allow.",
        time=waiting["created_at"],
        state=waiting["state"],
        message=stored_sentence(waiting["message"], waiting["sentence"]) or waiting["reason"] or "",
    )


def _last(row: RunRow | None) -> LastRun | None:
    if row is None:
        return None
    return {
        "run_id": row["run_id"],
        "state": row["state"],
        "reason": row["reason"],
        "created_at": row["created_at"],
    }
