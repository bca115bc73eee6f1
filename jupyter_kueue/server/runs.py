"""Runs: list, submit, look at, change, stop, run again, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.server.base import KueueHandler, said
from jupyter_kueue.service.paging import MAX_LIMIT

if TYPE_CHECKING:
    from jupyter_kueue.domain.run_row import RunRow

DEFAULT_LIMIT = 50
DEFAULT_SORT = "-created_at"


class RunsHandler(KueueHandler):
    """``runs``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List runs, newest first unless asked otherwise."""
        from jupyter_kueue.service.runs.run_index import RunQuery  # noqa: PLC0415 - not at Jupyter's start

        self.check_query(
            *("text", "sort", "limit", "cursor"),
            repeatable=("state", "local_queue", "schedule_id"),
        )
        limit = self.query_number("limit", 0, MAX_LIMIT)
        sort = self.query_text("sort")
        query = RunQuery(
            states=self.query_texts("state"),
            local_queues=self.query_texts("local_queue"),
            schedule_ids=self.query_texts("schedule_id"),
            text=self.query_text("text"),
            sort=DEFAULT_SORT if sort is None else sort,
            limit=DEFAULT_LIMIT if limit is None else limit,
            cursor=self.query_text("cursor"),
        )
        self.answer(await (await self.kueue.runs()).list(query))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Submit a run: 201 with it, or 200 with the one of the same idempotency_key."""
        self.check_query()
        # Slow to import: Jupyter's start must not pay for it.
        from jupyter_kueue.domain.run_request import parse_run_request  # noqa: PLC0415

        request = parse_run_request(self.json_body())
        run, is_new = await (await self.kueue.runs()).submit(request)
        _answer_run(self, run, is_new=is_new)

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Delete each run named by ``run_id``; the answer says which could not be."""
        self.check_query(repeatable=("run_id",))
        named = self.get_query_arguments("run_id", strip=False)
        if not 1 <= len(named) <= MAX_LIMIT:
            raise errors.InvalidRequestError(
                {
                    "run_id": say(
                        "run-ids-needed",
                        "must be given once for each run to delete, 1 to {most} times",
                        most=MAX_LIMIT,
                    )
                }
            )
        runs = await self.kueue.runs()
        deleted = []
        failures = []
        for run_id in dict.fromkeys(named):
            try:
                await runs.delete(self.run_id(run_id))
            except errors.JupyterKueueError as error:
                failures.append({"run_id": run_id, **said(error)})
            else:
                deleted.append(run_id)
        self.answer({"deleted": deleted, "failures": failures})


class RunHandler(KueueHandler):
    """``runs/{id}``."""

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Answer with everything known of a run."""
        self.check_query()
        self.answer(await (await self.kueue.runs()).get(self.run_id(run_id)))

    @web.authenticated
    @authorized
    async def patch(self, run_id: str) -> None:
        """Change what may change: name, tags, priority, and the queue while it waits."""
        self.check_query()
        from jupyter_kueue.domain.run_update import parse_run_update  # noqa: PLC0415 - as above

        changes = parse_run_update(self.json_body())
        self.answer(await (await self.kueue.runs()).update(self.run_id(run_id), changes))

    @web.authenticated
    @authorized
    async def delete(self, run_id: str) -> None:
        """Delete a run and all its files, stopping it first."""
        self.check_query()
        await (await self.kueue.runs()).delete(self.run_id(run_id))
        self.set_status(204)
        self.finish()


class StopHandler(KueueHandler):
    """``runs/{id}/stop``."""

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Stop a run, in whatever state it is; its outputs so far stay."""
        self.check_query()
        self.answer(await (await self.kueue.runs()).stop(self.run_id(run_id)))


class RerunHandler(KueueHandler):
    """``runs/{id}/rerun``."""

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Submit the same input again, some fields changed: 201 with the new run."""
        self.check_query()
        changes = _object(self.json_body(required=False))
        run = await (await self.kueue.runs()).rerun(self.run_id(run_id), changes)
        _answer_run(self, run, is_new=True)


def _answer_run(handler: KueueHandler, run: RunRow, *, is_new: bool) -> None:
    """Answer with a run and where it is: 201 if it was made, 200 if it was there already."""
    path = url_path_join(handler.base_url, "jupyter-kueue", "runs", run["run_id"])
    handler.set_header("Location", path)
    handler.answer(run, 201 if is_new else 200)


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
