"""Imports definitions and finished jobs, with files, from jupyter-scheduler's own backend.

Definitions become schedules through the service, as if they had been created here. Jobs become
finished runs through their records in the bucket, each with ``record.json`` last, so that no server
sees an incomplete one. Ids are derived from the stock backend's, so that a repeated or resumed
import adds nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jupyter_kueue.bounded_concurrency import few_at_once
from jupyter_kueue.contract import notebook_document, pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, run_status
from jupyter_kueue.domain.run_facts import ClusterFacts, Limits
from jupyter_kueue.scheduler import stock_definitions, stock_files, stock_jobs
from jupyter_kueue.scheduler.output_formats import NOTEBOOK
from jupyter_kueue.scheduler.stock_jobs import StockJob, Uploaded
from jupyter_kueue.service.application import Application
from jupyter_kueue.service.runs import run_view
from jupyter_kueue.service.runs.submission import InputSource
from jupyter_kueue.storage import object_names
from jupyter_kueue.storage.bucket import PART_BYTES
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.stock_imports import Imported, StockImports
from jupyter_kueue.storage.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jupyter_kueue.config import Settings
    from jupyter_kueue.domain.run_documents import ResultFile
    from jupyter_kueue.domain.run_facts import BucketFacts
    from jupyter_kueue.domain.run_record import UploadedFile
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.scheduler.stock_files import StockFiles
    from jupyter_kueue.service.schedules.schedules import Schedules
    from jupyter_kueue.storage.bucket import Bucket
    from jupyter_kueue.storage.stock_database import StockDatabase

Json = dict[str, Any]

# Several jobs are imported at once, and the results are stored in batches: neither memory nor the
# cost of an interruption grows with the number of jobs.
_AT_ONCE = 8
_RUNS_AT_ONCE = 100
# The number of list rows of finished jobs in one object.
_ROWS_AT_ONCE = 1000
# Larger notebooks are not parsed for their kernel's name.
_PARSED_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Item:
    """A job or definition in the report.

    Attributes:
        stock_id, name: as in the stock backend.
        notes: what differs, or why it was not imported, a sentence each.
        new_id: its id here, None if it was not imported.
    """

    stock_id: str
    name: str
    notes: list[str]
    new_id: str | None = None


@dataclass
class Report:
    """What was imported, or with ``dry_run`` would be.

    Attributes:
        database: the database file.
        schedules: the definitions that became schedules.
        schedules_there, runs_there: how many had been imported before.
        active: how many of the schedules fire.
        jobs: how many jobs became finished runs.
        jobs_without_files: how many of these had lost all their files.
        failures: definitions and jobs that could not be imported.
        unfinished: jobs that have not ended in the stock backend.
    """

    database: str
    dry_run: bool
    schedules: list[Item] = field(default_factory=list)
    schedules_there: int = 0
    active: int = 0
    jobs: int = 0
    runs_there: int = 0
    jobs_without_files: int = 0
    failures: list[Item] = field(default_factory=list)
    unfinished: list[Item] = field(default_factory=list)


class StockImport:
    """One import. ``progress(done, total)`` is called as jobs are completed."""

    def __init__(
        self,
        settings: Settings,
        database: StockDatabase,
        staging: Path,
        root_dir: Path,
        progress: Callable[[int, int], None],
        *,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._database = database
        self._staging = staging
        self._root_dir = root_dir
        self._progress = progress
        self._report = Report(str(database.path), dry_run)

    async def run(self) -> Report:
        """Import everything that has not been imported yet.

        Raises:
            NotFoundError, InvalidRequestError: the database does not exist or is invalid.
            NotConfiguredError, UnavailableError: database, cluster or bucket is unavailable; what
                was imported before stays, and the next import continues.
        """
        report = self._report
        total = len(await asyncio.to_thread(self._database.job_ids))
        for row in await asyncio.to_thread(self._database.unfinished_runs):
            report.unfinished.append(_unfinished(row))
        definitions = await asyncio.to_thread(lambda: list(self._database.definitions()))
        application = Application(self._settings, self._root_dir)
        await application.start()
        try:
            # Without a limit: no client waits for an answer, and errors say what is missing.
            await application.runs(None)
            bucket = await application.known_bucket()
            imports = StockImports(bucket, application.owner.slug)
            imported = await imports.load()
            offers = await application.environments()
            environments = await _names(offers.list_environments())
            profiles = await _names(offers.list_profiles())
            new = [
                row for row in definitions if row["job_definition_id"] not in imported.definitions
            ]
            report.schedules_there = len(definitions) - len(new)
            # A user without the permission to create schedules can still import jobs.
            schedules = await application.schedules(None) if new else None
            for row in new:
                assert schedules is not None  # there are new ones
                if await self._bring_definition(row, schedules, environments, profiles):
                    await self._note(imports, definition=row["job_definition_id"])
            namespace = application.cluster.namespace
        finally:
            await application.stop()
        jobs = _Jobs(
            bucket=bucket,
            application=application,
            namespace=namespace,
            staging=self._staging,
            environments=environments,
            imports=imports,
            report=report,
        )
        await jobs.bring(self._database.finished_jobs(), imported, total, self._progress)
        return report

    async def _note(self, imports: StockImports, definition: str) -> None:
        if not self._report.dry_run:
            await imports.add(definitions=[definition])

    async def _bring_definition(
        self,
        row: Json,
        schedules: Schedules,
        environments: frozenset[str],
        profiles: frozenset[str],
    ) -> bool:
        """Create a schedule from a definition; return whether there is, or was, one."""
        stock_id = str(row["job_definition_id"])
        name = str(row["name"] or row["input_filename"] or stock_id)
        try:
            definition = StockJob.read(row, stock_id)
            request, notes = stock_definitions.request(
                definition, str(self._root_dir), environments, profiles
            )
            source = await asyncio.to_thread(self._source, definition)
            if self._report.dry_run:
                await schedules.check(request, source)
                new_id = None
            else:
                new_id = str((await schedules.create(request, source))["schedule_id"])
        except errors.ConflictError:
            # Created by an import that was interrupted before noting it, and changed or deleted
            # since.
            self._report.schedules_there += 1
            return True
        except (errors.InvalidRequestError, errors.TooLargeError) as error:
            self._report.failures.append(Item(stock_id, name, [error.message]))
            return False
        except (ValueError, OSError) as error:
            self._report.failures.append(Item(stock_id, name, [str(error)]))
            return False
        self._report.schedules.append(Item(stock_id, name, notes, new_id))
        self._report.active += request.active and request.schedule is not None
        return True

    def _source(self, definition: StockJob) -> InputSource:
        """Return a definition's notebook: its own copy, otherwise the one in the root folder."""
        folder = stock_files.folder_of(self._staging, definition.stock_id)
        if (folder / definition.input_filename).is_file():
            return InputSource(folder, definition.input_filename)
        return InputSource(self._root_dir, definition.input_filename)


