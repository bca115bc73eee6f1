"""Measure jupyter-kueue beside stock jupyter-scheduler: `make bench`.

Runs the measurements one after the other, prints them, checks the aims and exits 1 when one is
missed. Uses a local cluster of its own, or one that runs (--dir). Ends only what it started.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import changes_delay
import finish_one
import footprint
import killed_tree
import listing
import output_floods
import report
import scale
import schedule_firing
import ten_at_once
from bench import Bench, cluster_versions, started_cluster

if TYPE_CHECKING:
    from types import FrameType

MEASUREMENTS = {
    # First, because it needs no cluster: one that cleans up thousands of runs would disturb it.
    "output_floods": output_floods.measure,
    "finish_one": finish_one.measure,
    "ten_at_once": ten_at_once.measure,
    "footprint": footprint.measure,
    "listing": listing.measure,
    "scale": scale.measure,
    "schedule_firing": schedule_firing.measure,
    "killed_tree": killed_tree.measure,
    "changes_delay": changes_delay.measure,
}
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Run the chosen measurements and return the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    load = os.getloadavg()
    sections: list[report.Section] = []
    machine = ""
    with started_cluster(arguments.dir) as (folder, cluster, is_own):
        bench = Bench(folder, cluster, is_own, arguments.quick)
        with bench.ours("versions") as server:
            machine = report.describe_machine(cluster_versions(server), load)
        print(f"\n{machine}", flush=True)
        for name in arguments.only or MEASUREMENTS:
            began = time.monotonic()
            section = MEASUREMENTS[name](bench)
            sections.append(section)
            took = time.monotonic() - began
            print(f"\n{section.as_markdown()}\n\n({name}: {took:.0f} s)", flush=True)
    kind = "Quick run" if arguments.quick else "Full run"
    took = time.monotonic() - started
    print(f"\n{kind}, {took:.0f} s.")
    if arguments.write:
        heading = f"{kind}, {took:.0f} s. {machine}"
        report.write(
            DOCUMENT, "\n\n".join([heading, *(section.as_markdown() for section in sections)])
        )
        print(f"Written to {DOCUMENT}.")
    missed = [check.what for section in sections for check in section.checks if not check.is_met]
    for what in missed:
        print(f"MISSED: {what}", file=sys.stderr)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller numbers")
    parser.add_argument(
        "--only", nargs="+", choices=list(MEASUREMENTS), metavar="NAME",
        help=f"only these: {', '.join(MEASUREMENTS)}",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    parser.add_argument("--dir", metavar="FOLDER", help="use the local cluster that runs there")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write needs all measurements: leave --only out")
    return arguments


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # So that servers and cluster also end on SIGTERM.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
