"""Runs: list, submit, look at, change, stop, run again, delete."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from jupyter_kueue.domain import errors
from jupyter_kueue.server.base import said
from jupyter_kueue.server.path_parameters import PATH_PARAMETERS

if TYPE_CHECKING:
    from jupyter_kueue.domain.error_body import Deletion
    from jupyter_kueue.domain.request_changes import RunChanges
    from jupyter_kueue.domain.run_query import RunQuery
    from jupyter_kueue.domain.run_request import RunRequest
    from jupyter_kueue.domain.run_row import Run, RunList, RunRow
    from jupyter_kueue.domain.run_update import RunUpdate
    from jupyter_kueue.server.base import KueueHandler
    from jupyter_kueue.server.queries import DeletionQuery


async def list_runs(request: KueueHandler, query: RunQuery) -> RunList:
    """List runs, newest first unless asked otherwise."""
    return await (await request.kueue.runs()).list(query)


async def submit_run(request: KueueHandler, body: RunRequest) -> RunRow:
    """Submit a run, or return the one of the same idempotency_key."""
    run, is_new = await (await request.kueue.runs()).submit(body)
    if not is_new:
        request.set_status(HTTPStatus.OK)
    request.set_location("runs", run["run_id"])
    return run


async def delete_runs(request: KueueHandler, query: DeletionQuery) -> Deletion:
    """Delete each run that the query names, and say which could not be deleted."""
    runs = await request.kueue.runs()
    deletion: Deletion = {"deleted": [], "failures": []}
    for run_id in dict.fromkeys(query.run_ids):
        try:
            await runs.delete(PATH_PARAMETERS["run_id"].read(run_id))
        except errors.JupyterKueueError as error:
            deletion["failures"].append({"run_id": run_id, **said(error)})
        else:
            deletion["deleted"].append(run_id)
    return deletion


async def get_run(request: KueueHandler, run_id: str) -> Run:
    """Return everything known of a run."""
    return await (await request.kueue.runs()).get(run_id)


async def update_run(request: KueueHandler, run_id: str, body: RunUpdate) -> Run:
    """Change what may change: name, tags, priority, and the queue while it waits."""
    return await (await request.kueue.runs()).update(run_id, body)


async def delete_run(request: KueueHandler, run_id: str) -> None:
    """Delete a run and all its files, stopping it first."""
    await (await request.kueue.runs()).delete(run_id)


async def stop_run(request: KueueHandler, run_id: str) -> Run:
    """Stop a run, in whatever state it is; its outputs so far stay."""
    return await (await request.kueue.runs()).stop(run_id)


async def rerun_run(request: KueueHandler, run_id: str, body: RunChanges) -> RunRow:
    """Submit the same input again, some fields changed."""
    run = await (await request.kueue.runs()).rerun(run_id, body)
    request.set_location("runs", run["run_id"])
    return run
