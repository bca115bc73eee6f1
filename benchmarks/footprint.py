"""What runs cost the server: memory, processes and threads with 0, 10 and 100 unfinished runs."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import report
from bench import ONE_CELL, write_held_notebook
from servers import BEGUN, FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench import Bench
    from servers import Server

RUNNING = 10
IN_ALL = 100
MOST_BYTES_PER_JOB = 50_000
# The size of Python's default thread pool, which fills up with use of any kind.
POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
# More than any queue has, so that these runs wait.
TOO_MANY_GPUS = {"cpu": "100m", "memory": "512Mi", "gpus": 1000}
HELD = "held.ipynb"
SAMPLES = 5
HOW = (
    "The server's process with all below it, after ten warm-up runs of ours and one of stock's. "
    "The runs of ours live in the cluster, so its server has no process below it; stock's "
    f"executors and kernels are below its server. Ours with {IN_ALL} runs: {RUNNING} run and "
    f"{IN_ALL - RUNNING} wait for quota. USS is the memory that only these processes use."
)


@dataclass(frozen=True)
class Footprint:
    """A server's process tree: memory in bytes, and counts."""

    rss: int
    uss: int
    processes: int
    threads: int


def measure(bench: Bench) -> report.Section:
    """Return the footprints and check that a run of ours costs the server almost nothing."""
    ours = _measure_ours(bench)
    print(f"(footprint: ours done, {ours})", flush=True)
    stock = _measure_stock(bench)
    rows = [
        *(_row(f"ours, {runs} runs", runs, footprint, ours[0]) for runs, footprint in ours.items()),
        *(
            _row(f"stock, {runs} runs", runs, footprint, stock[0])
            for runs, footprint in stock.items()
        ),
    ]
    none, most = ours[0], ours[IN_ALL]
    per_job = max((most.uss - none.uss) / IN_ALL, 0)
    processes = max(footprint.processes for footprint in ours.values()) - none.processes
    threads = max(footprint.threads for footprint in ours.values()) - none.threads
    return report.Section(
        "Memory, processes and threads of the server",
        HOW,
        [
            report.Table(
                ("", "RSS", "USS", "processes", "threads", "USS per run"),
                rows,
            )
        ],
        [
            report.Check(f"no process of our server's for a run ({processes})", processes <= 0),
            report.Check(
                f"no thread of our server's for a run ({threads} more with {IN_ALL} than with "
                f"none, all of its pool of at most {POOL_THREADS})",
                threads <= POOL_THREADS,
            ),
            report.Check(
                f"less than {MOST_BYTES_PER_JOB / 1000:.0f} KB of our server's memory for a run "
                f"({per_job / 1000:.0f} KB)",
                per_job < MOST_BYTES_PER_JOB,
            ),
        ],
    )


def _measure_ours(bench: Bench) -> dict[int, Footprint]:
    with bench.cleaned(bench.ours("footprint")) as server:
        warm_up = [server.submit(ONE_CELL) for _ in range(RUNNING)]
        server.wait_for(warm_up, FINISHED)
        found = {0: _look(server)}
        release = bench.folder / "release-ours"
        write_held_notebook(server.root / HELD, release)
        with _released(release):
            running = [server.submit(HELD) for _ in range(RUNNING)]
            server.wait_for(running, BEGUN)
            found[RUNNING] = _look(server)
            for _ in range(IN_ALL - RUNNING):
                server.submit(ONE_CELL, resources=TOO_MANY_GPUS)
            found[IN_ALL] = _look(server)
        server.wait_for(running, FINISHED)
        return found


def _measure_stock(bench: Bench) -> dict[int, Footprint]:
    with bench.stock("footprint") as server:
        server.finish(ONE_CELL)
        found = {0: _look(server)}
        release = bench.folder / "release-stock"
        write_held_notebook(server.root / HELD, release)
        with _released(release):
            running = [server.submit(HELD) for _ in range(RUNNING)]
            server.wait_for(running, BEGUN)
            found[RUNNING] = _look(server)
        # Do not wait for their end: occasionally one of stock's stays IN_PROGRESS forever. The
        # server's end stops them.
        return found


@contextlib.contextmanager
def _released(release: Path) -> Iterator[None]:
    """Let the held notebooks end, whatever happens in the context."""
    try:
        yield
    finally:
        release.touch()


def _look(server: Server) -> Footprint:
    """Return the minimum of a few samples: a request's short-lived needs are not the run's."""
    looks = []
    for _ in range(SAMPLES):
        server.states()
        time.sleep(0.5)
        looks.append(_measure_tree(server.tree()))
    return min(looks, key=lambda footprint: footprint.uss)


def _measure_tree(tree: list[psutil.Process]) -> Footprint:
    rss = uss = processes = threads = 0
    for process in tree:
        # A child may be ending; a zombie has no memory and does not count.
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = process.memory_full_info()
            threads += process.num_threads()
            rss += memory.rss
            uss += memory.uss
            processes += 1
    return Footprint(rss, uss, processes, threads)


def _row(what: str, runs: int, footprint: Footprint, idle: Footprint) -> tuple[str, ...]:
    per_job = f"{(footprint.uss - idle.uss) / runs / 1000:,.0f} KB" if runs else ""
    return (
        what,
        f"{footprint.rss / 2**20:,.0f} MiB",
        f"{footprint.uss / 2**20:,.0f} MiB",
        str(footprint.processes),
        str(footprint.threads),
        per_job,
    )
