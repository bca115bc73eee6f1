"""The list of 1,000 and of 10,000 finished runs: ours, ours behind jupyter-scheduler, and stock."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report
import seeding
from report import milliseconds
from servers import wait_until

from jupyter_kueue.storage.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench import Bench
    from servers import Ours, Server, Stock

Json = dict[str, Any]

COUNTS = (1_000, 10_000)
PAGE = 100
# Stock's default number of list entries.
MANY = 1_000
FIRST_PAGE, ALL = "page of 100", "1,000 at once"
HOW = (
    "Finished runs, written as each would have left them: ours as record.json, final.json and "
    "index in the bucket, stock as rows of its database. Requests by turns over one kept "
    "connection, the whole answer read and parsed. Ours is asked through its own routes (1,000 at "
    "once are two pages of 500) and, behind jupyter-scheduler, through the ones that stock has."
)


def measure(bench: Bench) -> report.Section:
    """Return the times of all three, for each number of runs."""
    turns = 15 if bench.quick else 60
    counts = COUNTS[:1] if bench.quick else COUNTS
    tables, checks, starts = [], [], []
    for count in counts:
        times, start = _measure(bench, count, turns)
        starts.append((f"{count:,} runs", *start))
        tables.append(_table(count, times))
        checks += _checks(count, times)
    tables.append(report.Table(("ours", "start to first answer", "list complete"), starts))
    shown = " and ".join(f"{count:,}" for count in counts)
    return report.Section(
        f"List of {shown} finished runs",
        f"{HOW} {turns} requests each; median, p95.",
        tables,
        checks,
    )


def _measure(
    bench: Bench, count: int, turns: int
) -> tuple[dict[str, dict[str, list[float]]], tuple[str, str]]:
    """Return the times by request and server, and how long ours took to start."""
    bucket = Bucket.open(Path(bench.cluster["JUPYTER_KUEUE_BUCKET"]))
    ours = bench.ours_behind_scheduler(f"list-{count}")
    stock = bench.stock(f"list-{count}")
    began = time.monotonic()
    seeding.seed_stock(stock, count)
    asyncio.run(seeding.seed_ours(bucket, ours.owner, count))
    print(f"(listing: {count:,} seeded in {time.monotonic() - began:.0f} s)", flush=True)
    try:
        with contextlib.ExitStack() as servers:
            servers.enter_context(ours)
            start = _complete(ours, count)
            servers.enter_context(stock)
            return _ask(ours, stock, count, turns), start
    finally:
        if not bench.is_own_cluster:
            asyncio.run(seeding.unseed(bucket, ours.owner))


def _ask(ours: Ours, stock: Stock, count: int, turns: int) -> dict[str, dict[str, list[float]]]:
    middle = _middle_of_ours(ours, count)
    behind = _middle_of_scheduler(ours, count)
    offset = _middle_of_scheduler(stock, count)
    asked: dict[str, dict[str, Callable[[], int]]] = {
        FIRST_PAGE: {
            "ours": lambda: _page_of_ours(ours, ""),
            "ours behind": lambda: _page_of_scheduler(ours, ""),
            "stock": lambda: _page_of_scheduler(stock, ""),
        },
        "page in the middle": {
            "ours": lambda: _page_of_ours(ours, middle),
            "ours behind": lambda: _page_of_scheduler(ours, behind),
            "stock": lambda: _page_of_scheduler(stock, offset),
        },
        "the same by name": {
            "ours": lambda: _page_of_ours(ours, "&sort=name"),
            "ours behind": lambda: _page_of_scheduler(ours, "&sort_by=name"),
            "stock": lambda: _page_of_scheduler(stock, "&sort_by=name"),
        },
        ALL: {
            "ours": lambda: _many_of_ours(ours),
            "ours behind": lambda: _many_of_scheduler(ours),
            "stock": lambda: _many_of_scheduler(stock),
        },
    }
    times: dict[str, dict[str, list[float]]] = {
        what: {who: [] for who in asking} for what, asking in asked.items()
    }
    for turn in range(turns + 1):
        for what, asking in asked.items():
            for who, ask in asking.items():
                started = time.perf_counter()
                found = ask()
                seconds = time.perf_counter() - started
                expected = MANY if what == ALL else PAGE
                if found != expected:
                    raise RuntimeError(f"{what} of {who} has {found} runs instead of {expected}")
                if turn:
                    times[what][who].append(seconds)
    return times


def _complete(ours: Ours, runs: int) -> tuple[str, str]:
    """Wait until the list is complete; return how long after the process's start it was, as text.

    The server has just been started; the start time comes from its process.
    """
    answered = time.time() - ours.process.create_time()
    wait_until(
        "the list is complete",
        lambda: ours.call("GET", f"{ours.jobs_path}?limit=1")["total"] == runs,
    )
    complete = time.time() - ours.process.create_time()
    return f"{answered:.1f} s", f"{complete:.1f} s"


def _page_of_ours(ours: Ours, rest: str) -> int:
    return len(ours.call("GET", f"{ours.jobs_path}?limit={PAGE}{rest}")["items"])


def _page_of_scheduler(server: Server, rest: str) -> int:
    return len(server.call("GET", f"scheduler/jobs?max_items={PAGE}{rest}")["runs"])


def _many_of_ours(ours: Ours) -> int:
    first = ours.call("GET", f"{ours.jobs_path}?limit=500")
    second = ours.call("GET", f"{ours.jobs_path}?limit=500&cursor={first['next_cursor']}")
    return len(first["items"]) + len(second["items"])


def _many_of_scheduler(server: Server) -> int:
    return len(server.call("GET", f"scheduler/jobs?max_items={MANY}")["runs"])


def _middle_of_ours(ours: Ours, count: int) -> str:
    cursor = ""
    for _ in range(count // 2 // PAGE):
        page = ours.call("GET", f"{ours.jobs_path}?limit={PAGE}{cursor}")
        cursor = f"&cursor={page['next_cursor']}"
    return cursor


def _middle_of_scheduler(server: Server, count: int) -> str:
    page = server.call("GET", f"scheduler/jobs?max_items={count // 2}")
    return f"&next_token={page['next_token']}"


def _table(count: int, times: dict[str, dict[str, list[float]]]) -> report.Table:
    rows = []
    for what, of_servers in times.items():
        p95 = {who: report.percentile(taken, 95) for who, taken in of_servers.items()}
        rows.append(
            (
                what,
                *map(_shown, of_servers.values()),
                report.ratio(p95["ours"], p95["stock"]),
                report.ratio(p95["ours behind"], p95["stock"]),
            )
        )
    return report.Table(
        (
            f"{count:,} runs",
            "ours",
            "ours behind jupyter-scheduler",
            "stock",
            "ours is (p95)",
            "ours behind is (p95)",
        ),
        rows,
    )


def _checks(count: int, times: dict[str, dict[str, list[float]]]) -> list[report.Check]:
    p95 = {who: report.percentile(taken, 95) for who, taken in times[FIRST_PAGE].items()}
    return [
        report.Check(
            f"{count:,} runs: a page of ours is faster than stock's at p95, and so is one behind "
            f"jupyter-scheduler ({milliseconds(p95['ours'])} and "
            f"{milliseconds(p95['ours behind'])} against {milliseconds(p95['stock'])})",
            max(p95["ours"], p95["ours behind"]) < p95["stock"],
        )
    ]


def _shown(times: list[float]) -> str:
    return f"{milliseconds(statistics.median(times))}, {milliseconds(report.percentile(times, 95))}"
