"""The work of ``stage_in``: fetch what a run needs, and pass on what the other containers need.

It retries for a limited time while the bucket is unavailable.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from jupyter_kueue.backoff import Backoff
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors
from jupyter_kueue.runner.shared import control
from jupyter_kueue.runner.stage_in import former_attempts
from jupyter_kueue.runner.staging import unforeseen
from jupyter_kueue.runner.staging.attempt import Attempt
from jupyter_kueue.runner.staging.workspace import signatures
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.file_marks import NO_MARKS, FileMarks
from jupyter_kueue.storage.untrusted_folder import UntrustedFolder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.storage.bucket import ObjectMeta

DOWNLOADS_AT_ONCE = 16
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
# Waiting rarely helps against a refusal or a missing object, so these are retried only so long.
HOPELESS_SECONDS = 10.0
# Servers accept only smaller ones (max_notebook_bytes).
MAX_NOTEBOOK_BYTES = 2**30


class StageIn:
    """One attempt's staging."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.attempt = Attempt(bucket, control.now())
        self.prefix = self.attempt.prefix
        self.runner = control.folder(pod_contract.ENV_RUNNER_DIR)
        self.control = control.folder(pod_contract.ENV_CONTROL_DIR)
        self.workspace = control.folder(pod_contract.ENV_WORKSPACE_DIR)
        self.checkpoints = control.folder(pod_contract.ENV_CHECKPOINT_DIR)
        self._slots = asyncio.Semaphore(DOWNLOADS_AT_ONCE)

    async def run(self) -> None:
        """Stage all inputs, retrying errors that may pass."""
        patience = control.seconds(
            pod_contract.ENV_STAGING_SECONDS, pod_contract.DEFAULT_STAGING_SECONDS
        )
        started = time.monotonic()
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            pause = backoff.next()
            try:
                return await self._stage()
            except errors.InvalidRequestError:
                raise  # a retry cannot change it
            except errors.JupyterKueueError as error:
                passing = isinstance(error, errors.UnavailableError)
                limit = patience if passing else min(patience, HOPELESS_SECONDS)
                if time.monotonic() - started + pause > limit:
                    raise
                print(f"stage-in: {error.message} Trying again.", flush=True)
            await asyncio.sleep(pause)

    async def tell(self) -> None:
        """Record in the bucket that the notebook runs now, which no container's state shows."""
        if not (self.runner / pod_contract.RUN_FILE).exists():
            return None
        # From here on SIGTERM may end the process at any time: everything is staged.
        signal.signal(signal.SIGTERM, lambda _signal, _frame: os._exit(pod_contract.EXIT_SUCCEEDED))
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            try:
                return await self.attempt.record()
            except errors.JupyterKueueError as error:
                print(f"stage-in: {error.message} Trying again.", flush=True)
            if os.path.lexists(self.control / pod_contract.ENDED_FILE):  # noqa: ASYNC240 - a look at a local folder
                return None  # stage-out records more
            await asyncio.sleep(backoff.next())

    async def _stage(self) -> None:
        reading = asyncio.gather(
            self.bucket.head(self.prefix + pod_contract.RESULT_KEY),
            self.bucket.list(self.prefix + pod_contract.CHECKPOINTS_PREFIX),
            self._find_verdict(),
            return_exceptions=True,
        )
        # Its error is the one to report: the answer to a HEAD does not say why it is refused.
        record = await self._find_record()
        result, checkpoints, verdict = await reading
        if isinstance(result, BaseException):
            raise result
        if isinstance(checkpoints, BaseException):
            raise checkpoints
        if isinstance(verdict, BaseException):
            raise verdict
        if record is None:
            print("stage-in: the schedule has ended, this run is none of it.", flush=True)
            control.write(self.runner / pod_contract.FINISHED_FILE, {})
            return
        if result is not None:
            print("stage-in: a former attempt finished this run; nothing to do.", flush=True)
            control.write(self.runner / pod_contract.FINISHED_FILE, {})
            return
        if verdict is not None:
            await self._end(verdict)
            return
        with UntrustedFolder(self.workspace) as folder, UntrustedFolder(self.checkpoints) as kept:
            inputs = [
                self._fetch(
                    pod_contract.INPUT_PREFIX,
                    folder,
                    file["path"],
                    file.get("sha256"),
                    FileMarks.of_item(file),
                )
                for file in record["input"]
            ]
            for path in record.get("empty_folders", ()):
                folder.make_folder(path)
            former = [self._fetch_checkpoint(kept, path) for path in self._tree_of(checkpoints)]
            await asyncio.gather(
                self.attempt.take_over(),
                self.attempt.record(is_staged=False),
                *inputs,
                *former,
            )
            self._write_run(record, folder)
        print(f"stage-in: {len(inputs)} files, {len(former)} checkpoints.", flush=True)

    async def _find_verdict(self) -> former_attempts.Verdict | None:
        """Return why the notebook must not run again, None if it may."""
        records = await self.attempt.former_records(former_attempts.MOST_READ)
        if not records:
            return None
        record = await self.bucket.get_json(self.prefix + pod_contract.RECORD_KEY)
        most = control.seconds(pod_contract.ENV_MAX_EVICTIONS, pod_contract.DEFAULT_MAX_EVICTIONS)
        retries = record["request"].get("max_retries") or 0
        return former_attempts.verdict(records, self.attempt.uid, int(most), retries)

    async def _end(self, verdict: former_attempts.Verdict) -> None:
        """Record the result of a run that cannot go on, and end this pod successfully.

        The Job is then complete, whatever exit codes its policy counts, and the record says how the
        run ended.
        """
        print(f"stage-in: {verdict.message} Nothing to do.", flush=True)
        await self.attempt.take_over()
        await self.attempt.record(
            reason=verdict.reason,
            message=verdict.message,
            ended_at=control.now(),
            is_staged=False,
        )
        control.write(self.runner / pod_contract.FINISHED_FILE, {})

    async def _find_record(self) -> control.Json | None:
        """Return record.json; create it if a CronJob started the run while no server was running.

        Returns None if the schedule has ended or was deleted, or its ``max_runs`` is reached.
        """
        try:
            record: control.Json = await self.bucket.get_json(self.prefix + pod_contract.RECORD_KEY)
        except errors.NotFoundError:
            if pod_contract.ENV_SCHEDULE_ID not in os.environ:
                raise
        else:
            return record
        from jupyter_kueue.storage import scheduled_runs  # noqa: PLC0415 - only where needed

        scheduled = scheduled_runs.ScheduledRun(
            owner_slug=os.environ[pod_contract.ENV_OWNER],
            schedule_id=os.environ[pod_contract.ENV_SCHEDULE_ID],
            revision=os.environ[pod_contract.ENV_SCHEDULE_REVISION],
            run_id=os.environ[pod_contract.ENV_RUN_ID],
            job_name=os.environ[pod_contract.ENV_JOB_NAME],
            created_at=self.attempt.started_at,
        )
        made = await scheduled_runs.take_in(self.bucket, scheduled)
        return made.as_json() if made is not None else None

    def _tree_of(self, checkpoints: Iterable[ObjectMeta]) -> list[str]:
        """Return the paths of the checkpoints, without older ones whose place a newer one needs.

        If a file became a folder or the reverse, the bucket has both when an attempt ended before
        it could delete the older one.
        """
        cut = len(self.prefix + pod_contract.CHECKPOINTS_PREFIX)
        files: set[str] = set()
        folders: set[str] = set()
        for meta in sorted(checkpoints, key=lambda meta: meta.last_modified, reverse=True):
            path = meta.key[cut:]
            above = {str(folder) for folder in PurePosixPath(path).parents} - {"."}
            if path in folders or not above.isdisjoint(files):
                print(f"stage-in: the older checkpoint {path!r} is left out.", flush=True)
                continue
            files.add(path)
            folders |= above
        return sorted(files)

    async def _fetch_checkpoint(self, folder: UntrustedFolder, path: str) -> None:
        try:
            await self._fetch(pod_contract.CHECKPOINTS_PREFIX, folder, path, None)
        except errors.NotFoundError:  # deleted since it was listed
            print(f"stage-in: the checkpoint {path!r} is gone.", flush=True)

    async def _fetch(
        self,
        prefix: str,
        folder: UntrustedFolder,
        path: str,
        sha256: str | None,
        marks: FileMarks = NO_MARKS,
    ) -> None:
        """Download one file and verify its digest if it is known."""
        async with self._slots:
            with folder.replaced_file(path) as file:
                stored = await self.bucket.download_into(f"{self.prefix}{prefix}{path}", file)
                file.flush()
                marks.apply(file.fileno())
        if sha256 is not None and stored.sha256 != sha256:
            message = say(
                "input-differs",
                "{path} differs from what was submitted. Submit the run again.",
                path=path,
            )
            raise errors.ConflictError(foreign(message))

    def _write_run(self, record: control.Json, folder: UntrustedFolder) -> None:
        """Inject the parameters and write the files for the other containers."""
        request = record["request"]
        if request.get("parameters"):
            from jupyter_kueue.runner.stage_in import parameters_cell  # noqa: PLC0415 - only where needed

            notebook = parameters_cell.inject(
                folder.read_bytes(record["notebook"], max_bytes=MAX_NOTEBOOK_BYTES),
                request["parameters"],
                request.get("kernel_name"),
            )
            with folder.replaced_file(record["notebook"]) as file:
                file.write(notebook)
        for name, staged in (
            (pod_contract.STAGED_FILE, self.workspace),
            (pod_contract.STAGED_CHECKPOINTS_FILE, self.checkpoints),
        ):
            control.write(self.runner / name, signatures(staged))
        control.write(
            self.runner / pod_contract.RUN_FILE,
            {
                "run_id": os.environ[pod_contract.ENV_RUN_ID],
                "notebook": record["notebook"],
                "kernel_name": request.get("kernel_name"),
                "timeout_seconds": request.get("timeout_seconds"),
                "cell_timeout_seconds": request.get("cell_timeout_seconds"),
                "output_formats": request.get("output_formats") or ["ipynb"],
                "started_at": self.attempt.started_at,
            },
        )


