"""Kill -9 of a server and its descendants with five running runs, and a new start."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

import report
from bench import write_held_notebook
from servers import BEGUN, FINISHED, LOOK_SECONDS, SUCCEEDED

if TYPE_CHECKING:
    from pathlib import Path

    from bench import Bench
    from servers import Server

JOBS = 5
ENDING_MEANWHILE = 2
WATCH_SECONDS = 20
HOW = (
    f"{JOBS} notebooks run, the server's whole process tree is killed with SIGKILL (a lost "
    f"machine, a culled pod), {ENDING_MEANWHILE} of the notebooks end while there is no server, "
    "the others after its new start. Stock's runs are part of that tree; what its server says of "
    f"them is watched for {WATCH_SECONDS} s after its start."
)


def measure(bench: Bench) -> report.Section:
    """Return what became of the runs."""
    ours, attempts = _kill_ours(bench)
    stock = _kill_stock(bench)
    lost = JOBS - ours["succeeded"]
    kinds = sorted({*ours, *stock})
    return report.Section(
        "The server's whole process tree is killed",
        HOW,
        [
            report.Table(
                ("afterwards", "ours", "stock"),
                [(kind, f"{ours[kind]} of {JOBS}", f"{stock[kind]} of {JOBS}") for kind in kinds],
            )
        ],
        [
            report.Check(f"{JOBS} of {JOBS} runs of ours end succeeded, none lost", lost == 0),
            report.Check(
                f"none of ours runs twice ({sum(ours.values())} runs, {attempts} attempts)",
                sum(ours.values()) == JOBS and attempts == JOBS,
            ),
        ],
    )


def _kill_ours(bench: Bench) -> tuple[collections.Counter[str], int]:
    with bench.cleaned(bench.ours("killed")) as server:
        runs = _start(bench, server)
        server.kill_tree()
        _release(bench, server, "meanwhile")
        server.start()
        _release(bench, server, "later")
        server.wait_for(runs, FINISHED)
        rows = server.call("GET", server.jobs_path)["items"]
        attempts = sum(
            len(server.call("GET", server.at(row["run_id"]))["attempts"]) for row in rows
        )
        return collections.Counter(row["state"] for row in rows), attempts


def _kill_stock(bench: Bench) -> collections.Counter[str]:
    with bench.stock("killed") as server:
        runs = _start(bench, server)
        server.kill_tree()
        _release(bench, server, "meanwhile")
        server.start()
        _release(bench, server, "later")
        until = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < until:
            states = server.states()
            if all(states.get(run) == SUCCEEDED for run in runs):
                break
            time.sleep(LOOK_SECONDS)
        found = server.call("GET", server.jobs_path)["runs"]
        return collections.Counter(run["status"] for run in found)


def _start(bench: Bench, server: Server) -> list[str]:
    for part in ("meanwhile", "later"):
        write_held_notebook(server.root / f"{part}.ipynb", _release_file(bench, server, part))
    parts = ["meanwhile"] * ENDING_MEANWHILE + ["later"] * (JOBS - ENDING_MEANWHILE)
    runs = [server.submit(f"{part}.ipynb") for part in parts]
    server.wait_for(runs, BEGUN)
    return runs


def _release(bench: Bench, server: Server, part: str) -> None:
    _release_file(bench, server, part).touch()


def _release_file(bench: Bench, server: Server, part: str) -> Path:
    return bench.folder / f"release-{server.name}-{part}"
