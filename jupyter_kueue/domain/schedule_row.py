"""A schedule as lists show it: REST's fields, once. Pure."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic supports no other before Python 3.12

from jupyter_kueue.domain.field_types import ConcurrencyPolicy
from jupyter_kueue.domain.page import Page
from jupyter_kueue.domain.run_row import ShownLeftBehind, State
from jupyter_kueue.domain.schedule_request import ScheduleRequest
from jupyter_kueue.domain.stored_types import Moment, RunId, Said


class LastRun(TypedDict):
    """The newest run of a schedule."""

    run_id: RunId
    state: State
    reason: str | None
    created_at: Moment


class ScheduleRow(TypedDict):
    """A schedule in a list."""

    schedule_id: RunId
    name: str
    owner: str
    active: Annotated[bool, Field(description="Whether it fires.")]
    schedule: str | None
    timezone: str | None
    concurrency_policy: ConcurrencyPolicy
    starting_deadline_seconds: int | None
    end_date: Moment | None
    max_runs: int | None
    runs_counted: Annotated[
        int | None,
        Field(description="How many of `max_runs` there were; null without `max_runs`."),
    ]
    tags: list[str]
    local_queue: str
    created_at: Moment
    updated_at: Moment
    next_run_at: Moment | None
    last_run: LastRun | None
    message: Annotated[
        str | None,
        Field(description="Why it does not fire, or why its next run cannot start yet."),
    ]
    sentence: Annotated[Said | None, Field(description="Of `message`.")]
    left_behind: ShownLeftBehind | None
    request: Annotated[
        ScheduleRequest, Field(description="The request as it stands, changes included.")
    ]


class ScheduleList(Page):
    """A page of schedules."""

    items: Sequence[ScheduleRow]
