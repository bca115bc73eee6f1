"""The service of one owner in one namespace, with its cluster and its bucket.

Importing it imports the clients of both, which is slow.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jupyter_kueue import patience
from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.contract.sentences import both, say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_facts import Limits
from jupyter_kueue.service import pulse
from jupyter_kueue.service.cluster_state import ClusterView
from jupyter_kueue.service.environments import Environments
from jupyter_kueue.service.queues.local_queues import Queues
from jupyter_kueue.service.runs.known_runs import KnownRuns
from jupyter_kueue.service.runs.outputs import Outputs
from jupyter_kueue.service.runs.reconciler import Reconciler, Timing
from jupyter_kueue.service.runs.run_index import Index
from jupyter_kueue.service.runs.runs import Runs
from jupyter_kueue.service.runs.submission import Submission
from jupyter_kueue.service.schedules.schedule_reconciler import ScheduleKeeper
from jupyter_kueue.service.schedules.schedules import Schedules
from jupyter_kueue.service.work_queue import WorkQueue
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.open_runs import OpenRuns
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.schedule_records import ScheduleRecords
from jupyter_kueue.storage.summaries import Summaries

if TYPE_CHECKING:
    from jupyter_kueue.condition_variable import ConditionVariable
    from jupyter_kueue.config import Settings
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.owner import Owner
    from jupyter_kueue.service.changes import Changes


class Connected:
    """What exists once cluster and bucket are known. Make it with ``open``.

    Attributes:
        connection, bucket: the two clients.
        cluster: the live view of the cluster.
        runs, schedules, queues, environments: what users ask for.
    """

    def __init__(
        self,
        settings: Settings,
        owner: Owner,
        root_dir: Path,
        *,
        allow_hidden: bool,
        connection: Connection,
        bucket: Bucket,
        changes: Changes,
        changed: ConditionVariable,
    ) -> None:
        """Wire the parts; ``run`` starts them."""
        self.connection = connection
        self.bucket = bucket
        records = Records(bucket, owner.slug)
        index = Index()
        timing = Timing(
            finished_job_seconds=settings.finished_job_seconds,
            leftover_seconds=settings.leftover_seconds,
            resync_seconds=settings.resync_seconds,
            limits=Limits(
                max_evictions=settings.max_evictions,
                start_timeout=dt.timedelta(seconds=settings.start_timeout_seconds),
            ),
        )
        known = KnownRuns(index, changes, WorkQueue())
        self.cluster = ClusterView(
            connection,
            settings.namespace or connection.namespace,
            owner.slug,
            on_run_change=known.mark,
            on_queues=changes.queues_changed,
            changed=changed,
        )
        self._reconciler = Reconciler(
            connection,
            records,
            Summaries(bucket, owner.slug),
            OpenRuns(bucket, owner.slug),
            known,
            self.cluster,
            timing,
            changed,
        )
        self.environments = Environments(connection, self.cluster.namespace, settings)
        self.queues = Queues(connection, self.cluster)
        submission = Submission(
            settings=settings,
            owner=owner,
            root_dir=root_dir,
            allow_hidden=allow_hidden,
            connection=connection,
            cluster=self.cluster,
            records=records,
            environments=self.environments,
            queues=self.queues,
        )
        self.runs = Runs(
            connection=connection,
            cluster=self.cluster,
            records=records,
            index=index,
            reconciler=self._reconciler,
            submission=submission,
            outputs=Outputs(connection, self.cluster, records, index, changes),
            local_queues=self.queues,
            changes=changes,
            owner_name=owner.name,
            local_queue=settings.local_queue,
        )
        self._schedule_keeper = ScheduleKeeper(
            connection=connection,
            cluster=self.cluster,
            records=ScheduleRecords(bucket, owner.slug),
            run_records=records,
            index=index,
            reconciler=self._reconciler,
            submission=submission,
            changes=changes,
            timing=timing,
            changed=changed,
        )
        self.schedules = Schedules(
            owner=owner,
            cluster=self.cluster,
            keeper=self._schedule_keeper,
            submission=submission,
            reconciler=self._reconciler,
        )

    @classmethod
    async def open(
        cls,
        settings: Settings,
        owner: Owner,
        root_dir: Path,
        *,
        allow_hidden: bool,
        changes: Changes,
        changed: ConditionVariable,
    ) -> Self:
        """Open both; ``changed`` is notified when ``missing`` or ``is_loaded`` changes.

        Raises:
            NotConfiguredError: the settings of either are missing or unusable; the message names
                everything that is.
        """
        bucket, connection = await _open_both(settings)
        return cls(
            settings,
            owner,
            root_dir,
            allow_hidden=allow_hidden,
            connection=connection,
            bucket=bucket,
            changes=changes,
            changed=changed,
        )

    async def run(self) -> None:
        """Keep everything up to date until cancelled, or until an unexpected error."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cluster.run())
            group.create_task(self._reconciler.run())
            group.create_task(self._schedule_keeper.run())
            group.create_task(self.queues.watch_limits())
            group.create_task(pulse.feel_for_ever(self.connection, self.cluster))

    async def close(self) -> None:
        """Close what ``open`` opened."""
        await self.connection.close()

    @property
    def is_loaded(self) -> bool:
        """Whether all runs that the bucket listed at the start were read."""
        return self._reconciler.is_complete.is_set()

    @property
    def missing(self) -> errors.JupyterKueueError | None:
        """Why cluster or bucket does not answer now; None if both do."""
        return self.cluster.error or self._reconciler.problem

    @property
    def reading_problem(self) -> Sentence | None:
        """Why lists do not show everything in the bucket; None if they do."""
        if self._reconciler.problem is not None:
            return say(
                "not-all-runs-read",
                "Not all runs could be read: {message}",
                message=self._reconciler.problem.message,
            )
        if not self.is_loaded:
            return say("runs-being-read", "The runs are still being read from the bucket.")
        if unread := list(self._reconciler.unread):
            error = self._reconciler.unread.find(unread[0])
            return say(
                "records-of-runs-not-read",
                "The records of {count} runs cannot be read, for example {example}: {message}",
                "The record of {count} run cannot be read, {example}: {message}",
                count=len(unread),
                example=unread[0],
                message="" if error is None else error.message,
            )
        return None

    def unreadable(self) -> dict[str, Sentence]:
        """Return the objects of bucket and cluster that cannot be understood: name -> why."""
        return {
            **self._reconciler.unreadable(),
            **self.schedules.unreadable(),
            **self.cluster.unreadable(),
        }


