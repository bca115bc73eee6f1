"""10,000 finished and 1,000 queued runs: every kind of list, the start, and blocked requests."""

from __future__ import annotations

import asyncio
import statistics
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report
import seeding
from report import milliseconds
from servers import wait_until
from watching import watching

from jupyter_kueue.storage.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench import Bench
    from servers import OursBehindScheduler

Json = dict[str, Any]

FINISHED = 10_000
QUEUED = 1_000
ALL = FINISHED + QUEUED + 1  # and the one that uses the quota
PAGE = 100
MOST_SECONDS_OF_OURS = 0.020
MOST_SECONDS_BEHIND_SCHEDULER = 0.050
# In multiples of the time until Jupyter itself answers, so that the machine's speed does not
# decide.
MOST_STARTS_OF_JUPYTER = 2.5
MOST_SECONDS_OF_WAIT = 0.050
STARTS = "it starts"
RESYNC_SECONDS = 10
HOW = (
    f"{FINISHED:,} finished runs, written into the bucket as the service writes them, and "
    f"{QUEUED:,} real Runs that wait in a queue whose quota another run holds. Requests one after "
    "the other over one kept connection, the whole answer read and parsed; pages of 100 unless it "
    "says otherwise. `runs` are our own routes, `scheduler/jobs` those of jupyter-scheduler with "
    "our backend, whose answers pass through its pydantic models. The start is counted from that "
    "of the server's process. During the start, and while all of it is asked once more, another "
    "client asks for `/api` all the time: how long it waits tells how long the server's event loop "
    "is held up; while nothing else is asked, the "
    f"server looks through bucket and cluster every {RESYNC_SECONDS} s. By then Kueue has looked "
    "at each run that waits."
)


@dataclass(frozen=True)
class Start:
    """Seconds from the process's start until Jupyter answers, and until the list is complete."""

    answers: float
    complete: float


def measure(bench: Bench) -> report.Section:
    """Return the times, checked against the targets."""
    turns, starts = (15, 1) if bench.quick else (60, 3)
    bucket = Bucket.open(Path(bench.cluster["JUPYTER_KUEUE_BUCKET"]))
    ours = bench.ours_behind_scheduler("scale", JUPYTER_KUEUE_RESYNC_SECONDS=str(RESYNC_SECONDS))
    began = time.monotonic()
    asyncio.run(seeding.seed_ours(bucket, ours.owner, FINISHED))
    print(f"(scale: {FINISHED:,} finished after {time.monotonic() - began:.0f} s)", flush=True)
    try:
        with ours, seeding.full_queue(bench, ours, QUEUED):
            took = time.monotonic() - began
            print(f"(scale: {QUEUED:,} queued after {took:.0f} s)", flush=True)
            try:
                return _measure(ours, turns, starts)
            finally:
                if not bench.is_own_cluster:
                    ours.delete_all("queued")
                    ours.delete_all("running")
    finally:
        if not bench.is_own_cluster:
            asyncio.run(seeding.unseed(bucket, ours.owner))


def _measure(ours: OursBehindScheduler, turns: int, starts: int) -> report.Section:
    held_up: dict[str, list[float]] = {}
    started = []
    while len(started) < starts:
        ours.stop()
        with watching(ours) as watch:
            began = time.monotonic()
            ours.start()
            start = _complete(ours)
            ended = time.monotonic()
        answers = watch.between(began, ended)
        held_up.setdefault(STARTS, []).extend(answers)
        first = min(item.began + item.seconds for item in watch.answers if item.began >= began)
        started.append(Start(first - began, start))
    # Measured without other requests; blocking is measured separately.
    times, _ = _ask_all(ours, turns)
    with watching(ours) as watch:
        _, spans = _ask_all(ours, turns=8)
        idle = time.monotonic()
        time.sleep(2.5 * RESYNC_SECONDS)
        after = time.monotonic()
    for what, (begin, end) in spans.items():
        held_up[what] = watch.between(begin, end)
    held_up["nothing is asked"] = watch.between(idle, after)
    return _section(times, started, held_up, turns)


def _complete(ours: OursBehindScheduler) -> float:
    """Wait until the list is complete; return how long after the process's start it was."""
    wait_until(
        "the list is complete",
        lambda: ours.call("GET", f"{ours.jobs_path}?limit=0")["total"] == ALL,
    )
    return time.time() - ours.process.create_time()


def _ask_all(
    ours: OursBehindScheduler, turns: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, tuple[float, float]]]:
    """Return the times by route and request, and when each route was requested."""
    times: dict[str, dict[str, list[float]]] = {}
    spans = {}
    for route, requests in (
        ("runs", _requests_of_ours(ours)),
        ("scheduler/jobs", _requests_of_scheduler(ours)),
    ):
        began = time.monotonic()
        times[route] = {what: [] for what in requests}
        for turn in range(turns + 1):
            for what, path in requests.items():
                started = time.perf_counter()
                ours.call("GET", path)
                if turn:
                    times[route][what].append(time.perf_counter() - started)
        spans[f"`{route}` are listed"] = (began, time.monotonic())
    return times, spans


