"""Puts the parts of the service together once cluster and bucket are known.

A module of its own so that ``application`` can be imported without the slow clients behind it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue.domain.run_facts import Limits
from jupyter_kueue.service.cluster_state import ClusterView
from jupyter_kueue.service.environments import Environments
from jupyter_kueue.service.queues.local_queues import Queues
from jupyter_kueue.service.runs.outputs import Outputs
from jupyter_kueue.service.runs.reconciler import Reconciler, Timing
from jupyter_kueue.service.runs.run_index import Index
from jupyter_kueue.service.runs.runs import Runs
from jupyter_kueue.service.runs.submission import Submission
from jupyter_kueue.service.schedules.schedule_reconciler import ScheduleKeeper
from jupyter_kueue.service.schedules.schedules import Schedules
from jupyter_kueue.storage.open_runs import OpenRuns
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.schedule_records import ScheduleRecords
from jupyter_kueue.storage.summaries import Summaries

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.config import Settings
    from jupyter_kueue.domain.owner import Owner
    from jupyter_kueue.service.changes import Changes
    from jupyter_kueue.storage.bucket import Bucket


@dataclass(frozen=True)
class Assembled:
    """The parts, wired but not running."""

    cluster: ClusterView
    reconciler: Reconciler
    runs: Runs
    schedules: Schedules
    schedule_keeper: ScheduleKeeper
    queues: Queues
    environments: Environments


def assemble(
    settings: Settings,
    owner: Owner,
    root_dir: Path,
    allow_hidden: bool,
    connection: Connection,
    namespace: str,
    bucket: Bucket,
    changes: Changes,
) -> Assembled:
    """Return the parts of the service of one owner in one namespace."""
    records = Records(bucket, owner.slug)
    summaries = Summaries(bucket, owner.slug)
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
    open_runs = OpenRuns(bucket, owner.slug)
    reconciler = Reconciler(connection, records, summaries, open_runs, index, changes, timing)
    cluster = ClusterView(
        connection,
        namespace,
        owner.slug,
        on_run_change=reconciler.mark,
        on_queues=lambda: changes.publish_soon("local-queues"),
    )
    reconciler.attach(cluster)
    environments = Environments(connection, namespace, settings)
    queues = Queues(connection, cluster)
    submission = Submission(
        settings=settings,
        owner=owner,
        root_dir=root_dir,
        allow_hidden=allow_hidden,
        connection=connection,
        cluster=cluster,
        records=records,
        environments=environments,
        queues=queues,
    )
    outputs = Outputs(connection, cluster, records, index, changes)
    runs = Runs(
        connection=connection,
        cluster=cluster,
        records=records,
        index=index,
        reconciler=reconciler,
        submission=submission,
        outputs=outputs,
        local_queues=queues,
        changes=changes,
        owner_name=owner.name,
        local_queue=settings.local_queue,
    )
    keeper = ScheduleKeeper(
        connection=connection,
        cluster=cluster,
        records=ScheduleRecords(bucket, owner.slug),
        run_records=records,
        index=index,
        reconciler=reconciler,
        submission=submission,
        changes=changes,
        timing=timing,
    )
    schedules = Schedules(
        owner=owner,
        cluster=cluster,
        keeper=keeper,
        submission=submission,
        reconciler=reconciler,
    )
    return Assembled(cluster, reconciler, runs, schedules, keeper, queues, environments)
