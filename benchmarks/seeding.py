"""Many runs at once: finished ones with all they would leave, and ones that wait for quota.

Finished runs of ours are written to the bucket by the service's own code; those of stock are rows
of its database. Waiting runs are submitted as usual. Measures nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ONE_CELL, write_held_notebook
from jupyter_scheduler.orm import Job, create_session, create_tables
from servers import RUNNING, SMALL, wait_until

from jupyter_kueue.cluster import resources
from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import json_documents, names, run_request, times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts, Status
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources
from jupyter_kueue.service.runs import run_view
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.summaries import Summaries
from jupyter_kueue_local.node.gpu_devices import GPU_RESOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench import Bench
    from servers import Ours, Stock

    from jupyter_kueue.storage.bucket import Bucket

Json = dict[str, Any]

HELD = "held.ipynb"
_WRITES_AT_ONCE = 32
_LOOK_SECONDS = 2
_SCHEDULER_STATUS = {"succeeded": "COMPLETED", "failed": "FAILED", "stopped": "STOPPED"}


@dataclass(frozen=True)
class FinishedJob:
    """A finished run, the same for ours and stock; one per minute until now."""

    number: int
    created: dt.datetime

    @property
    def name(self) -> str:
        return f"report {self.number}"

    @property
    def notebook(self) -> str:
        return f"notebook-{self.number % 97}.ipynb"

    @property
    def tags(self) -> list[str]:
        return ["finance"] if self.number % 10 == 0 else []

    @property
    def state(self) -> str:
        """One in ten failed, one in a hundred was stopped."""
        if self.number % 10 == 7:
            return "failed"
        return "stopped" if self.number % 100 == 3 else "succeeded"

    def after(self, seconds: float) -> dt.datetime:
        return self.created + dt.timedelta(seconds=seconds)


def finished_runs(count: int) -> list[FinishedJob]:
    """Return that many, oldest first."""
    first = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=count + 1)
    return [FinishedJob(number, first + dt.timedelta(minutes=number)) for number in range(count)]


async def seed_ours(bucket: Bucket, owner_name: str, count: int) -> None:
    """Write finished runs as submission, runner and reconciler do."""
    owner = Owner.of(owner_name)
    records, summaries = Records(bucket, owner.slug), Summaries(bucket, owner.slug)
    at_once = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def seed(run: FinishedJob) -> Json:
        record = _record(run, owner)
        final = json_documents.json_of(
            Status(
                run.state,
                message=None if run.state == "succeeded" else "Cell 3 failed: ValueError: no",
                admitted_at=times.rfc3339(run.after(1)),
                started_at=times.rfc3339(run.after(2)),
                finished_at=times.rfc3339(run.after(30)),
            )
        )
        async with at_once:
            await records.write_record(record)
            await records.write(record.run_id, pod_contract.FINAL_KEY, final)
        return run_view.build_row(BucketFacts(record, final=final), Status(**final))

    await summaries.store(await asyncio.gather(*map(seed, finished_runs(count))))


async def unseed(bucket: Bucket, owner: str) -> None:
    """Remove everything of an owner from the bucket."""
    await bucket.delete_prefix(f"{names.owner_slug(owner)}/")


def seed_stock(stock: Stock, count: int) -> None:
    """Write finished runs as stock's scheduler and executor do."""
    create_tables(stock.database)
    with create_session(stock.database)() as session:
        session.add_all(
            Job(
                run_id=str(uuid.uuid4()),
                name=run.name,
                input_filename=run.notebook,
                runtime_environment_name="default",
                output_formats=["ipynb"],
                output_filename_template="{{input_filename}}-{{create_time}}",
                parameters={},
                tags=run.tags,
                status=_SCHEDULER_STATUS[run.state],
                create_time=_milliseconds(run.created),
                start_time=_milliseconds(run.after(2)),
                end_time=_milliseconds(run.after(30)),
            )
            for run in finished_runs(count)
        )
        session.commit()


@contextlib.contextmanager
def full_queue(bench: Bench, ours: Ours, queued: int) -> Iterator[list[str]]:
    """Have one run use all GPUs while ``queued`` others wait for one; yield the ids of all.

    By then Kueue has processed each of them, which takes longer than the submits: later
    measurements do not compete with it for this machine.
    """
    queues = ours.call("GET", "jupyter-kueue/local-queues")["items"]
    gpus = next(item for item in queues if item["name"] == "team-a")["resources"][GPU_RESOURCE]
    release = bench.folder / f"release-{ours.owner}"
    write_held_notebook(ours.root / HELD, release)
    try:
        holder = ours.submit(HELD, resources={**SMALL, "gpus": gpus["limit"]})
        ours.wait_for([holder], frozenset({RUNNING}))
        waiting = ours.submit_many(ONE_CELL, queued, resources={**SMALL, "gpus": 1})
        wait_until(
            f"Kueue has looked at {queued} runs",
            lambda: asyncio.run(_count_looked_at(bench)) >= queued,
            pause=_LOOK_SECONDS,
        )
        yield [holder, *waiting]
    finally:
        release.touch()


async def _count_looked_at(bench: Bench) -> int:
    """Return how many Workloads have a condition from Kueue."""
    kubeconfig = Path(bench.cluster["KUBECONFIG"])
    connection = await Connection.from_kubeconfig(kubeconfig, None)
    try:
        path = resources.workloads(connection.namespace)
        listed = await connection.list(path, trim=lambda item: item.get("status") or {})
    finally:
        await connection.close()
    return sum(bool(status.get("conditions")) for status in listed["items"])


def _record(run: FinishedJob, owner: Owner) -> RunRecord:
    request = run_request.RunRequest(input_path=run.notebook, name=run.name, tags=tuple(run.tags))
    return RunRecord(
        run_id=str(uuid.uuid4()),
        name=run.name,
        owner=owner,
        namespace="default",
        created_at=times.rfc3339(run.created),
        request=request,
        local_queue="team-a",
        resources=Resources(),
        image="jupyter-kueue/local:latest",
        notebook=run.notebook,
        input=({"path": run.notebook, "size_bytes": 500, "sha256": "0" * 64},),
    )


def _milliseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
