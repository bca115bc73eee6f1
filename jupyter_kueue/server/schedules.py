"""Schedules: list, create, look at, change, run now, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.domain.request_changes import RunNow, ScheduleChanges
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.domain.schedule_query import ScheduleQuery
    from jupyter_kueue.domain.schedule_request import ScheduleRequest
    from jupyter_kueue.domain.schedule_row import ScheduleList, ScheduleRow
    from jupyter_kueue.server.base import KueueHandler


async def list_schedules(request: KueueHandler, query: ScheduleQuery) -> ScheduleList:
    """List schedules, newest first unless asked otherwise."""
    return await (await request.kueue.schedules()).list(query)


async def create_schedule(request: KueueHandler, body: ScheduleRequest) -> ScheduleRow:
    """Create a schedule."""
    schedule = await (await request.kueue.schedules()).create(body)
    request.set_location("schedules", schedule["schedule_id"])
    return schedule


async def get_schedule(request: KueueHandler, schedule_id: str) -> ScheduleRow:
    """Return a schedule."""
    return await (await request.kueue.schedules()).get(schedule_id)


async def update_schedule(
    request: KueueHandler, schedule_id: str, body: ScheduleChanges
) -> ScheduleRow:
    """Change any of its fields, from the next run on; ``active`` pauses and resumes it."""
    return await (await request.kueue.schedules()).update(schedule_id, body)


async def delete_schedule(request: KueueHandler, schedule_id: str) -> None:
    """Delete a schedule; its runs stay."""
    await (await request.kueue.schedules()).delete(schedule_id)


async def run_schedule(request: KueueHandler, schedule_id: str, body: RunNow) -> RunRow:
    """Queue a run of it now, with other parameters if given."""
    run = await (await request.kueue.schedules()).run_now(schedule_id, body)
    request.set_location("runs", run["run_id"])
    return run