def _requests_of_ours(ours: OursBehindScheduler) -> dict[str, str]:
    cursors = []
    page: Json = {"next_cursor": ""}
    while page["next_cursor"] is not None:
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else ""
        cursors.append(cursor)
        page = ours.call("GET", f"{ours.jobs_path}?limit=500{cursor}")
    asked = {
        "first page": f"limit={PAGE}",
        "page in the middle": f"limit={PAGE}{cursors[len(cursors) // 2]}",
        "last page": f"limit={PAGE}{cursors[-1]}",
        "25 rows": "limit=25",
        "count alone": "limit=0",
        "queued": f"limit={PAGE}&state=queued",
        "failed or stopped": f"limit={PAGE}&state=failed&state=stopped",
        "one queue": f"limit={PAGE}&local_queue=team-a",
        "text": f"limit={PAGE}&text=finance",
        "count of a text": "limit=0&text=REPORT%2077",
    }
    for field in ("created_at", "name", "state", "local_queue", "finished_at"):
        asked[f"by {field}"] = f"limit={PAGE}&sort={field}"
        asked[f"by {field}, downwards"] = f"limit={PAGE}&sort=-{field}"
    return {what: f"{ours.jobs_path}?{query}" for what, query in asked.items()}


def _requests_of_scheduler(ours: OursBehindScheduler) -> dict[str, str]:
    tokens = []
    page: Json = {"next_token": ""}
    while "next_token" in page:
        token = f"&next_token={page['next_token']}" if page["next_token"] else ""
        tokens.append(token)
        page = ours.call("GET", f"scheduler/jobs?max_items=500{token}")
    hour_ago = round((time.time() - 3600) * 1000)
    asked = {
        "first page": f"max_items={PAGE}",
        "page in the middle": f"max_items={PAGE}{tokens[len(tokens) // 2]}",
        "last page": f"max_items={PAGE}{tokens[-1]}",
        "25 rows": "max_items=25",
        "count alone": "max_items=0",
        "queued": f"max_items={PAGE}&status=QUEUED",
        "failed": f"max_items={PAGE}&status=FAILED",
        "name": f"max_items={PAGE}&name=report%2077",
        "tag": f"max_items={PAGE}&tags=finance",
        "start time": f"max_items={PAGE}&start_time={hour_ago}",
    }
    for field in ("name", "input_filename", "create_time", "start_time", "end_time", "status"):
        for direction in ("asc", "desc"):
            sort = urllib.parse.quote(f"{direction}({field})")
            asked[f"by {field}, {direction}"] = f"max_items={PAGE}&sort_by={sort}"
    paths = {what: f"scheduler/jobs?{query}" for what, query in asked.items()}
    for status in ("QUEUED", "COMPLETED", "IN_PROGRESS"):
        paths[f"count of {status}"] = f"scheduler/jobs/count?status={status}"
    return paths


def _section(
    times: dict[str, dict[str, list[float]]],
    started: Sequence[Start],
    held_up: dict[str, list[float]],
    turns: int,
) -> report.Section:
    lists = [
        report.Table(
            (f"`{route}`", "median", "p95", "most"),
            [
                (
                    what,
                    milliseconds(statistics.median(taken)),
                    milliseconds(report.percentile(taken, 95)),
                    milliseconds(max(taken)),
                )
                for what, taken in of_route.items()
            ],
        )
        for route, of_route in times.items()
    ]
    start = report.Table(
        ("start", "Jupyter answers", "list complete"),
        [
            (f"number {number}", f"{item.answers:.1f} s", f"{item.complete:.1f} s")
            for number, item in enumerate(started, 1)
        ],
    )
    waits = report.Table(
        ("`/api` while", "median", "p95", "most"),
        [
            (
                what,
                milliseconds(statistics.median(taken)),
                milliseconds(report.percentile(taken, 95)),
                milliseconds(max(taken)),
            )
            for what, taken in held_up.items()
        ],
    )
    slowest_start = max(item.complete / item.answers for item in started)
    return report.Section(
        f"{FINISHED:,} finished and {QUEUED:,} queued runs",
        f"{HOW} {turns} requests each.",
        [*lists, start, waits],
        [
            _check_lists("runs", times["runs"], MOST_SECONDS_OF_OURS),
            _check_lists("scheduler/jobs", times["scheduler/jobs"], MOST_SECONDS_BEHIND_SCHEDULER),
            report.Check(
                f"the list is complete within {MOST_STARTS_OF_JUPYTER} times what Jupyter takes to "
                f"answer ({slowest_start:.1f})",
                slowest_start < MOST_STARTS_OF_JUPYTER,
            ),
            _check_waits({what: taken for what, taken in held_up.items() if what != STARTS}),
        ],
    )


def _check_waits(held_up: dict[str, list[float]]) -> report.Check:
    p95 = max(report.percentile(taken, 95) for taken in held_up.values())
    most = milliseconds(MOST_SECONDS_OF_WAIT)
    return report.Check(
        f"no list holds others up: `/api` answers in under {most} at p95 meanwhile "
        f"({milliseconds(p95)})",
        p95 < MOST_SECONDS_OF_WAIT,
    )


def _check_lists(route: str, times: dict[str, list[float]], most: float) -> report.Check:
    p95 = {what: report.percentile(taken, 95) for what, taken in times.items()}
    slowest = max(p95, key=lambda what: p95[what])
    return report.Check(
        f"every list and count of `{route}` answers in under {milliseconds(most)} at p95 (the "
        f"slowest, {slowest}: {milliseconds(p95[slowest])})",
        p95[slowest] < most,
    )
