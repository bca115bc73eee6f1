"""What REST takes and answers: the models that the annotations of handlers name.

It imports pydantic, which takes long, so only a request or the OpenAPI document loads it
(``server.signature``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.domain.change import Change
from jupyter_kueue.domain.choices import EnvironmentList, ProfileList
from jupyter_kueue.domain.error_body import Deletion, Error
from jupyter_kueue.domain.health_report import Health
from jupyter_kueue.domain.local_queue_row import LocalQueueList
from jupyter_kueue.domain.request_changes import (
    RunChanges,
    RunNow,
    ScheduleChanges,
    parse_run_changes,
    parse_run_now,
    parse_schedule_changes,
)
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.run_request import RunRequest, parse_run_request
from jupyter_kueue.domain.run_row import FileList, Run, RunList, RunRow
from jupyter_kueue.domain.run_update import RunUpdate, parse_run_update
from jupyter_kueue.domain.schedule_query import ScheduleQuery
from jupyter_kueue.domain.schedule_request import ScheduleRequest, parse_schedule_request
from jupyter_kueue.domain.schedule_row import ScheduleList, ScheduleRow
from jupyter_kueue.domain.stock_backend_count import StockBackendCount
from jupyter_kueue.server.queries import ChangesQuery, DeletionQuery, LogQuery

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BODIES",
    "Change",
    "ChangesQuery",
    "Deletion",
    "DeletionQuery",
    "EnvironmentList",
    "Error",
    "FileList",
    "Health",
    "LocalQueueList",
    "LogQuery",
    "ProfileList",
    "Run",
    "RunChanges",
    "RunList",
    "RunNow",
    "RunQuery",
    "RunRequest",
    "RunRow",
    "RunUpdate",
    "ScheduleChanges",
    "ScheduleList",
    "ScheduleQuery",
    "ScheduleRequest",
    "ScheduleRow",
    "StockBackendCount",
]

# What reads a body: a function that names everything that is wrong with it.
BODIES: dict[type, Callable[[Any], Any]] = {
    RunRequest: parse_run_request,
    RunUpdate: parse_run_update,
    RunChanges: parse_run_changes,
    RunNow: parse_run_now,
    ScheduleRequest: parse_schedule_request,
    ScheduleChanges: parse_schedule_changes,
}
