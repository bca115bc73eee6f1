"""The routes: everything that REST can do, one row for each verb on each path.

Tornado's handlers, the OpenAPI document and the tables of docs/rest.md come from this table. What a
route takes and answers is what its handler's annotations say.
"""

from __future__ import annotations

import functools
import itertools
from operator import attrgetter
from typing import Any

from jupyter_server.utils import url_path_join

from jupyter_kueue.domain.errors import (
    BucketUnavailableError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    NotConfiguredError,
    NotFoundError,
    RangeNotSatisfiableError,
    UnavailableError,
    UnreadableError,
)
from jupyter_kueue.server import (
    changes,
    files,
    health,
    local_queues,
    logs,
    notebook,
    profiles,
    runs,
    schedules,
    stock_backend,
)
from jupyter_kueue.server.base import PREFIX, KueueHandler, UnknownRouteHandler
from jupyter_kueue.server.path_parameters import pattern_of
from jupyter_kueue.server.route import Answer, Header, Route
from jupyter_kueue.server.tornado_handlers import handler_class

_ETAG = Header("ETag", "Changes with the content.")
_IF_NONE_MATCH = Header("If-None-Match", "A known ETag.")
_RANGES = (
    Header("Range", "`bytes=0-99`, `bytes=100-` or `bytes=-100`."),
    Header("If-Range", "Send the range only if this is still the ETag."),
)
_WHERE_RUN = Header("Location", "Where the run is.")
_NOT_MODIFIED = Answer("It has not changed since If-None-Match.", None)
_DELETED = Answer("It was deleted.", None)
_NEW_RUN = Answer("The new run.", headers=(_WHERE_RUN,))
_NOTEBOOK = {
    200: Answer("The notebook.", headers=(_ETAG,)),
    304: _NOT_MODIFIED,
}
_FILE = {
    200: Answer("The file.", "*/*", headers=(_ETAG, Header("Content-Disposition")), is_binary=True),
    206: Answer("The requested bytes.", "*/*", headers=(Header("Content-Range"),), is_binary=True),
    304: _NOT_MODIFIED,
}

# What a route that needs the cluster or the bucket may raise.
_AWAY = (
    ClusterUnavailableError,
    BucketUnavailableError,
    UnavailableError,
    NotConfiguredError,
    ForbiddenError,
)
_OF_ONE = (NotFoundError, UnreadableError, *_AWAY)


