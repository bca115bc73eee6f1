"""jupyter-scheduler's scheduler as a thin layer over the service.

Nothing is stored or executed here: jobs are runs in the cluster, job definitions are schedules.
Every error becomes a SchedulerError, the only type whose text reaches users.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.models import (
    CountJobsQuery,
    CreateJob,
    CreateJobDefinition,
    CreateJobFromDefinition,
    DescribeJob,
    DescribeJobDefinition,
    JobFile,
    ListJobDefinitionsQuery,
    ListJobDefinitionsResponse,
    ListJobsQuery,
    ListJobsResponse,
    Status,
    UpdateJob,
    UpdateJobDefinition,
)
from jupyter_scheduler.scheduler import BaseScheduler
from traitlets import Type, Unicode

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, names, run_request, run_update, schedule_request
from jupyter_kueue.domain.request_changes import (
    parse_run_changes,
    parse_run_now,
    parse_schedule_changes,
)
from jupyter_kueue.domain.schedule_query import ScheduleQuery
from jupyter_kueue.scheduler import (
    definition_models,
    job_models,
    literals,
    output_formats,
    running_server,
    selecting,
)
from jupyter_kueue.scheduler.execution_manager import KueueExecutionManager
from jupyter_kueue.scheduler.scheduler_errors import TokenUsedError, log_in_one_line, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_scheduler.environments import EnvironmentManager

    from jupyter_kueue.domain.run_row import RunFile, RunRow
    from jupyter_kueue.domain.schedule_request import ScheduleRequest
    from jupyter_kueue.domain.schedule_row import ScheduleRow
    from jupyter_kueue.scheduler.job_models import KueueJob
    from jupyter_kueue.service.application import Application
    from jupyter_kueue.service.runs.runs import Runs
    from jupyter_kueue.service.schedules.schedules import Schedules

Json = dict[str, Any]

_STATUS_NAMES = {state: status.value for state, status in job_models.STATUSES.items()}
_SORTABLE: dict[str, Callable[[RunRow], str]] = {
    "name": lambda row: str(row["name"]),
    "input_filename": lambda row: job_models.input_filename(row["request"]),
    "create_time": lambda row: str(row["created_at"]),
    "start_time": lambda row: row["started_at"] or "",
    "end_time": lambda row: row["finished_at"] or "",
    "status": lambda row: _STATUS_NAMES[row["state"]],
}
_SORTABLE_DEFINITIONS: dict[str, Callable[[ScheduleRow], str]] = {
    "name": lambda row: str(row["name"]),
    "input_filename": lambda row: job_models.input_filename(row["request"]),
    "create_time": lambda row: str(row["created_at"]),
    "update_time": lambda row: str(row["updated_at"]),
    "schedule": lambda row: row["schedule"] or "",
    "timezone": lambda row: row["timezone"] or "",
    "active": lambda row: str(row["active"]),
}
log = logging.getLogger(__name__)

_SCHEDULES_AT_ONCE = 500
_ROWS_AT_ONCE = 50
_DESCRIBED_KEPT = 5000


class KueueScheduler(BaseScheduler):
    """The backend. ``kueue`` defaults to the application of the running server."""

    # jupyter-scheduler starts a task runner if there is one: here schedules fire in the cluster.
    task_runner = None

    db_url = Unicode(allow_none=True, help="Taken and not used: nothing is kept in a database.")
    backend_id = Unicode(allow_none=True, help="What jupyter-scheduler 3 calls this backend.")
    execution_manager_class = Type(
        klass="jupyter_scheduler.executors.ExecutionManager",
        default_value=KueueExecutionManager,
        config=True,
        help="Only asked which features are supported.",
    )

    def __init__(
        self,
        root_dir: str,
        environments_manager: EnvironmentManager,
        config: Any = None,
        *,
        kueue: Application | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            root_dir=root_dir, environments_manager=environments_manager, config=config, **kwargs
        )
        self._kueue = kueue
        log_in_one_line()
        self._sorted = selecting.Sorted(_SORTABLE)
        self._described: dict[str, tuple[RunRow, frozenset[str], KueueJob]] = {}

    @property
    def kueue(self) -> Application:
        """The application of this server. Raises if there is none."""
        return self._kueue or running_server.find_application()

    async def runs(self) -> Runs:
        """Return the runs once they are loaded. Raises if something is missing."""
        return await self.kueue.runs()

    # --- Jobs ------------------------------------------------------------------------------------

    async def create_job(self, model: CreateJob) -> str:
        """Queue a run and return its id.

        Raises:
            SchedulerError: naming each bad field, or what is missing.
            IdempotencyTokenError: the token belongs to an existing or former run.
        """
        if model.job_definition_id:
            raise SchedulerError(
                "job_definition_id: a run of a definition starts from the definition's own files. "
                "Create it with POST job_definitions/<id>/jobs, or leave the field out."
            )
        with told():
            runs = await self.runs()
            body = await self._sized(job_models.request_body(model, self.root_dir))
            run_id = job_models.run_of_result(model.input_uri)
            if run_id is not None:
                # A result is not below the root folder: the job reruns the result's own run.
                asked = {key: body.get(key) for key in job_models.REQUEST_FIELDS}
                return str((await runs.rerun(run_id, parse_run_changes(asked)))["run_id"])
            token = model.idempotency_token or None
            request = run_request.parse_run_request({**body, "idempotency_key": token})
            try:
                run, is_new = await runs.submit(request)
            except errors.ConflictError as error:
                raise TokenUsedError(error.message) from error
        if not is_new:
            raise TokenUsedError(f"The run {run['run_id']} of this idempotency token exists.")
        return str(run["run_id"])

    async def update_job(self, job_id: str, model: UpdateJob) -> None:
        """Change a job's name, or stop it; a submitted job's size is fixed."""
        if model.status == Status.STOPPED:
            await self.stop_job(job_id)
        with told():
            runs = await self.runs()
            row = runs.row(names.plain_id(job_id))
            if model.compute_type not in (None, row["request"].profile):
                raise errors.ConflictError(
                    say(
                        "compute-type-fixed",
                        "The compute type cannot be changed once a job is submitted. Delete "
                        "the job and create it again.",
                    )
                )
            if model.name is not None:
                await runs.update(row["run_id"], run_update.parse_run_update({"name": model.name}))

    async def list_jobs(self, query: ListJobsQuery) -> ListJobsResponse:
        """Return a page of jobs, each with its local files."""
        with told():
            order = self._sorted.by((await self.runs()).rows(), query.sort_by)
            for is_wanted in _filters(query):
                order = order.filtered(is_wanted)
            shown, token = order.page(query.max_items, query.next_token, "run_id")
        # In a thread: a home directory may be slow, and must not block the event loop.
        present = await asyncio.to_thread(lambda: [self._local_names(row) for row in shown])
        jobs = []
        for row, local_names in zip(shown, present, strict=True):
            jobs.append(self._described_or_named(row, local_names))
            if len(jobs) % _ROWS_AT_ONCE == 0:
                # A page may be as long as the list, and must not block other requests.
                await asyncio.sleep(0)
        # Not validated, which would copy all jobs: they are valid.
        return ListJobsResponse.construct(jobs=jobs, total_count=len(order.rows), next_token=token)

    async def count_jobs(self, query: CountJobsQuery) -> int:
        """Return how many jobs have a status."""
        with told():
            rows = (await self.runs()).rows()
        states = _states(query.status)
        return len([row for row in rows if row["state"] in states])

    async def get_job(self, job_id: str, job_files: bool | None = True) -> DescribeJob:
        """Return a job; with ``job_files``, its files in the user's folder."""
        with told():
            runs = await self.runs()
            row = runs.row(names.plain_id(job_id))
            job = self.described(row) if job_files else self.describe(row)
            if job.package_input_folder:
                job.packaged_files = _packaged(
                    await runs.files(row["run_id"], "inputs"), await runs.files(row["run_id"])
                )
        return job

    async def delete_job(self, job_id: str) -> None:
        """Stop and delete a job and its outputs in the bucket; a missing job is ignored."""
        with told():
            try:
                await (await self.runs()).delete(names.plain_id(job_id))
            except errors.NotFoundError:
                return

    async def stop_job(self, job_id: str) -> None:
        """Stop a job in any state; one that has ended does not change."""
        with told():
            await (await self.runs()).stop(names.plain_id(job_id))

    # --- Job definitions -------------------------------------------------------------------------

    async def create_job_definition(self, model: CreateJobDefinition) -> str:
        """Create a schedule, on demand only if there is no cron expression.

        Raises:
            SchedulerError: naming each bad field, or what is missing; nothing was created.
        """
        with told():
            if job_models.run_of_result(model.input_uri) is not None:
                raise errors.InvalidRequestError(
                    {
                        "input_path": say(
                            "notebook-of-a-run",
                            "belongs to a run. Copy it to your files, and schedule the copy",
                        )
                    }
                )
            schedules = await self.schedules()
            body = await self._sized(definition_models.request_body(model, self.root_dir))
            schedule = await schedules.create(schedule_request.parse_schedule_request(body))
        return str(schedule["schedule_id"])

    async def update_job_definition(
        self, job_definition_id: str, model: UpdateJobDefinition
    ) -> None:
        """Change the fields that are sent, for future runs; ``active`` pauses the definition."""
        with told():
            schedules = await self.schedules()
            schedule_id = names.plain_id(job_definition_id)
            request = (await schedules.get(schedule_id))["request"]
            changed = await self._sized(definition_models.changes(model, request))
            if self._is_snapshot(changed.get("input_path"), request):
                del changed["input_path"]
            if changed:
                await schedules.update(schedule_id, parse_schedule_changes(changed))

    async def delete_job_definition(self, job_definition_id: str) -> None:
        """Delete a definition and, as upstream does, its jobs; unfinished jobs are stopped.

        Files in the user's folder stay, and a missing definition is ignored.
        """
        schedule_id = names.plain_id(job_definition_id)
        with told():
            runs, schedules = await self.runs(), await self.schedules()
            # The jobs first: if that fails, the definition can be deleted again.
            await runs.delete_of_schedule(schedule_id)
            with contextlib.suppress(errors.NotFoundError):
                await schedules.delete(schedule_id, with_runs=True)
            # Another run may have started just before.
            await runs.delete_of_schedule(schedule_id)

    async def get_job_definition(self, job_definition_id: str) -> DescribeJobDefinition:
        """Return a definition."""
        with told():
            schedules = await self.schedules()
            row = await schedules.get(names.plain_id(job_definition_id))
            definition = definition_models.describe(row)
            if definition.package_input_folder:
                definition.packaged_files = _packaged(await schedules.inputs(row["schedule_id"]))
        return definition

    async def list_job_definitions(
        self, query: ListJobDefinitionsQuery
    ) -> ListJobDefinitionsResponse:
        """Return a page of definitions."""
        with told():
            rows = [row for row in await self._all_schedules() if _defines(row, query)]
            order = selecting.Sorted(_SORTABLE_DEFINITIONS).by(rows, query.sort_by)
            shown, token = order.page(query.max_items, query.next_token, "schedule_id")
        return ListJobDefinitionsResponse(
            job_definitions=[_definition_or_named(row) for row in shown],
            total_count=len(rows),
            next_token=token,
        )

    async def create_job_from_definition(
        self, job_definition_id: str, model: CreateJobFromDefinition
    ) -> str:
        """Queue a run of a definition now, with other parameters if any are sent."""
        given = None if model.parameters is None else literals.read_all(model.parameters)
        with told():
            schedules = await self.schedules()
            asked = parse_run_now({"parameters": given})
            run = await schedules.run_now(names.plain_id(job_definition_id), asked)
        return str(run["run_id"])

    async def schedules(self) -> Schedules:
        """Return the schedules once they are loaded. Raises if something is missing."""
        return await self.kueue.schedules()

    async def _all_schedules(self) -> list[ScheduleRow]:
        schedules = await self.schedules()
        rows: list[ScheduleRow] = []
        cursor: str | None = None
        while True:
            found = await schedules.list(
                ScheduleQuery(sort="created_at", limit=_SCHEDULES_AT_ONCE, cursor=cursor)
            )
            rows += found["items"]
            cursor = found["next_cursor"]
            if cursor is None:
                return rows

    # --- Files -----------------------------------------------------------------------------------

    async def get_staging_paths(self, model: DescribeJob | DescribeJobDefinition) -> dict[str, str]:
        """Return the URLs of documents in the bucket, by format and ``input``.

        A definition has only an input.
        """
        if isinstance(model, DescribeJobDefinition):
            with told():
                schedule_id = names.plain_id(model.job_definition_id)
                notebook, *_ = await (await self.schedules()).inputs(schedule_id)
            return {"input": notebook["url"]}
        with told():
            runs = await self.runs()
            notebook, *_ = await runs.located_files(model.job_id, "inputs")
            paths: dict[str, str] = {"input": notebook["url"]}
            for file in await runs.located_files(model.job_id):
                if file["role"] == pod_contract.ROLE_NOTEBOOK:
                    paths[output_formats.NOTEBOOK] = file["url"]
                elif "format" in file:
                    paths[file["format"]] = file["url"]
        return paths

    def get_job_filenames(self, model: KueueJob) -> dict[str, str | list[str]]:
        """Return the names of a job's files in its local folder, by format."""
        found: dict[str, str | list[str]] = {
            name: model.output_filename(name) for name in model.output_formats
        }
        found["input"] = model.input_filename
        if model.package_input_folder:
            found["files"] = list(model.packaged_files or [])
        return found

    def describe(self, row: RunRow) -> KueueJob:
        """Return a run's list row as jupyter-scheduler's job, without its files."""
        return job_models.describe(row)

    def described(self, row: RunRow, present: frozenset[str] | None = None) -> KueueJob:
        """Return the same with the files in the user's folder.

        ``present`` are their names; they are looked up if it is None.
        """
        job = self.describe(row)
        folder = self._local_folder(job.input_filename, job.job_id)
        if present is None:
            present = self._local_names(row)
        labels = self.environments_manager.output_formats_mapping()
        asked = {
            name: labels.get(name, name)
            for name in job_models.expected_formats(row) + job.output_formats
        }
        documents = {name: job.output_filename(name) for name in asked}
        documents["input"] = job.input_filename
        here = {
            name: f"{folder}/{file}" if file in present else None
            for name, file in documents.items()
        }
        job.job_files = [
            _job_file(label, name, here[name])
            for name, label in {**asked, "input": "Input"}.items()
        ]
        # Hidden files are Lab's checkpoints, and downloads in progress.
        beside = [name for name in present.difference(documents.values()) if name[0] != "."]
        if job.package_input_folder or beside:
            job.job_files.append(_job_file("Files", "files", folder if present else None))
        # The documents are downloaded last, so everything is there once they are.
        job.downloaded = all(here[name] for name in [*job_models.expected_formats(row), "input"])
        return job

    def _described_or_named(self, row: RunRow, present: frozenset[str]) -> KueueJob:
        """Return a job for a list; if that fails, only its id."""
        try:
            return self._described_before(row, present)
        except Exception:
            # One faulty run must not break everybody's list.
            log.exception("run_id=%s cannot be shown", row["run_id"])
            return job_models.unreadable(row)

    def _described_before(self, row: RunRow, present: frozenset[str]) -> KueueJob:
        """Return the result of ``described``, created once per row in lists; do not change it.

        Rows are never changed, only replaced; converting them takes most of a list's time.
        """
        known = self._described.get(row["run_id"])
        if known is not None and known[0] is row and known[1] == present:
            return known[2]
        if len(self._described) >= _DESCRIBED_KEPT:
            self._described.clear()
        job = self.described(row, present)
        self._described[row["run_id"]] = (row, present, job)
        return job

    def _local_folder(self, input_filename: str, job_id: str) -> str:
        """Return the folder to which a run's files are downloaded, relative to the root."""
        return f"{self._output_folder}/{job_models.stem(input_filename)}-{job_id}"

    @functools.cached_property
    def _output_folder(self) -> str:
        # Called for each job of a list; the relative path is the same for all.
        return os.path.relpath(os.path.join(self.root_dir, self.output_directory), self.root_dir)  # noqa: PTH118

    def _local_names(self, row: RunRow) -> frozenset[str]:
        folder = self._local_folder(job_models.input_filename(row["request"]), row["run_id"])
        return _names_in(os.path.join(self.root_dir, folder))  # noqa: PTH118

    def _is_snapshot(self, input_uri: str | None, request: ScheduleRequest) -> bool:
        """Return whether an update keeps the definition's files instead of uploading new ones.

        With every edit, upstream's form sends back the displayed name, which has no folder. A
        notebook in the root folder with this name is uploaded again, as upstream does.
        """
        shown = job_models.input_filename(request)
        is_in_root = request.input_path == shown and self.file_exists(shown)
        return input_uri == shown and not is_in_root

    def get_local_output_path(
        self, model: DescribeJob, root_dir_relative: bool | None = False
    ) -> str:
        """Return the folder to which a job's files are downloaded."""
        folder = self._local_folder(model.input_filename, model.job_id)
        return folder if root_dir_relative else os.path.join(self.root_dir, folder)  # noqa: PTH118

    def file_exists(self, path: str) -> bool:
        """Return whether the file exists below the root folder."""
        found = self._below_root(path)
        return found is not None and found.is_file()

    def dir_exists(self, path: str) -> bool:
        """Return whether the folder exists below the root folder."""
        found = self._below_root(path)
        return found is not None and found.is_dir()

    def _below_root(self, path: str) -> Path | None:
        root = os.path.abspath(self.root_dir)  # noqa: PTH100 - without following links
        found = os.path.abspath(os.path.join(root, path))  # noqa: PTH100, PTH118 - the same
        return Path(found) if os.path.commonpath([root, found]) == root else None

    async def _sized(self, body: Json) -> Json:
        """Return a request whose profile and amounts are replaced by the resulting amounts."""
        if not body.get("profile") or not body.get("resources"):
            return body
        profiles = await (await self.kueue.environments()).list_profiles()
        profile = next((item for item in profiles if item["name"] == body["profile"]), None)
        if profile is None:
            # The service refuses it by name.
            return {key: value for key, value in body.items() if key != "resources"}
        amounts = {key: profile[key] for key in ("cpu", "memory", "gpus")}
        sized = {**body, "resources": {**amounts, **body["resources"]}}
        del sized["profile"]
        return sized