def main() -> int:
    """Stage in and return the exit code; the termination message has the reason of a failure."""
    try:
        bucket = Bucket.open(control.folder(pod_contract.ENV_BUCKET_DIR))
        asyncio.run(_stage_in(bucket))
    except errors.JupyterKueueError as error:
        control.say(f"The inputs could not be fetched: {error.message}")
        return pod_contract.EXIT_STAGING
    except FailedError as error:
        control.say(str(error))
        return pod_contract.EXIT_STAGING
    return pod_contract.EXIT_SUCCEEDED


class FailedError(Exception):
    """An unforeseen error; the text is a sentence about it."""


async def _stage_in(bucket: Bucket) -> None:
    staging = StageIn(bucket)
    try:
        await staging.run()
        await staging.tell()
    except errors.JupyterKueueError as error:
        await _record_failure(staging, error.message)
        raise
    except Exception as error:
        doing = say("inputs-not-fetched", "The inputs could not be fetched")
        message = unforeseen.sentence(doing, pod_contract.STAGE_IN, error)
        await _record_failure(staging, message)
        raise FailedError(message) from error


async def _record_failure(staging: StageIn, message: Sentence) -> None:
    try:
        await staging.attempt.record(
            reason=pod_contract.STAGING, message=message, ended_at=control.now(), is_staged=False
        )
    except errors.JupyterKueueError as error:
        print(f"stage-in: the attempt could not be recorded: {error.message}", flush=True)