async def _open_both(settings: Settings) -> tuple[Bucket, Connection]:
    """Open the bucket and connect to the cluster; an error names all that is missing."""
    problems = []
    bucket: Bucket | None = None
    connection: Connection | None = None
    try:
        bucket = _open_bucket(settings)
    except errors.NotConfiguredError as error:
        problems.append(error.message)
    try:
        connection = await _connect(settings)
    except errors.NotConfiguredError as error:
        problems.append(error.message)
    if bucket is None or connection is None:
        if connection is not None:
            await connection.close()
        raise errors.NotConfiguredError(functools.reduce(both, problems))
    return bucket, connection


async def _connect(settings: Settings) -> Connection:
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    named = settings.kubeconfig or os.environ.get("KUBECONFIG")
    if settings.in_cluster or (in_pod and not named):
        return await Connection.in_cluster()
    return await Connection.from_kubeconfig(settings.kubeconfig, settings.context)


def _open_bucket(settings: Settings) -> Bucket:
    if not settings.bucket:
        raise errors.NotConfiguredError(
            say(
                "no-bucket-configured",
                "No bucket is configured: set c.JupyterKueue.bucket or JUPYTER_KUEUE_BUCKET "
                'to its URL or credentials folder. On the local cluster: `eval "$(jupyter '
                'kueue local env)"`.',
            )
        )
    where: Path | str = settings.bucket if "://" in settings.bucket else Path(settings.bucket)
    return Bucket.open(
        where,
        {"timeout": f"{patience.BUCKET_ANSWER_SECONDS_IN_SERVER}s"},
        retries=patience.BUCKET_RETRIES_IN_SERVER,
        retry_seconds=patience.BUCKET_RETRY_SECONDS_IN_SERVER,
    )