def _definition_or_named(row: ScheduleRow) -> DescribeJobDefinition:
    try:
        return definition_models.describe(row)
    except Exception:
        # As for jobs.
        log.exception("schedule_id=%s cannot be shown", row["schedule_id"])
        return definition_models.unreadable(row)


def _filters(query: ListJobsQuery) -> Iterator[Callable[[RunRow], bool]]:
    """Yield the requested conditions on rows; most lists are long and unfiltered."""
    if query.status:
        states = _states(query.status)
        yield lambda row: row["state"] in states
    if query.job_definition_id:
        schedule_id = names.plain_id(query.job_definition_id)
        yield lambda row: row["schedule_id"] == schedule_id
    if query.name:
        name = query.name.casefold()
        yield lambda row: row["name"].casefold().startswith(name)
    if query.tags:
        tags = frozenset(query.tags)
        yield lambda row: tags.issubset(row["tags"])
    if query.start_time:
        earliest = query.start_time
        yield lambda row: (job_models.milliseconds(row["started_at"]) or 0) >= earliest


def _states(status: Status) -> frozenset[str]:
    return frozenset(state for state, shown in job_models.STATUSES.items() if shown == status)


def _defines(row: ScheduleRow, query: ListJobDefinitionsQuery) -> bool:
    created = job_models.milliseconds(row["created_at"])
    if query.create_time and (created is None or created < query.create_time):
        return False
    if query.name and not row["name"].casefold().startswith(query.name.casefold()):
        return False
    return not query.tags or set(query.tags) <= set(row["tags"])


def _job_file(label: str, file_format: str, path: str | None) -> JobFile:
    # Not validated: that took a quarter of a list's time.
    return JobFile.construct(display_name=label, file_format=file_format, file_path=path)


def _names_in(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - for each job of a list, so quick
    except (OSError, ValueError):
        # Missing or unreadable: lists still work, and the download reports the reason.
        return frozenset()


def _packaged(inputs: Sequence[RunFile], files: Sequence[RunFile] = ()) -> list[str]:
    """Return the files beside a run's notebook, inputs and outputs, each once."""
    # The first input is the notebook, which is not an additional file.
    taken = [file["path"] for file in inputs[1:]]
    written = [file["path"] for file in files if file["role"] == pod_contract.ROLE_SIDE_EFFECT]
    return list(dict.fromkeys([*taken, *written]))
