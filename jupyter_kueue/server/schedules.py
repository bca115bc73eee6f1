"""Schedules: list, create, look at, change, run now, delete."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.server.base import KueueHandler
from jupyter_kueue.service.paging import MAX_LIMIT

DEFAULT_LIMIT = 50
DEFAULT_SORT = "-created_at"


class SchedulesHandler(KueueHandler):
    """``schedules``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List schedules, newest first unless asked otherwise."""
        from jupyter_kueue.service.schedules.schedules import ScheduleQuery  # noqa: PLC0415 - not at start

        self.check_query(
            *("active", "text", "sort", "limit", "cursor"), repeatable=("local_queue",)
        )
        limit = self.query_number("limit", 0, MAX_LIMIT)
        sort = self.query_text("sort")
        query = ScheduleQuery(
            active=None if self.query_text("active") is None else self.query_flag("active"),
            local_queues=self.query_texts("local_queue"),
            text=self.query_text("text"),
            sort=DEFAULT_SORT if sort is None else sort,
            limit=DEFAULT_LIMIT if limit is None else limit,
            cursor=self.query_text("cursor"),
        )
        self.answer(await (await self.kueue.schedules()).list(query))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Create a schedule: 201 with it."""
        self.check_query()
        # Slow to import: Jupyter's start must not pay for it.
        from jupyter_kueue.domain.schedule_request import (  # noqa: PLC0415
            parse_schedule_request,
        )

        request = parse_schedule_request(self.json_body())
        schedule = await (await self.kueue.schedules()).create(request)
        path = url_path_join(self.base_url, "jupyter-kueue", "schedules", schedule["schedule_id"])
        self.set_header("Location", path)
        self.answer(schedule, 201)


class ScheduleHandler(KueueHandler):
    """``schedules/{id}``."""

    @web.authenticated
    @authorized
    async def get(self, schedule_id: str) -> None:
        """Answer with a schedule."""
        self.check_query()
        schedules = await self.kueue.schedules()
        self.answer(await schedules.get(self.schedule_id(schedule_id)))

    @web.authenticated
    @authorized
    async def patch(self, schedule_id: str) -> None:
        """Change any of its fields, from the next run on; ``active`` pauses and resumes it."""
        self.check_query()
        changes = _object(self.json_body())
        schedules = await self.kueue.schedules()
        self.answer(await schedules.update(self.schedule_id(schedule_id), changes))

    @web.authenticated
    @authorized
    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; its runs stay."""
        self.check_query()
        await (await self.kueue.schedules()).delete(self.schedule_id(schedule_id))
        self.set_status(204)
        self.finish()


class RunNowHandler(KueueHandler):
    """``schedules/{id}/run``."""

    @web.authenticated
    @authorized
    async def post(self, schedule_id: str) -> None:
        """Queue a run of it now, with other ``parameters`` if given: 201 with the run."""
        self.check_query()
        body = _object(self.json_body(required=False))
        unknown = sorted(set(body) - {"parameters"})
        if unknown:
            raise errors.InvalidRequestError(
                {
                    unknown[0][:100]: say(
                        "parameters-alone", "is not allowed here; only parameters can be given"
                    )
                }
            )
        schedules = await self.kueue.schedules()
        run = await schedules.run_now(self.schedule_id(schedule_id), body.get("parameters"))
        path = url_path_join(self.base_url, "jupyter-kueue", "runs", run["run_id"])
        self.set_header("Location", path)
        self.answer(run, 201)


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise errors.InvalidRequestError(
            {
                "body": say(
                    "send-object-with-changes", "send a JSON object with the fields to change"
                )
            }
        )
    return body
