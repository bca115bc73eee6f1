"""The way of one run from a request to a Job in the cluster, step by step.

Order: everything is checked, then the inputs go to the bucket, then the record, then the Job, then
the mark that it was accepted, which decides: nothing of a run that has it is taken back. What a
failed submit did under an id that nobody else knows is removed; under an idempotency_key a repeat
finishes it, on whichever server. The reconciler removes what neither of them does.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue import patience
from jupyter_kueue.cluster import jobs as cluster_jobs
from jupyter_kueue.cluster import workload_priority_classes
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import (
    errors,
    job_manifest,
    names,
    run_request,
    text_rules,
    times,
)
from jupyter_kueue.domain.pod_limits import PodLimits
from jupyter_kueue.domain.run_facts import BucketFacts
from jupyter_kueue.domain.run_record import LeftBehind, RunRecord, RunSpec, UploadedFile
from jupyter_kueue.service.short_lived_cache import Cached
from jupyter_kueue.storage import input_copies, input_upload, run_records

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.config import Settings
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Job
    from jupyter_kueue.domain.owner import Owner
    from jupyter_kueue.domain.run_request import RunRequest
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.environments import Environments
    from jupyter_kueue.service.queues.local_queues import Queues
    from jupyter_kueue.storage.input_upload import Input
    from jupyter_kueue.storage.run_records import Records

Json = dict[str, Any]
# Puts the inputs of a run where its pod finds them, and says what they are.
Stage = Callable[[], Awaitable[tuple[UploadedFile, ...]]]

log = logging.getLogger(__name__)

_PRIORITY_CLASSES_SECONDS = 15.0
_BEING_REMOVED = say(
    "earlier-try-being-removed",
    "An earlier attempt to submit this run is still being cleaned up. Try again in a moment.",
)
_MAY_STILL_COME = say(
    "may-have-been-submitted",
    "It may have been submitted anyway: check whether the run is "
    "listed before you submit it again, or send an idempotency_key "
    "with each attempt.",
)
# After these the same Job would be refused again: no repeat can finish such a submit.
_REFUSALS = (errors.InvalidRequestError, errors.ForbiddenError, errors.TooLargeError)


@dataclass(frozen=True)
class Submitted:
    """A run that is accepted.

    Attributes:
        job: its Job as the API server has it, None where that was not asked.
        is_new: this call made it so, and no earlier one.
    """

    facts: BucketFacts
    job: Job | None
    is_new: bool


@dataclass(frozen=True)
class InputSource:
    """A notebook that is not where its request says: ``path`` below ``root``, with its folder."""

    root: Path
    path: str


class Submission:
    """Checks requests and hands them to the cluster, for one owner."""

    def __init__(
        self,
        *,
        settings: Settings,
        owner: Owner,
        root_dir: Path,
        allow_hidden: bool,
        connection: Connection,
        cluster: ClusterView,
        records: Records,
        environments: Environments,
        queues: Queues,
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._root_dir = root_dir
        self._allow_hidden = allow_hidden
        self._connection = connection
        self._cluster = cluster
        self._records = records
        self._environments = environments
        self._queues = queues
        self._priority_classes = Cached(
            lambda: workload_priority_classes.list_names(connection), _PRIORITY_CLASSES_SECONDS
        )

    async def submit(self, request: RunRequest) -> Submitted:
        """Check a request and create its run.

        Returns:
            What is known of the run. The same ``idempotency_key`` gives the one that is there.

        Raises:
            InvalidRequestError: naming each bad field; nothing was left behind.
            ConflictError: the idempotency_key stands for another request, or a deleted run.
        """
        request = self._capped(request)
        run_id = names.new_run_id()
        if request.idempotency_key is not None:
            run_id = names.run_id_of_key(self._owner.slug, request.idempotency_key)
            there = await self._find_repeated(run_id, request)
            if there is not None:
                return await self._go_on(there)
        prefix = f"{self._records.prefix(run_id)}{pod_contract.INPUT_PREFIX}"
        spec, stage = await self._check(request, prefix)
        record = RunRecord.of(spec, run_id, times.now())
        is_first = True
        if request.idempotency_key is not None:
            is_first = await self._records.claim(run_id, _digest(request), uuid.uuid4().hex)
        return await self._create(record, stage, is_first=is_first)

    async def rerun(self, record: RunRecord, request: RunRequest) -> Submitted:
        """Create a new run from the staged inputs of ``record``, asked for by ``request``.

        Raises:
            InvalidRequestError: naming each bad field.
            NotFoundError: the inputs are gone.
        """
        spec = dataclasses.replace(await self.renew(record, request), schedule_id=None)
        source = f"{self._records.prefix(record.run_id)}{pod_contract.INPUT_PREFIX}"
        return await self.submit_staged(spec, source, rerun_of=record.run_id)

    async def submit_staged(
        self,
        spec: RunSpec,
        source: str,
        *,
        rerun_of: str | None = None,
        schedule_revision: str | None = None,
    ) -> Submitted:
        """Create a new run of ``spec``, from inputs in the bucket below ``source``.

        Raises:
            NotFoundError: the inputs are gone.
        """
        new = RunRecord.of(
            spec,
            names.new_run_id(),
            times.now(),
            rerun_of=rerun_of,
            schedule_revision=schedule_revision,
        )
        target = f"{self._records.prefix(new.run_id)}{pod_contract.INPUT_PREFIX}"

        async def stage() -> tuple[UploadedFile, ...]:
            await input_copies.copy(self._records.bucket, source, target, spec)
            return spec.input

        return await self._create(new, stage)

    async def renew(self, spec: RunSpec, request: RunRequest) -> RunSpec:
        """Return what ``request`` becomes with the inputs of ``spec``.

        Raises:
            InvalidRequestError: naming each bad field.
        """
        request = self._capped(request)
        resolved, wrong = await self._resolve(request)
        if wrong:
            raise errors.InvalidRequestError(wrong)
        return RunSpec(
            name=request.name or spec.name,
            owner=self._owner,
            namespace=self._cluster.namespace,
            request=request,
            notebook=spec.notebook,
            kernel_name=request.kernel_name or spec.kernel_name,
            input=spec.input,
            empty_folders=spec.empty_folders,
            left_behind=spec.left_behind,
            schedule_id=spec.schedule_id,
            **resolved,
        )

    async def prepare(
        self, request: RunRequest, prefix: str, source: InputSource | None = None
    ) -> tuple[RunSpec, Stage]:
        """Check a request whose runs are made later, by a schedule; read its files at ``source``.

        Returns:
            What its runs are, and what stages the inputs below ``prefix``.

        Raises:
            InvalidRequestError: naming each bad field.
        """
        return await self._check(self._capped(request), prefix, source)

    def _capped(self, request: RunRequest) -> RunRequest:
        """Give a request without a time limit the one that an admin set for all."""
        if request.timeout_seconds is None and self._settings.max_timeout_seconds is not None:
            return dataclasses.replace(request, timeout_seconds=self._settings.max_timeout_seconds)
        return request

    async def _find_repeated(self, run_id: str, request: RunRequest) -> BucketFacts | None:
        loaded = await self._records.load(run_id)
        if loaded.deleted:
            by = (await self._records.read_tombstone(run_id)).get("by")
            raise errors.ConflictError(
                say(
                    "run-of-key-deleted-by",
                    "The run of this idempotency_key was deleted by {user}. Use a new key to run "
                    "it again.",
                    user=by,
                )
                if by
                else say(
                    "run-of-key-deleted",
                    "The run of this idempotency_key was deleted. Use a new key to run it again.",
                )
            )
        if loaded.is_cleared:
            raise errors.UnavailableError(_BEING_REMOVED)
        if loaded.facts is None:
            return None
        if loaded.facts.record.request != request:
            raise errors.ConflictError(
                say(
                    "key-of-another-request",
                    "This idempotency_key was already used for a different request. Use a new key.",
                )
            )
        return loaded.facts

    async def _check(
        self, request: RunRequest, prefix: str, source: InputSource | None = None
    ) -> tuple[RunSpec, Stage]:
        """Check what needs files and cluster, all at once, so that one answer names every field."""
        found: Input | None = None
        place = source or InputSource(self._root_dir, request.input_path)
        resolved, wrong = await self._resolve(request)
        limits = input_upload.InputLimits(
            self._settings.max_notebook_bytes,
            self._settings.max_folder_files,
            self._settings.max_folder_bytes,
        )
        try:
            found = await asyncio.to_thread(
                input_upload.find_input,
                place.root,
                place.path,
                request.include_folder,
                limits,
                # A source of the caller's is no place that a user named, and holds what was chosen.
                allow_hidden=self._allow_hidden or source is not None,
            )
            await asyncio.to_thread(
                run_request.check_parameters,
                request.parameters,
                request.kernel_name,
                found.kernel_name,
                found.language,
            )
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
        if wrong or found is None:
            raise errors.InvalidRequestError(wrong)
        staged = found
        spec = RunSpec(
            name=request.name or _name_of(staged.notebook),
            owner=self._owner,
            namespace=self._cluster.namespace,
            request=request,
            notebook=staged.notebook,
            kernel_name=request.kernel_name or staged.kernel_name,
            input=(),
            empty_folders=staged.empty_folders,
            left_behind=_left_behind(staged),
            **resolved,
        )

        async def stage() -> tuple[UploadedFile, ...]:
            return await input_upload.upload(self._records.bucket, prefix, staged)

        return spec, stage

    async def _resolve(self, request: RunRequest) -> tuple[Json, dict[str, Sentence]]:
        """Turn defaults into values; return them and what is wrong with each field."""
        wrong: dict[str, Sentence] = {}
        resolved: Json = {}
        try:
            resources, image = await self._environments.resolve(request)
            resolved.update(resources=resources, image=image)
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
        try:
            resolved["local_queue"] = self._queues.resolve(
                request.local_queue, self._settings.local_queue
            )
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
        try:
            await self.check_priority_class(request.priority_class)
            resolved["priority_class"] = request.priority_class
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
        unknown = [item for item in request.output_formats if item not in _known_formats()]
        if unknown:
            known = sorted(_known_formats())
            wrong["output_formats"] = say(
                "format-unknown",
                "{format} is not a known format; known formats: {known}",
                format=unknown[0],
                known=known,
            )
        cap = self._settings.max_timeout_seconds
        if cap and (request.timeout_seconds or 0) > cap:
            wrong["timeout_seconds"] = say(
                "over-time-cap", "must be at most {most}, the limit set by an admin", most=cap
            )
        return resolved, wrong

    async def check_priority_class(self, name: str | None) -> None:
        """Refuse a priority class that does not exist: Kueue would never take such a Job up.

        Raises:
            InvalidRequestError: there is no such class.
        """
        if name is None:
            return
        known = await self._priority_classes.get()
        if known is not None and name not in known:
            offered = (
                say("priority-classes-are", "available: {known}", known=known)
                if known
                else say("no-priority-classes", "the cluster has none")
            )
            raise errors.InvalidRequestError(
                {
                    "priority_class": say(
                        "priority-class-unknown",
                        "there is no priority class {priority_class}; {offered}",
                        priority_class=name,
                        offered=offered,
                    )
                }
            )

    async def _create(self, record: RunRecord, stage: Stage, *, is_first: bool = True) -> Submitted:
        may_have_record = False
        try:
            record = dataclasses.replace(record, input=await stage())
            may_have_record = True
            # Under the same idempotency_key, at the same moment, another server's may be there.
            record = await self._records.write_record(record)
            return await self._hand_over(record, is_first=is_first)
        except BaseException as error:
            accepted = await asyncio.shield(self._give_up(record, error, may_have_record))
            if accepted is None:
                raise
            return accepted

    async def _go_on(self, facts: BucketFacts) -> Submitted:
        """Return a run that was submitted before, finishing that submit if it was cut off."""
        if facts.accepted or facts.result or facts.final or facts.stop:
            return Submitted(facts, None, is_new=False)
        return await self._hand_over(facts.record, is_first=False)

    async def _hand_over(self, record: RunRecord, *, is_first: bool) -> Submitted:
        """Create the Job of a record and have it accepted.

        Of several that do so at once, the run is new to one: to whoever accepted it or, where a
        server's own look at its Job did, to the submit that was the first of all (``is_first``).

        Raises:
            ConflictError: it was deleted meanwhile.
            UnavailableError: it was taken for leftovers meanwhile and is being removed.
        """
        run_id = record.run_id
        job = await cluster_jobs.create(
            self._connection, job_manifest.build_job(record, self.policy(record))
        )
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        submit = uuid.uuid4().hex
        accepted = await self._records.accept(
            run_id, {"job_name": name, "uid": uid, "submit": submit}
        )
        # After that: what is removed now was removed before it was accepted, or by a user.
        keys = await self._records.list_keys(run_id)
        is_deleted = pod_contract.DELETED_KEY in keys
        inputs = {f"{pod_contract.INPUT_PREFIX}{item['path']}" for item in record.input}
        if accepted is None or is_deleted or not keys >= {pod_contract.RECORD_KEY, *inputs}:
            await cluster_jobs.delete(self._connection, record.namespace, name, uid=uid)
            if is_deleted:
                raise errors.ConflictError(
                    say(
                        "deleted-while-submitted",
                        "The run was deleted while it was being submitted.",
                    )
                )
            if accepted is not None:
                await self._records.forget(run_id)
            raise errors.UnavailableError(_BEING_REMOVED)
        log.info("run_id=%s submitted local_queue=%s", run_id, record.local_queue)
        is_new = accepted["submit"] == submit if "submit" in accepted else is_first
        return Submitted(BucketFacts(record, accepted=accepted), job, is_new=is_new)

    async def _give_up(
        self, record: RunRecord, error: BaseException, may_have_record: bool
    ) -> Submitted | None:
        """Remove what a failed submit did, as far as bucket and cluster answer now.

        Under an idempotency_key nothing is removed that a repeat, on whichever server, finishes or
        is finishing now. What stays is found by the reconciler.

        Returns:
            The run where it was accepted all the same, by this submit or through another server;
            None where it failed.

        Raises:
            UnavailableError: ``error`` in other words, because nobody can tell which of both.
        """
        run_id = record.run_id
        is_keyed = record.request.idempotency_key is not None
        if isinstance(error, errors.ConflictError):
            # Another's word on this id, such as a delete, is what stays.
            return None
        if is_keyed and not (may_have_record and isinstance(error, _REFUSALS)):
            return None
        is_undecided = may_have_record
        try:
            async with asyncio.timeout(patience.TAKE_BACK_SECONDS):
                if may_have_record:
                    accepted = await self._records.clear(run_id, run_records.FAILED_SUBMIT)
                    if accepted is not None:
                        log.info("run_id=%s was accepted before its submit failed", run_id)
                        # Refused here, so under a key it was another server that handed it over.
                        return Submitted(
                            BucketFacts(record, accepted=accepted), None, is_new=not is_keyed
                        )
                    is_undecided = False
                    if not is_keyed:
                        # A Job that comes late meets it.
                        await self._records.write_tombstone(run_id, run_records.FAILED_SUBMIT)
                    name = names.job_name(run_id)
                    await cluster_jobs.delete(self._connection, record.namespace, name)
                await self._records.forget(run_id)
        except (errors.JupyterKueueError, TimeoutError) as problem:
            why = str(problem) or type(problem).__name__
            log.warning("run_id=%s failed submit not fully taken back yet: %s", run_id, why)
            if is_undecided and isinstance(error, errors.UnavailableError):
                raise type(error)(
                    say(
                        "failed-and-may-still-come",
                        "{message} {advice}",
                        message=error.message,
                        advice=_MAY_STILL_COME,
                    )
                ) from error
        return None

    def policy(self, spec: RunSpec) -> job_manifest.PodPolicy:
        """Return what the admin decides about the pods of ``spec``."""
        settings = self._settings
        return job_manifest.PodPolicy(
            runner_image=settings.runner_image or spec.image,
            bucket_secret=settings.bucket_secret,
            grace_period_seconds=settings.grace_period_seconds,
            max_notebook_output_bytes=settings.max_notebook_output_bytes,
            staging_cpu=settings.staging_cpu,
            staging_memory=settings.staging_memory,
            staging_memory_limit=settings.staging_memory_limit,
            staging_seconds=settings.staging_seconds,
            max_output_files=settings.max_output_files,
            max_output_file_bytes=settings.max_output_file_bytes,
            max_output_bytes=settings.max_output_bytes,
            max_evictions=settings.max_evictions,
            limits=PodLimits(
                cpu_limit=settings.cpu_limit,
                ephemeral_storage_request=settings.ephemeral_storage_request,
                ephemeral_storage_limit=settings.ephemeral_storage_limit,
                volume_sizes=(
                    ("control", settings.control_size_limit),
                    ("runner", settings.control_size_limit),
                    ("export-request", settings.control_size_limit),
                    ("export", settings.control_size_limit),
                    ("workspace", settings.workspace_size_limit),
                    ("checkpoints", settings.checkpoints_size_limit),
                    ("scratch", settings.scratch_size_limit),
                ),
            ),
            run_as_user=settings.run_as_user,
            run_as_group=settings.run_as_group,
            template=dict(settings.pod_template),
        )


def _name_of(notebook: str) -> str:
    """Return a run's name where the user gave none: the notebook's, without its ending."""
    name = notebook.rpartition("/")[2].removesuffix(".ipynb")
    return text_rules.shown_line(name, names.MAX_NAME_LENGTH)


def _left_behind(found: Input) -> LeftBehind | None:
    if not found.left_behind_count and not found.ignored_count:
        return None
    return {
        "count": found.left_behind_count,
        "paths": list(found.left_behind),
        "ignored_count": found.ignored_count,
        "ignored_paths": list(found.ignored),
    }


@functools.cache
def _known_formats() -> frozenset[str]:
    """Return nbconvert's exporters, and ``ipynb``, which needs none."""
    exporters = importlib.metadata.entry_points(group="nbconvert.exporters")
    return frozenset({"ipynb", *(exporter.name for exporter in exporters)})


def _digest(request: RunRequest) -> str:
    content = json.dumps(request.as_json(), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
