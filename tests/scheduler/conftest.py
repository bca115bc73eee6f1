"""jupyter-scheduler's backend on the real cluster, in this process or in servers of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_scheduler.models import CreateJob

from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.scheduler import KueueEnvironmentManager, KueueScheduler
from tests.service.conftest import (  # noqa: F401 - fixtures
    eventually_fixture,
    open_application,
    open_session,
    root,
    session,
    write_notebook,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SMALL = {"queue": "team-a", "cpu": "100m", "memory": "512Mi"}


class Backend(KueueScheduler):
    """The scheduler, with what tests do again and again."""

    async def create(self, input_uri: str, **fields: Any) -> str:
        """Create a small job."""
        asked = {
            "name": "a job",
            "runtime_environment_name": "default",
            "runtime_environment_parameters": SMALL,
            "output_formats": ["ipynb"],
            **fields,
        }
        return await self.create_job(CreateJob(input_uri=input_uri, **asked))

    async def until_finished(self, job_id: str, eventually: Callable[..., Any]) -> Any:
        """Return the job once it has ended."""
        runs = await self.runs()
        await eventually(lambda: runs.row(job_id)["state"] in FINISHED_STATES)
        return await self.get_job(job_id)


@pytest.fixture
def open_backend(open_session: Callable[..., Any], root: Path) -> Callable[..., Any]:  # noqa: F811
    """Opens a scheduler as a server has it; settings as keywords."""

    @asynccontextmanager
    async def open_it(**settings: Any) -> AsyncIterator[Backend]:
        async with open_session(**settings) as opened:
            kueue = opened.application
            yield Backend(str(root), KueueEnvironmentManager(kueue), kueue=kueue, db_url="")

    return open_it


@pytest.fixture
async def backend(open_backend: Callable[..., Any]) -> AsyncIterator[Backend]:
    """A scheduler with the default settings."""
    async with open_backend() as opened:
        yield opened
