"""Pytest plugin: a test without a marker is pure, so it starts no program and needs no cluster.

Markers say what a test needs beyond this process: ``programs``, ``integration``, ``browser``.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MARKERS = ("programs", "integration", "browser")
# What a process does to start another one ("Audit events table" in Python's documentation).
STARTS = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")

# Fixtures that start a program: the object store, and a server without a cluster.
OF_PROGRAMS = {"seaweed", "unconnected"}

# Everything in such a file has the marker.
WHOLE_FILE = re.compile(rf"^pytestmark = .*\bmark\.({'|'.join(MARKERS)})\b", re.MULTILINE)

_pure: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--pure``."""
    parser.addoption("--pure", action="store_true", help="run the pure tests alone")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that are marked as a whole: to import them takes longer than the tests."""
    if not config.getoption("pure") or collection_path.suffix != ".py":
        return None
    return WHOLE_FILE.search(collection_path.read_text()) is not None or None


def is_pure(item: pytest.Item) -> bool:
    """Return whether a test has none of the markers."""
    return not any(item.get_closest_marker(name) for name in MARKERS)


def _refuse_programs(event: str, arguments: Sequence[Any]) -> None:
    if _pure and event in STARTS:
        raise AssertionError(
            f"{_pure[-1]} starts a program ({event} {arguments[0]!r}), and no marker says so: "
            "see docs/development.md, Tests."
        )


# A hook cannot be taken away: it looks at one list, which is empty outside of pure tests.
sys.addaudithook(_refuse_programs)


# Before pytest selects by marker.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what the fixtures decide, and refuse a test of the cluster that is not marked so."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "local_cluster" in fixtures and item.get_closest_marker("integration") is None:
            raise pytest.UsageError(f"{item.nodeid} uses the cluster: mark it integration")
        if fixtures & OF_PROGRAMS:
            item.add_marker("programs")
    if config.getoption("pure"):
        config.hook.pytest_deselected(items=[item for item in items if not is_pure(item)])
        items[:] = [item for item in items if is_pure(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Refuse programs while a pure test and its fixtures run."""
    if not is_pure(item):
        return (yield)
    _pure.append(item.nodeid)
    try:
        return (yield)
    finally:
        _pure.pop()