async def get_open_api(request: KueueHandler) -> dict[str, Any]:
    """Return the OpenAPI document, its server being this one."""
    return {**document(), "servers": [{"url": url_path_join(request.base_url, PREFIX)}]}


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "runs",
        runs.list_runs,
        "List runs, newest first by default.",
        "runs",
        {200: Answer("A page of runs.")},
        _AWAY,
    ),
    Route(
        "POST",
        "runs",
        runs.submit_run,
        "Submit a notebook run.",
        "runs",
        {
            201: _NEW_RUN,
            200: Answer("The existing run of the same `idempotency_key`.", headers=(_WHERE_RUN,)),
        },
        (ConflictError, *_AWAY),
    ),
    Route(
        "DELETE",
        "runs",
        runs.delete_runs,
        "Delete several runs; each is tried.",
        "runs",
        {200: Answer("Which runs were deleted and which could not be.")},
        _AWAY,
    ),
    Route(
        "GET",
        "runs/{run_id}",
        runs.get_run,
        "Everything known about a run.",
        "runs",
        {200: Answer("The run.")},
        _OF_ONE,
    ),
    Route(
        "PATCH",
        "runs/{run_id}",
        runs.update_run,
        "Change a run's name or tags, or its queue or priority.",
        "runs",
        {200: Answer("The changed run.")},
        (ConflictError, *_OF_ONE),
    ),
    Route(
        "DELETE",
        "runs/{run_id}",
        runs.delete_run,
        "Delete a run and all its files; one that has not ended is stopped first.",
        "runs",
        {204: _DELETED},
        _OF_ONE,
    ),
    Route(
        "POST",
        "runs/{run_id}/stop",
        runs.stop_run,
        "Stop a run in any state; its outputs so far are kept.",
        "runs",
        {200: Answer("The run.")},
        _OF_ONE,
    ),
    Route(
        "POST",
        "runs/{run_id}/rerun",
        runs.rerun_run,
        "Submit the same input again, with some fields of the request changed.",
        "runs",
        {201: _NEW_RUN},
        _OF_ONE,
        is_body_required=False,
    ),
    Route(
        "GET",
        "runs/{run_id}/logs",
        logs.get_logs,
        "What the run printed, live from the pod and later from the bucket.",
        "runs",
        {200: Answer("The log.", "text/plain")},
        _OF_ONE,
        sends_users_text=True,
    ),
    Route(
        "GET",
        "runs/{run_id}/notebook",
        notebook.get_notebook,
        "The notebook as it stands now, with the outputs so far.",
        "runs",
        _NOTEBOOK,
        _OF_ONE,
        (_IF_NONE_MATCH,),
        may_be_kept=True,
        sends_users_text=True,
    ),
    Route(
        "HEAD",
        "runs/{run_id}/notebook",
        notebook.head_notebook,
        "What GET would send, without the notebook.",
        "runs",
        _NOTEBOOK,
        _OF_ONE,
        (_IF_NONE_MATCH,),
        may_be_kept=True,
        sends_users_text=True,
    ),
    Route(
        "GET",
        "runs/{run_id}/files",
        files.list_files,
        "List the files that a run wrote, the executed notebook first.",
        "runs",
        {200: Answer("The files.")},
        _OF_ONE,
    ),
    Route(
        "GET",
        "runs/{run_id}/files/{path}",
        files.get_file,
        "Download a file that a run wrote, or one byte range of it.",
        "runs",
        _FILE,
        (RangeNotSatisfiableError, *_OF_ONE),
        (_IF_NONE_MATCH, *_RANGES),
        may_be_kept=True,
        sends_users_text=True,
    ),
    Route(
        "HEAD",
        "runs/{run_id}/files/{path}",
        files.head_file,
        "What GET would send, without the file.",
        "runs",
        _FILE,
        (RangeNotSatisfiableError, *_OF_ONE),
        (_IF_NONE_MATCH, *_RANGES),
        may_be_kept=True,
        sends_users_text=True,
    ),
    Route(
        "GET",
        "runs/{run_id}/inputs",
        files.list_inputs,
        "List the files that a run was submitted with, the notebook first.",
        "runs",
        {200: Answer("The files.")},
        _OF_ONE,
    ),
    Route(
        "GET",
        "runs/{run_id}/inputs/{path}",
        files.get_input,
        "Download a file that a run was submitted with, or one byte range of it.",
        "runs",
        _FILE,
        (RangeNotSatisfiableError, *_OF_ONE),
        (_IF_NONE_MATCH, *_RANGES),
        may_be_kept=True,
        sends_users_text=True,
    ),
    Route(
        "HEAD",
        "runs/{run_id}/inputs/{path}",
        files.head_input,
        "What GET would send, without the file.",
        "runs",
        _FILE,
        (RangeNotSatisfiableError, *_OF_ONE),
        (_IF_NONE_MATCH, *_RANGES),
        may_be_kept=True,
        sends_users_text=True,
    ),
    Route(
        "GET",
        "schedules",
        schedules.list_schedules,
        "List schedules, newest first by default.",
        "schedules",
        {200: Answer("A page of schedules.")},
        _AWAY,
    ),
    Route(
        "POST",
        "schedules",
        schedules.create_schedule,
        "Create a schedule.",
        "schedules",
        {
            201: Answer(
                "The schedule; the existing one if the `idempotency_key` was used before.",
                headers=(Header("Location", "Where the schedule is."),),
            )
        },
        (ConflictError, *_AWAY),
    ),
    Route(
        "GET",
        "schedules/{schedule_id}",
        schedules.get_schedule,
        "Get a schedule.",
        "schedules",
        {200: Answer("The schedule.")},
        _OF_ONE,
    ),
    Route(
        "PATCH",
        "schedules/{schedule_id}",
        schedules.update_schedule,
        "Change fields of a schedule, starting with its next run; `active` pauses and resumes it.",
        "schedules",
        {200: Answer("The changed schedule.")},
        _OF_ONE,
    ),
    Route(
        "DELETE",
        "schedules/{schedule_id}",
        schedules.delete_schedule,
        "Delete a schedule; its runs are kept.",
        "schedules",
        {204: _DELETED},
        _OF_ONE,
    ),
    Route(
        "POST",
        "schedules/{schedule_id}/run",
        schedules.run_schedule,
        "Queue a run of it now, optionally with other `parameters`.",
        "schedules",
        {201: _NEW_RUN},
        _OF_ONE,
        is_body_required=False,
    ),
    Route(
        "GET",
        "local-queues",
        local_queues.list_local_queues,
        "The queues that runs can go to, and how full they are.",
        "choices",
        {200: Answer("The queues.")},
        _AWAY,
    ),
    Route(
        "GET",
        "environments",
        profiles.list_environments,
        "The images that notebooks can run in.",
        "choices",
        {200: Answer("The environments.")},
        _AWAY,
    ),
    Route(
        "GET",
        "profiles",
        profiles.list_profiles,
        "The sizes that runs can have: the default one, then from the smallest to the largest.",
        "choices",
        {200: Answer("The profiles.")},
        _AWAY,
    ),
    Route(
        "GET",
        "changes",
        changes.get_changes,
        "Every state change as it happens, as server-sent events.",
        "server",
        {200: Answer("Events, each `data` a Change.", changes.MEDIA_TYPE)},
        headers=(Header("Last-Event-ID", "The same as `since`, and wins over it."),),
        # Listening must not keep an idle server alive.
        is_activity=False,
        description="Each event is named by its `type` and has its cursor as `id`. A comment comes "
        "every 15 seconds while nothing happens.",
    ),
    Route(
        "GET",
        "health",
        health.get_health,
        "What was found, what is missing and how to fix it.",
        "server",
        {200: Answer("The report; `ok` says whether runs can be submitted.")},
        is_activity=False,
    ),
    Route(
        "GET",
        "stock-backend",
        stock_backend.count_stock_backend,
        "What `jupyter kueue import` has not imported yet from jupyter-scheduler's own backend.",
        "server",
        {200: Answer("The numbers.")},
        _AWAY,
        is_activity=False,
    ),
    Route(
        "GET",
        "openapi.json",
        get_open_api,
        "The OpenAPI document of these routes.",
        "server",
        {200: Answer("The document.")},
    ),
)


def handlers() -> list[tuple[str, type[KueueHandler]]]:
    """Return the routes as tornado's patterns, below the server's base URL; the rest come last."""
    known: list[tuple[str, type[KueueHandler]]] = [
        (f"/{PREFIX}/{pattern_of(path)}", handler_class(list(of_path)))
        for path, of_path in itertools.groupby(ROUTES, attrgetter("path"))
    ]
    return [*known, (f"/{PREFIX}(?:/.*)?", UnknownRouteHandler)]


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the routes. Do not change it."""
    # Jupyter's start does not wait for it.
    from jupyter_kueue.server.openapi import describe  # noqa: PLC0415

    return describe(ROUTES)
