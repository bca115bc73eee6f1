"""From create to finished for a one-cell notebook: ours, stock and bare nbclient, in turns."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report
from bench import ONE_CELL

from jupyter_kueue.domain import names
from jupyter_kueue.domain.times import parse_time
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.run_records import Records

if TYPE_CHECKING:
    from bench import Bench
    from servers import Ours

HOW = (
    "A notebook of one cell, `print(1)`, output as ipynb. From the request until the server says "
    "that it has ended, asked ten times a second; for nbclient, a fresh process that loads, "
    "executes and saves it. Lean nbclient is the same without two modules that nbformat's imports "
    "load where they are installed and no notebook needs (`rfc3987_syntax`, `isoduration`): what "
    "bare nbclient takes in an environment without them. One uncounted round, then by turns; "
    "median (least to most)."
)
MOST_OF_STOCK = 1 / 3
MOST_OF_NBCLIENT = 2.0
NBCLIENT = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook).execute()
nbformat.write(notebook, sys.argv[2])
"""
LEAN_NBCLIENT = (
    "import sys; sys.modules['rfc3987_syntax'] = sys.modules['isoduration'] = None" + NBCLIENT
)


@dataclass(frozen=True)
class Phases:
    """The seconds of one run of ours by phase, in order; their sum is the whole time."""

    submit: float
    until_stage_in: float
    stage_in: float
    execute: float
    commit: float
    until_seen: float


PHASES = {
    "submit": "request answered: inputs, records and Job written",
    "until_stage_in": "Kueue admits, scheduler binds, node starts the containers",
    "stage_in": "stage-in fetches the inputs while the kernel comes up",
    "execute": "the rest of the kernel's start, the cell, the kernel's end",
    "commit": "stage-out uploads and commits",
    "until_seen": "pod ends, server reads the result, client sees it",
}


def measure(bench: Bench) -> report.Section:
    """Return the times, the ratios, and the phases of ours."""
    rounds = 3 if bench.quick else 8
    with bench.cleaned(bench.ours("finish")) as ours, bench.stock("finish") as stock:
        records = Records(Bucket.open(Path(bench.cluster["JUPYTER_KUEUE_BUCKET"])), _slug(ours))
        took: dict[str, list[float]] = {"ours": [], "stock": [], "nbclient": [], "lean": []}
        phases: list[Phases] = []
        for turn in range(rounds + 1):
            wall = time.time()
            run_id, seconds = ours.finish(ONE_CELL)
            _, stock_seconds = stock.finish(ONE_CELL)
            bare_seconds = _run_nbclient(bench, NBCLIENT, ours.root / ONE_CELL)
            lean_seconds = _run_nbclient(bench, LEAN_NBCLIENT, ours.root / ONE_CELL)
            if turn == 0:
                continue
            took["ours"].append(seconds)
            took["stock"].append(stock_seconds)
            took["nbclient"].append(bare_seconds)
            took["lean"].append(lean_seconds)
            phases.append(_phases(ours, records, run_id, wall, seconds))
    return _section(took, phases)


def _section(took: dict[str, list[float]], phases: list[Phases]) -> report.Section:
    median = {who: statistics.median(values) for who, values in took.items()}
    of_stock = median["ours"] / median["stock"]
    of_bare = median["ours"] / median["nbclient"]
    of_lean = median["ours"] / median["lean"]
    table = report.Table(
        ("", "ours", "stock", "bare nbclient", "lean nbclient"),
        [
            ("create to finished", *(report.seconds(took[who]) for who in took)),
            ("ours is", "", *(f"{times:.2f} of it" for times in (of_stock, of_bare, of_lean))),
        ],
    )
    where = report.Table(
        ("where ours goes (medians)", "seconds"),
        [
            (text, f"{statistics.median(getattr(phase, field) for phase in phases):.2f}")
            for field, text in PHASES.items()
        ],
    )
    checks = [
        report.Check(
            f"ours takes less than a third of stock's time ({of_stock:.2f})",
            of_stock < MOST_OF_STOCK,
        ),
        report.Check(
            f"ours takes less than twice bare nbclient's time ({of_bare:.2f})",
            of_bare < MOST_OF_NBCLIENT,
        ),
    ]
    return report.Section(
        "One notebook, create to finished", f"{HOW} {len(phases)} rounds.", [table, where], checks
    )


def _slug(ours: Ours) -> str:
    return names.owner_slug(ours.owner)


def _run_nbclient(bench: Bench, program: str, notebook: Path) -> float:
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", program, str(notebook), str(bench.folder / "executed.ipynb")],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - started


def _phases(ours: Ours, records: Records, run_id: str, began: float, seconds: float) -> Phases:
    """Read the times that a run recorded; all clocks are this machine's."""
    facts = asyncio.run(records.load(run_id)).facts
    if facts is None or facts.result is None or not facts.attempts:
        raise RuntimeError(f"ours: {run_id} has no result to read")
    answered = ours.submitted[run_id]
    result: dict[str, Any] = facts.result
    staged = parse_time(facts.attempts[-1]["started_at"]).timestamp()
    executing = parse_time(result["started_at"]).timestamp()
    executed = parse_time(result["ended_at"]).timestamp()
    committed = parse_time(facts.attempts[-1]["ended_at"]).timestamp()
    marks = [began, answered, staged, executing, executed, committed, began + seconds]
    return Phases(*(after - before for before, after in itertools.pairwise(marks)))
