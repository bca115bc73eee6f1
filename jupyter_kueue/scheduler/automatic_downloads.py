"""Downloads a run's files when the run ends, as jupyter-scheduler's users expect.

It stores no list of pending downloads: at the start, and whenever the feed of changes had a gap, it
checks the runs that ended within the last day, and later each run that ends. A run belongs to the
root folder in which it was requested; servers with other root folders ignore it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from jupyter_scheduler.exceptions import SchedulerError
from tornado.ioloop import IOLoop

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.domain.times import parse_time
from jupyter_kueue.scheduler import job_models

if TYPE_CHECKING:
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.scheduler.downloads import Downloads
    from jupyter_kueue.scheduler.scheduler import KueueScheduler

Json = dict[str, Any]

# Users have seen runs that ended earlier, or no longer wait for them.
_LOOKS_BACK = dt.timedelta(days=1)

log = logging.getLogger(__name__)


class AutomaticDownloads:
    """Follows the runs of one server; it stops with the feed of changes."""

    def __init__(self, scheduler: KueueScheduler, downloads: Downloads) -> None:
        self._scheduler = scheduler
        self._downloads = downloads
        self._root = job_models.root_mark(scheduler.root_dir)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin once the event loop runs, when Jupyter has loaded all its extensions."""
        IOLoop.current().add_callback(self._start)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            changes = self._scheduler.kueue.changes
        except (SchedulerError, errors.JupyterKueueError) as error:
            log.warning("outputs are not downloaded by themselves: %s", error)
            return
        cursor = changes.cursor
        caught_up = await self._catch_up()
        async for change in changes.subscribe(cursor):
            if change["type"] == "gap" or not caught_up:
                caught_up = await self._catch_up()
            elif change["type"] == "run":
                await self._fetch(change["run"])

    async def _catch_up(self) -> bool:
        """Check all runs; return whether they were available."""
        try:
            runs = await self._scheduler.runs()
        except errors.JupyterKueueError:
            # Every other request reports the error; this waits for the next change or heartbeat.
            return False
        for row in list(runs.rows()):
            await self._fetch(row)
            # Most rows need no I/O, so other requests need a turn in between.
            await asyncio.sleep(0)
        return True

    async def _fetch(self, row: RunRow) -> None:
        """Download the files of a run that has ended, if they are wanted here and missing."""
        annotations = row["request"].annotations
        if row["state"] not in FINISHED_STATES or annotations.get(job_models.ROOT) != self._root:
            return
        finished_at = row["finished_at"]
        is_old = (
            finished_at is not None
            and dt.datetime.now(dt.UTC) - parse_time(finished_at) > _LOOKS_BACK
        )
        if is_old or self._scheduler.described(row).downloaded:
            return
        try:
            await self._downloads.fetch(row["run_id"])
        except SchedulerError as error:
            log.warning("run_id=%s not all outputs downloaded: %s", row["run_id"], error)
        except Exception:
            # An error of one run's files must not prevent other downloads.
            log.exception("run_id=%s outputs not downloaded", row["run_id"])
