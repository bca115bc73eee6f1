"""The list of many finished jobs: a page of 100, all of them, and a server's start with them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import statistics
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report
from jupyter_scheduler.orm import Job, create_session, create_tables
from servers import wait_until

from jupyter_kueue import contract, models, names
from jupyter_kueue.models import BucketFacts, JobRecord, Owner, Resources, Status
from jupyter_kueue.service import job_view
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.records import Records
from jupyter_kueue.storage.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench import Bench
    from servers import Ours, Stock

Json = dict[str, Any]

FINISHED = 1000
MANY = 10_000
PAGE = 100
WRITES_AT_ONCE = 32
HOW = (
    f"{FINISHED:,} finished jobs, written as each would have left them: ours as job.json, "
    "final.json and summaries in the bucket, stock as rows of its database. Requests by turns over "
    "one kept connection, the whole answer read and parsed. Pages of ours are `limit=100` and "
    "`limit=500`, those of stock `max_items`."
)


def measure(bench: Bench) -> report.Section:
    """Return the times of both, and ours with ten times as many jobs."""
    turns = 15 if bench.quick else 60
    bucket = Bucket.open(Path(bench.cluster["JUPYTER_KUEUE_BUCKET"]))
    ours, stock = bench.ours("list"), bench.stock("list")
    began = time.monotonic()
    _seed_stock(stock)
    asyncio.run(_seed_ours(bucket, ours.owner, FINISHED))
    print(f"(listing: seeded in {time.monotonic() - began:.0f} s)", flush=True)
    try:
        with contextlib.ExitStack() as servers:
            servers.enter_context(ours)
            start = _complete(ours, FINISHED)
            servers.enter_context(stock)
            asked: dict[str, tuple[Callable[[], int], int]] = {
                "ours-page": (lambda: _page_of_ours(ours, PAGE), PAGE),
                "stock-page": (lambda: _page_of_stock(stock, PAGE), PAGE),
                "ours-all": (lambda: _all_of_ours(ours), FINISHED),
                "stock-all": (lambda: _page_of_stock(stock, FINISHED), FINISHED),
            }
            times: dict[str, list[float]] = {what: [] for what in asked}
            for turn in range(turns + 1):
                for what, (ask, expected) in asked.items():
                    seconds = _time(ask, expected)
                    if turn:
                        times[what].append(seconds)
    finally:
        asyncio.run(_unseed(bucket, ours.owner))
    rows = [_row("page of 100", times["ours-page"], times["stock-page"])]
    rows.append(_row(f"all {FINISHED:,}", times["ours-all"], times["stock-all"]))
    more = [(f"{FINISHED:,} jobs", *start, _shown(times["ours-page"]))]
    if not bench.quick:
        more.append(_measure_many(bench, bucket, turns))
    mine = report.percentile(times["ours-page"], 95)
    theirs = report.percentile(times["stock-page"], 95)
    return report.Section(
        f"List of {FINISHED:,} finished jobs",
        f"{HOW} {turns} requests each; median, p95.",
        [
            report.Table(("", "ours", "stock", "ours is (p95)"), rows),
            report.Table(("ours", "start to first answer", "list complete", "page of 100"), more),
        ],
        [
            report.Check(
                f"a page of ours is faster than stock's at p95 ({_ms(mine)} against {_ms(theirs)})",
                mine < theirs,
            )
        ],
    )


def _measure_many(bench: Bench, bucket: Bucket, turns: int) -> tuple[str, ...]:
    ours = bench.ours("list-many")
    asyncio.run(_seed_ours(bucket, ours.owner, MANY))
    try:
        with ours:
            start = _complete(ours, MANY)
            times = [_time(lambda: _page_of_ours(ours, PAGE), PAGE) for _ in range(turns)]
    finally:
        asyncio.run(_unseed(bucket, ours.owner))
    return (f"{MANY:,} jobs", *start, _shown(times))


def _complete(ours: Ours, jobs: int) -> tuple[str, str]:
    """Wait until the list holds all; return how long after the process's start it did, as text.

    The server was started just now; its process says when.
    """
    answered = time.time() - ours.process.create_time()
    wait_until(
        "the list is complete",
        lambda: ours.call("GET", f"{ours.jobs_path}?limit=1")["total"] == jobs,
    )
    complete = time.time() - ours.process.create_time()
    return f"{answered:.1f} s", f"{complete:.1f} s"


def _time(ask: Callable[[], int], expected: int) -> float:
    started = time.perf_counter()
    found = ask()
    seconds = time.perf_counter() - started
    if found != expected:
        raise RuntimeError(f"A list has {found} jobs instead of {expected}")
    return seconds


def _page_of_ours(ours: Ours, limit: int) -> int:
    return len(ours.call("GET", f"{ours.jobs_path}?limit={limit}")["items"])


def _all_of_ours(ours: Ours) -> int:
    found, cursor = 0, ""
    while True:
        page = ours.call("GET", f"{ours.jobs_path}?limit=500{cursor}")
        found += len(page["items"])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def _page_of_stock(stock: Stock, limit: int) -> int:
    return len(stock.call("GET", f"{stock.jobs_path}?max_items={limit}")["jobs"])


async def _seed_ours(bucket: Bucket, owner_name: str, count: int) -> None:
    """Write finished jobs as submission, runner and reconciler would have."""
    owner = Owner.of(owner_name)
    records, summaries = Records(bucket, owner.slug), Summaries(bucket, owner.slug)
    limit = asyncio.Semaphore(WRITES_AT_ONCE)
    first = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=count)

    async def seed(number: int) -> Json:
        created = first + dt.timedelta(minutes=number)
        record = JobRecord(
            job_id=str(uuid.uuid4()),
            name=f"report {number}",
            owner=owner,
            namespace="default",
            created_at=models.rfc3339(created),
            request=models.JobRequest(input_path="one-cell.ipynb").as_json(),
            local_queue="team-a",
            resources=Resources(),
            image="jupyter-kueue/local:latest",
            notebook="one-cell.ipynb",
            input=({"path": "one-cell.ipynb", "size_bytes": 500, "sha256": "0" * 64},),
        )
        final = models.json_of(
            Status(
                "succeeded",
                admitted_at=models.rfc3339(created + dt.timedelta(seconds=1)),
                started_at=models.rfc3339(created + dt.timedelta(seconds=2)),
                finished_at=models.rfc3339(created + dt.timedelta(seconds=30)),
            )
        )
        async with limit:
            await records.write_record(record)
            await records.write(record.job_id, contract.FINAL_KEY, final)
        return job_view.build_row(BucketFacts(record, final=final), Status(**final))

    await summaries.store(await asyncio.gather(*(seed(number) for number in range(count))))


async def _unseed(bucket: Bucket, owner: str) -> None:
    await bucket.delete_prefix(f"{names.owner_slug(owner)}/")


def _seed_stock(stock: Stock) -> None:
    """Write finished jobs as stock's scheduler and executor would have."""
    create_tables(stock.database)
    now = int(time.time() * 1000)
    with create_session(stock.database)() as session:
        session.add_all(
            Job(
                job_id=str(uuid.uuid4()),
                name=f"report {number}",
                input_filename="one-cell.ipynb",
                runtime_environment_name="default",
                output_formats=["ipynb"],
                output_filename_template="{{input_filename}}-{{create_time}}",
                parameters={},
                tags=[],
                status="COMPLETED",
                create_time=now - (FINISHED - number) * 60_000,
                start_time=now - (FINISHED - number) * 60_000 + 2_000,
                end_time=now - (FINISHED - number) * 60_000 + 30_000,
            )
            for number in range(FINISHED)
        )
        session.commit()


def _row(what: str, mine: list[float], theirs: list[float]) -> tuple[str, ...]:
    ratio = report.ratio(report.percentile(mine, 95), report.percentile(theirs, 95))
    return (what, _shown(mine), _shown(theirs), ratio)


def _shown(times: list[float]) -> str:
    return f"{_ms(statistics.median(times))}, {_ms(report.percentile(times, 95))}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
