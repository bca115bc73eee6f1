"""Ten one-cell notebooks submitted at once: how long until all have begun, and all have ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import report
from bench import ONE_CELL
from servers import BEGUN, FINISHED, SUCCEEDED

if TYPE_CHECKING:
    from bench import Bench
    from servers import Server

JOBS = 10
HOW = (
    f"{JOBS} notebooks of one cell, submitted one right after the other, with quota for all. From "
    "the first request; the run list is asked ten times a second."
)


def measure(bench: Bench) -> report.Section:
    """Return the times of both servers, one after the other."""
    with bench.cleaned(bench.ours("ten")) as ours, bench.stock("ten") as stock:
        times = {server.name: _run(server) for server in (ours, stock)}
    rows = []
    points = ("all submitted", "all begun", "all finished")
    for what, mine, theirs in zip(points, times["ours"], times["stock"], strict=True):
        rows.append((what, f"{mine:.1f} s", f"{theirs:.1f} s", report.ratio(mine, theirs)))
    return report.Section(
        "Ten at once", HOW, [report.Table(("until", "ours", "stock", "ours is"), rows)]
    )


def _run(server: Server) -> tuple[float, float, float]:
    server.finish(ONE_CELL)  # imports at the first run do not count
    started = time.monotonic()
    runs = [server.submit(ONE_CELL) for _ in range(JOBS)]
    submitted = time.monotonic() - started
    server.wait_for(runs, BEGUN)
    begun = time.monotonic() - started
    server.wait_for(runs, FINISHED)
    finished = time.monotonic() - started
    states = server.states()
    failed = [run for run in runs if states[run] != SUCCEEDED]
    if failed:
        raise RuntimeError(f"{server.name}: {len(failed)} of {JOBS} failed: {failed[0]}")
    return submitted, begun, finished
