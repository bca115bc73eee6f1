"""The runner's three programs as real processes, with folders for a pod's volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runner.pod import Job
from tests.support.object_store import Seaweed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """Give one object store for all tests that leave it as they found it."""
    store = Seaweed(tmp_path_factory.mktemp("seaweed"))
    store.start()
    yield store
    store.kill()


@pytest.fixture
def new_run(seaweed: Seaweed, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Give a function that puts a run's record and inputs into the bucket."""
    runs: list[Job] = []

    def new(*cells: object, **settings: object) -> Job:
        run = Job(seaweed, tmp_path, *cells, **settings)  # type: ignore[arg-type]
        runs.append(run)
        return run

    yield new
    for run in runs:
        run.end()
