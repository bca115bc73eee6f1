"""From URL to handler. The paths are relative to ``<base_url>jupyter-kueue/``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jupyter_kueue.server.base import UnknownRouteHandler
from jupyter_kueue.server.changes import ChangesHandler
from jupyter_kueue.server.files import FileHandler, FilesHandler, InputHandler, InputsHandler
from jupyter_kueue.server.health import HealthHandler
from jupyter_kueue.server.local_queues import LocalQueuesHandler
from jupyter_kueue.server.logs import LogsHandler
from jupyter_kueue.server.notebook import NotebookHandler
from jupyter_kueue.server.openapi import OpenApiHandler
from jupyter_kueue.server.profiles import EnvironmentsHandler, ProfilesHandler
from jupyter_kueue.server.runs import RerunHandler, RunHandler, RunsHandler, StopHandler
from jupyter_kueue.server.schedules import RunNowHandler, ScheduleHandler, SchedulesHandler
from jupyter_kueue.server.stock_backend import StockBackendHandler

if TYPE_CHECKING:
    from jupyter_kueue.server.base import KueueHandler

PREFIX = "jupyter-kueue"

# Each pattern in braces is one part of the path, but for ``{path}``, which may hold slashes.
ROUTES: tuple[tuple[str, type[KueueHandler]], ...] = (
    ("runs", RunsHandler),
    ("runs/{run_id}", RunHandler),
    ("runs/{run_id}/stop", StopHandler),
    ("runs/{run_id}/rerun", RerunHandler),
    ("runs/{run_id}/logs", LogsHandler),
    ("runs/{run_id}/notebook", NotebookHandler),
    ("runs/{run_id}/files", FilesHandler),
    ("runs/{run_id}/files/{path}", FileHandler),
    ("runs/{run_id}/inputs", InputsHandler),
    ("runs/{run_id}/inputs/{path}", InputHandler),
    ("schedules", SchedulesHandler),
    ("schedules/{schedule_id}", ScheduleHandler),
    ("schedules/{schedule_id}/run", RunNowHandler),
    ("local-queues", LocalQueuesHandler),
    ("environments", EnvironmentsHandler),
    ("profiles", ProfilesHandler),
    ("changes", ChangesHandler),
    ("health", HealthHandler),
    ("stock-backend", StockBackendHandler),
    ("openapi.json", OpenApiHandler),
)


def handlers() -> list[tuple[str, type[KueueHandler]]]:
    """Return the routes as tornado's patterns, below the server's base URL; the rest come last."""
    known: list[tuple[str, type[KueueHandler]]] = [
        (
            f"/{PREFIX}/"
            + re.sub(r"\{\w+_id\}", "([^/]+)", path.replace(".", r"\.").replace("{path}", "(.+)")),
            handler,
        )
        for path, handler in ROUTES
    ]
    return [*known, (f"/{PREFIX}(?:/.*)?", UnknownRouteHandler)]
