"""Downloads a run's files into the user's folder, ``<root_dir>/jobs/<notebook>-<job_id>/``.

Each file appears complete or not at all, and the requested documents come last, so a folder with
these documents is complete. Existing files are fetched again only on request.
"""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jupyter_scheduler.exceptions import SchedulerError

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.scheduler import job_models
from jupyter_kueue.scheduler.output_formats import NOTEBOOK
from jupyter_kueue.scheduler.scheduler_errors import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_kueue.domain.run_row import RunFile, RunRow
    from jupyter_kueue.scheduler.job_models import KueueJob
    from jupyter_kueue.scheduler.scheduler import KueueScheduler
    from jupyter_kueue.service.runs.outputs import FileId
    from jupyter_kueue.service.runs.runs import Runs

Json = dict[str, Any]


class Downloads:
    """Downloads of one server, one at a time for each run."""

    def __init__(self, scheduler: KueueScheduler) -> None:
        self._scheduler = scheduler
        self._running: dict[str, asyncio.Task[None]] = {}

    async def fetch(self, job_id: str, *, again: bool = False) -> None:
        """Download a finished run's files; ``again`` replaces existing ones.

        Raises:
            SchedulerError: with the reason, if not everything that was requested is there.
        """
        task = self._running.get(job_id)
        if task is None:
            task = asyncio.ensure_future(self._fetch(job_id, again=again))
            self._running[job_id] = task
            task.add_done_callback(lambda _: self._running.pop(job_id, None))
        # If one caller is cancelled, others still need the download.
        await asyncio.shield(task)

    async def _fetch(self, job_id: str, *, again: bool) -> None:
        with told():
            runs = await self._scheduler.runs()
            row = runs.row(job_id)
            if row["state"] not in FINISHED_STATES:
                raise SchedulerError(
                    f"The run is {row['state']}; its files can be downloaded once it has ended."
                )
            job = self._scheduler.describe(row)
            folder = Path(self._scheduler.get_local_output_path(job))
            beside, documents = _plan(
                job, await runs.files(job_id), await runs.files(job_id, "inputs")
            )
            try:
                for targets in (beside, documents):
                    await _download(runs, job_id, folder, targets, again=again)
            except OSError as error:
                raise SchedulerError(
                    f"The files could not be written to {self._scheduler.output_directory}/"
                    f"{folder.name}: {error.strerror or error}. Fix that and download again."
                ) from error
            await _explain_missing(runs, job, row, documents)


def _plan(
    job: KueueJob, files: Sequence[RunFile], inputs: Sequence[RunFile]
) -> tuple[dict[FileId, str], dict[FileId, str]]:
    """Return what to fetch, by local name: additional files, and the requested documents.

    An output replaces an input of the same name.
    """
    written: dict[FileId, str] = {}
    documents: dict[FileId, str] = {}
    for file in files:
        file_id: FileId = ("files", file["path"])
        if file["role"] == pod_contract.ROLE_NOTEBOOK:
            # A run that did not complete has no other documents, whatever was requested.
            if NOTEBOOK in job.output_formats or job.status != "COMPLETED":
                documents[file_id] = job.output_filename(NOTEBOOK)
        elif file.get("format") in job.output_formats:
            documents[file_id] = job.output_filename(file["format"])
        elif file["role"] != pod_contract.ROLE_LOG:
            written[file_id] = file["path"]
    given: dict[FileId, str] = {}
    names = set(written.values())
    for number, file in enumerate(inputs):
        if number == 0:  # the notebook
            documents["inputs", file["path"]] = job.input_filename
        elif file["path"] not in names:
            given["inputs", file["path"]] = file["path"]
    return {**written, **given}, documents


async def _download(
    runs: Runs, job_id: str, folder: Path, targets: dict[FileId, str], *, again: bool
) -> None:
    wanted = {file_id: _inside(folder, name) for file_id, name in targets.items()}
    if not again:
        wanted = {file_id: target for file_id, target in wanted.items() if not target.exists()}
    if wanted:
        await runs.download(job_id, wanted)


def _inside(folder: Path, name: str) -> Path:
    """Return the file ``name`` in ``folder``; names come from the bucket and are not trusted."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise SchedulerError(f"The run's file {name[:200]!r} leads outside its folder.")
    return folder.joinpath(*parts)


async def _explain_missing(
    runs: Runs, job: KueueJob, row: RunRow, documents: dict[FileId, str]
) -> None:
    """Raise an error that explains why a requested document is missing, if one is."""
    names = set(documents.values())
    missing = [
        name for name in job_models.expected_formats(row) if job.output_filename(name) not in names
    ]
    if not missing:
        return
    reasons = await runs.format_errors(job.job_id)
    if missing == [NOTEBOOK] and not reasons:
        raise SchedulerError(
            f"The run ended before its notebook began, so there is no output: {row['message']}"
        )
    raise SchedulerError(
        " ".join(
            reasons.get(name) or f"The run has no output of the format {name}." for name in missing
        )
    )
