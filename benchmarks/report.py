"""Results of a benchmark run: tables, checks, the machine, as text and in docs/benchmarks.md.

Every measurement returns a ``Section``; ``run.py`` prints them and writes them. Measures nothing.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN = "<!-- measured: written by `make bench ARGS=--write` -->"
END = "<!-- end of what was measured -->"
PACKAGES = (
    "jupyter-kueue",
    "jupyter_scheduler",
    "jupyterlab",
    "jupyter_server",
    "nbclient",
    "ipykernel",
)


@dataclass(frozen=True)
class Check:
    """A target, and whether it was met. ``what`` contains both numbers."""

    what: str
    is_met: bool


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column is left-aligned, the others are numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_markdown(self) -> str:
        """Return the table with aligned columns, so that it is also readable as text."""
        lines = [list(self.header), *(list(row) for row in self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.header))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        shown = [
            " | ".join(
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in (lines[0], rule, *lines[1:])
        ]
        return "\n".join(f"| {line} |" for line in shown)


@dataclass(frozen=True)
class Section:
    """The result of one measurement."""

    title: str
    how: str
    tables: Sequence[Table]
    checks: Sequence[Check] = field(default_factory=tuple)

    def as_markdown(self) -> str:
        """Return the section as Markdown."""
        parts = [f"### {self.title}", self.how, *(table.as_markdown() for table in self.tables)]
        if self.checks:
            parts.append(
                "\n".join(
                    f"- {'met' if check.is_met else '**missed**'}: {check.what}"
                    for check in self.checks
                )
            )
        return "\n\n".join(parts)


def describe_machine(kueue: str, load_before: Sequence[float]) -> str:
    """Return a paragraph about the machine; ``kueue`` names the cluster's versions."""
    load = ", ".join(f"{value:.1f}" for value in load_before)
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC. {os.cpu_count()} cores ({_processor()}), "
        f"{memory:.0f} GiB of memory, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}. Load average before the run: {load}.\n\n"
        f"{versions}, {kueue}."
    )


def write(path: Path, measured: str) -> None:
    """Replace the marked part of the document by ``measured``."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the lines {BEGIN!r} and {END!r}: put them back")
    path.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}")


def seconds(values: Sequence[float]) -> str:
    """Format the median of some times, with minimum and maximum."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def milliseconds(seconds: float) -> str:
    """Format a short time."""
    return f"{seconds * 1000:.1f} ms"


def ratio(ours: float, other: float) -> str:
    """Format how many times smaller, or larger, ours is than the other."""
    if not ours or not other:
        return "-"
    return f"{other / ours:.1f} times less" if ours <= other else f"{ours / other:.1f} times more"


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that ``percent`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