class _Jobs:
    """The import of the jobs."""

    def __init__(
        self,
        *,
        bucket: Bucket,
        application: Application,
        namespace: str,
        staging: Path,
        environments: frozenset[str],
        imports: StockImports,
        report: Report,
    ) -> None:
        self._bucket = bucket
        self._owner = application.owner
        self._namespace = namespace
        self._staging = staging
        self._environments = environments
        self._imports = imports
        self._report = report
        self._records = Records(bucket, self._owner.slug)
        self._unstored: list[RunRow] = []
        self._deleted: frozenset[str] = frozenset()
        # Several parts of a large file are in memory at once.
        self._large_file = asyncio.Lock()

    async def bring(
        self,
        rows: Iterator[Json],
        imported: Imported,
        total: int,
        progress: Callable[[int, int], None],
    ) -> None:
        """Import each finished job that has not been imported yet."""
        self._deleted = frozenset(await self._records.list_deleted())
        done = 0
        while some := await asyncio.to_thread(lambda: list(itertools.islice(rows, _RUNS_AT_ONCE))):
            new = [row for row in some if row["job_id"] not in imported.jobs]
            self._report.runs_there += len(some) - len(new)
            await self._bring_some(new)
            done += len(some)
            progress(done, total)
        await self._store_rows()

    async def _store_rows(self) -> None:
        """Store list rows, which a starting server reads instead of each job's records."""
        # A new Summaries has stored nothing yet, so it only adds and merges nothing.
        await Summaries(self._bucket, self._owner.slug).store(self._unstored)
        self._unstored = []

    async def _bring_some(self, rows: list[Json]) -> None:
        here: list[str] = []

        async def bring(row: Json) -> None:
            is_here, list_row = await self._bring_one(row)
            if is_here:
                here.append(row["job_id"])
            if list_row is not None:
                self._unstored.append(list_row)

        await few_at_once(_AT_ONCE, rows, bring)
        if not self._report.dry_run:
            await self._imports.add(jobs=here)
        if len(self._unstored) >= _ROWS_AT_ONCE:
            await self._store_rows()

    async def _bring_one(self, row: Json) -> tuple[bool, RunRow | None]:
        """Import a job; return whether it is here now, and its list row if it is new."""
        stock_id = str(row["job_id"])
        new_id = stock_jobs.run_id(self._owner, stock_id)
        if new_id in self._deleted or await self._records.has_record(new_id):
            self._report.runs_there += 1
            return True, None
        try:
            job = StockJob.read(row, stock_id)
            files = await asyncio.to_thread(
                stock_files.find,
                self._staging,
                stock_id,
                job.input_filename,
                job.output_formats,
                job.created,
            )
            facts = None if self._report.dry_run else await self._write(job, files)
        except errors.ConflictError:
            # Imported at the same time by another import.
            self._report.runs_there += 1
            return True, None
        except (ValueError, OSError) as error:
            name = str(row["name"] or row["input_filename"] or stock_id)
            self._report.failures.append(Item(stock_id, name, [str(error)]))
            return False, None
        self._report.jobs += 1
        self._report.jobs_without_files += files.notebook is None and not files.documents
        if facts is None:
            return False, None
        ended = run_status.derive(facts, ClusterFacts(), dt.datetime.now(dt.UTC), Limits())
        return True, run_view.build_row(facts, ended)

    async def _write(self, job: StockJob, files: StockFiles) -> BucketFacts:
        """Upload a job's files and write its records, record.json last, which makes it visible."""
        new_id = stock_jobs.run_id(self._owner, job.stock_id)
        prefix = self._records.prefix(new_id)
        uploaded = await self._upload(job, files, prefix)
        facts = stock_jobs.build_facts(
            job,
            self._owner,
            self._namespace,
            uploaded,
            environments=self._environments,
            kernel_name=await asyncio.to_thread(_kernel_name, files.notebook),
            utc_offset=files.utc_offset,
        )
        if facts.result is not None:
            await self._records.write(new_id, pod_contract.RESULT_KEY, facts.result)
        if facts.final is not None:
            await self._records.write(new_id, pod_contract.FINAL_KEY, facts.final)
        if await self._records.write_record(facts.record) is not facts.record:
            raise errors.ConflictError(
                say("imported-meanwhile", "Another import has just imported it.")
            )
        return facts

    async def _upload(self, job: StockJob, files: StockFiles, prefix: str) -> Uploaded:
        has_result = stock_jobs.has_result(job, files.documents)
        inputs: list[UploadedFile] = []
        outputs: list[ResultFile] = []
        left_out = dict(files.left_out)
        given = {} if files.notebook is None else {job.input_filename: files.notebook}
        if job.with_folder:
            given |= files.others
        for path, file in given.items():
            inputs.append(await self._put(f"{prefix}{pod_contract.INPUT_PREFIX}", path, file))
        if has_result:
            # The executed notebook comes first.
            for name in sorted(files.documents, key=lambda name: name != NOTEBOOK):
                file = files.documents[name]
                stored = await self._put(f"{prefix}{pod_contract.OUTPUT_PREFIX}", file.name, file)
                if name == NOTEBOOK:
                    outputs.append(_output(stored, "notebook"))
                else:
                    outputs.append(_output(stored, "export", name))
            for path, file in {} if job.with_folder else files.others.items():
                stored = await self._put(f"{prefix}{pod_contract.OUTPUT_PREFIX}", path, file)
                outputs.append(_output(stored, "side-effect"))
        return Uploaded(tuple(inputs), tuple(outputs), frozenset(files.documents), left_out)

    async def _put(self, prefix: str, path: str, file: Path) -> UploadedFile:
        size = (await asyncio.to_thread(file.stat)).st_size
        kind = object_names.media_type(path)
        async with self._large_file if size > PART_BYTES else contextlib.nullcontext():
            with await asyncio.to_thread(file.open, "rb") as opened:
                stored = await self._bucket.put_file(f"{prefix}{path}", opened, content_type=kind)
        return {
            "path": path,
            "size_bytes": stored.size,
            "sha256": stored.sha256,
            "executable": False,
            "modified_at": None,
        }


def _output(
    stored: UploadedFile,
    role: Literal["notebook", "export", "side-effect"],
    made_as: str | None = None,
) -> ResultFile:
    return {
        "path": stored["path"],
        "size_bytes": stored["size_bytes"],
        "sha256": stored["sha256"],
        "role": role,
        "format": made_as,
    }


async def _names(listed: Any) -> frozenset[str]:
    return frozenset(item["name"] for item in await listed)


def _unfinished(row: Json) -> Item:
    state = row["status"] or "no status"
    return Item(
        str(row["job_id"]),
        str(row["name"] or row["input_filename"]),
        [
            f"Its status is {state}: import again once it has ended. If the server that ran it "
            "was killed, it never ends: delete it there."
        ],
    )


def _kernel_name(notebook: Path | None) -> str | None:
    """Return the kernel that a notebook names, for reruns."""
    if notebook is None or notebook.stat().st_size > _PARSED_BYTES:
        return None
    name: str | None = notebook_document.facts(notebook.read_bytes())["kernel_name"]
    return name
