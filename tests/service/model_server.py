"""A server of one owner, with its own memory and its own sight of a model cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_kueue.condition_variable import ConditionVariable
from jupyter_kueue.domain import errors
from jupyter_kueue.service.changes import Changes
from jupyter_kueue.service.runs.known_runs import KnownRuns
from jupyter_kueue.service.runs.reconciler import Reconciler, Timing
from jupyter_kueue.service.runs.run_index import Index
from jupyter_kueue.service.work_queue import WorkQueue
from jupyter_kueue.storage.open_runs import OpenRuns
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.summaries import Summaries
from tests.service.manual_clock import ManualClock
from tests.service.model_cluster import RUN_ID, FailingBucket, SeenCluster

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from tests.service.model_cluster import ModelCluster

Json = dict[str, Any]

# Whatever is due later is due at once here; that it waits is decided in test_run_decisions.
TIMING = Timing(finished_job_seconds=0, leftover_seconds=0)


class Server:
    """What runs in a server, but the queue's workers: a test says when something is looked at."""

    def __init__(self, store: ObjectStore, cluster: ModelCluster) -> None:
        self.bucket = FailingBucket(store, "memory")
        self.records = Records(self.bucket, "tess")
        self.summaries = Summaries(self.bucket, "tess")
        self.open_runs = OpenRuns(self.bucket, "tess")
        self.seen = SeenCluster(cluster)
        self.clock = ManualClock()
        self.index = Index()
        self.known = KnownRuns(self.index, Changes(), WorkQueue(clock=self.clock))
        self.reconciler = Reconciler(
            cluster,  # type: ignore[arg-type]  # it answers as a Connection does
            self.records,
            self.summaries,
            self.open_runs,
            self.known,
            self.seen,  # type: ignore[arg-type]
            TIMING,
            ConditionVariable(),
        )

    @property
    def row(self) -> Json | None:
        entry = self.index.find(RUN_ID)
        return None if entry is None else dict(entry.row)

    async def look(self) -> None:
        """Look at whatever is marked by now."""
        queue = self.known.queue
        for _ in range(len(queue)):
            key = await queue.get()
            try:
                await self.reconciler.look(key)
            except errors.UnavailableError:
                queue.add_rate_limited(key)
            queue.done(key)

    async def go_on(self) -> None:
        """Do what is due, and what that makes due; a run that starts is looked at for ever."""
        for _ in range(5):
            self.clock.advance(60)
            await self.look()

    async def compare(self) -> None:
        """Start, or compare all that there is, as a server does every minute."""
        task = asyncio.ensure_future(self.reconciler.compare())
        while not task.done():
            await asyncio.sleep(0)
            await self.look()
        await task
