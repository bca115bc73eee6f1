"""The work of ``stage_out``: upload while the notebook runs, and store the outputs at its end.

It tells ``execute`` when to exit and retries while the bucket is unavailable. How a run ended is
decided by ``execute`` or the pod's status, never here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from jupyter_kueue.backoff import Backoff
from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.contract.sentences import both, foreign, say
from jupyter_kueue.domain import errors
from jupyter_kueue.runner.shared import control
from jupyter_kueue.runner.stage_out import node_pressure, reports
from jupyter_kueue.runner.stage_out.final_upload import Folders, Outputs
from jupyter_kueue.runner.stage_out.live_upload import Live
from jupyter_kueue.runner.staging import unforeseen
from jupyter_kueue.runner.staging.attempt import Attempt, SupersededError
from jupyter_kueue.storage.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.runner.shared.stopping import Stop
    from jupyter_kueue.runner.stage_out.kept_log import KeptLog

POLL_SECONDS = 0.02
LIVE_SECONDS = 2.0
# The share of the time that may be spent on live uploads.
LIVE_SHARE = 0.1
# How many different messages are remembered, so that each is logged once.
MAX_SAID = 100
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
# The share of the grace period for the last upload of a stopped pod.
GRACE_SHARE = 0.8
# If all containers are stopped at once, not the sidecar last, execute has this long to end.
LAST_WORD_SECONDS = 1.0


class Sidecar:
    """The sidecar's work for one attempt; ``terminated`` is set by SIGTERM."""

    def __init__(
        self, attempt: Attempt, folders: Folders, run: control.Json, terminated: asyncio.Event
    ) -> None:
        self._attempt = attempt
        self._folders = folders
        self._run = run
        self._terminated = terminated
        self._runner = control.folder(pod_contract.ENV_RUNNER_DIR)
        self._room = node_pressure.measure(self._runner)
        self._said: set[str] = set()
        self._end = reports.End(folders.control)
        self._live = Live(
            attempt,
            folders.control,
            control.folder(pod_contract.ENV_CHECKPOINT_DIR),
            control.read(self._runner / pod_contract.STAGED_CHECKPOINTS_FILE) or {},
            folders.log,
            self._say,
        )

    async def run(self) -> None:
        """Upload until ``execute`` ends or the pod stops, then finish."""
        uploads = [
            asyncio.ensure_future(self._keep_uploading(self._live.upload)),
            asyncio.ensure_future(self._keep_uploading(self._live.upload_checkpoints)),
        ]
        ended = await self._ended()
        for upload in uploads:
            upload.cancel()
        await asyncio.wait(uploads)
        if ended is None:
            await self._flush_stopped()
            ended = await self._ended(LAST_WORD_SECONDS)
        if ended is not None:
            # For any duration, because outputs may be large: execute waits while it sees this.
            alive = asyncio.ensure_future(self._show_life())
            committed = await self._finish(ended)
            alive.cancel()
            control.write(self._runner / pod_contract.COMMITTED_FILE, committed)

    async def _show_life(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # the disk is full; the upload can continue
                (self._runner / pod_contract.STORING_FILE).touch()
            await asyncio.sleep(pod_contract.STORING_SECONDS)

    async def _ended(self, seconds: float | None = None) -> control.Json | None:
        """Return ENDED, or None if the pod stops first (or after ``seconds``)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            ended = self._end.read()
            if ended is not None:
                return ended
            if deadline is None and self._terminated.is_set():
                return None
            if deadline is not None and time.monotonic() > deadline:
                return None
            await asyncio.sleep(POLL_SECONDS)

    async def _keep_uploading(self, upload: Callable[[], Awaitable[None]]) -> None:
        """Upload changes every few seconds, until cancelled or until a newer attempt takes over."""
        pause = LIVE_SECONDS
        while True:
            await asyncio.sleep(pause)
            started = time.monotonic()
            try:
                await upload()
            except SupersededError as error:
                self._say(error.message)
                return
            except (
                errors.JupyterKueueError,
                OSError,
            ) as error:  # OSError: of a file, or a full disk
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 - the end must be put away in any case
                self._say(
                    self._unforeseen(
                        say("state-not-saved", "The state so far could not be saved"), error
                    )
                )
            # Large files are uploaded less often than small ones.
            pause = max(LIVE_SECONDS, (time.monotonic() - started) / LIVE_SHARE)

    def _unforeseen(self, doing: Sentence, error: Exception) -> Sentence:
        return unforeseen.sentence(doing, pod_contract.STAGE_OUT, error)

    def _say(self, message: str) -> None:
        """Log a message, once."""
        if message in self._said:
            return
        if len(self._said) >= MAX_SAID:
            self._said.clear()
        self._said.add(message)
        print(f"stage-out: {message}", flush=True)

    async def _flush(self, reason: str | None, message: Sentence, seen: control.Json) -> None:
        """Upload what the next attempt, or a user who looks at this one, needs."""
        if self._terminated.is_set() and (short := self._node_is_short_of()):
            # An evicting kubelet leaves two seconds: first store what the next attempt counts.
            ran_out = say("node-ran-out-of", "Its machine ran out of {what}.", what=short)
            reason = pod_contract.EVICTED
            message = both(ran_out, message) if message else ran_out
            await self._record(reason, message, seen)
        await asyncio.gather(self._live.upload(), self._live.upload_checkpoints(all_of_them=True))
        await self._record(reason, message, seen)

    async def _record(self, reason: str | None, message: Sentence, seen: control.Json) -> None:
        await self._attempt.record(
            reason=reason, message=message, ended_at=control.now(), seen=seen
        )

    def _node_is_short_of(self) -> str:
        now = node_pressure.measure(self._runner)
        return " and ".join(sorted(node_pressure.arisen(self._room, now)))

    async def _flush_stopped(self) -> None:
        """Save the state of an ``execute`` that was killed; the pod's status has the reason."""
        progress = reports.read_progress(self._folders.control) or {}
        grace = control.seconds(
            pod_contract.ENV_GRACE_PERIOD, pod_contract.DEFAULT_GRACE_PERIOD_SECONDS
        )
        try:
            async with asyncio.timeout(grace * GRACE_SHARE):
                await self._flush(None, foreign(""), progress)
        except (errors.JupyterKueueError, OSError) as error:  # TimeoutError is an OSError
            self._say(f"The last state of the run could not be saved: {error}")

    async def _finish(self, ended: control.Json) -> control.Json:
        """Store everything, retrying errors that may pass, and return COMMITTED."""
        outputs = Outputs(self._attempt, self._folders, self._run, ended)
        patience = control.seconds(
            pod_contract.ENV_STAGING_SECONDS, pod_contract.DEFAULT_STAGING_SECONDS
        )
        started = time.monotonic()
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            pause = backoff.next()
            try:
                result_of = await self._put_away(outputs, ended)
            except SupersededError as error:
                return {"committed": False, "message": error.message, "superseded": True}
            except (errors.JupyterKueueError, OSError) as error:
                self._say(f"{error} Trying again.")
                if time.monotonic() - started + pause > patience:
                    message = say(
                        "outputs-not-put-away",
                        "The outputs could not be stored: {problem}",
                        problem=sentences.of_error(error),
                    )
                    return await self._given_up(message, ended)
            except Exception as error:  # noqa: BLE001 - execute waits for a word
                message = self._unforeseen(
                    say("outputs-not-put-away-at-all", "The outputs could not be stored"), error
                )
                return await self._given_up(message, ended)
            else:
                return {"committed": True, "message": "", "result_of": result_of}
            await asyncio.sleep(pause)

    async def _given_up(self, message: Sentence, ended: control.Json) -> control.Json:
        """Note in the attempt's record that its outputs are not stored; return COMMITTED."""
        try:
            if ended["outcome"] != pod_contract.DISK_FULL:  # already recorded
                await self._record(pod_contract.STAGING, message, ended)
        except Exception as error:  # noqa: BLE001 - execute says the same, and the pod's status
            self._say(f"The attempt's record could not be written: {error}")
        return {"committed": False, "message": message, "result_of": None}

    async def _put_away(self, outputs: Outputs, ended: control.Json) -> str | None:
        outcome = ended["outcome"]
        message = sentences.restored(ended["message"], ended["sentence"])
        if outcome not in pod_contract.FINAL_OUTCOMES:
            await self._flush(outcome, message, ended)
            return None
        if outcome == pod_contract.DISK_FULL:
            # It may be evicted at any moment, and the next attempt must know.
            await self._record(outcome, message, ended)
        result_of = await outputs.commit()
        # The result is stored; an error of the record must not undo that.
        try:
            await self._record(outcome, message, ended)
        except errors.JupyterKueueError as error:
            self._say(f"The attempt's record could not be written: {error.message}")
        return result_of


def main(stop: Stop, log: KeptLog) -> None:
    """Work, wait for ``stop``, and exit.

    The sidecar waits after its work, because the kubelet would restart it if it ended. Unexpected
    errors are raised.
    """
    asyncio.run(_work(stop, log))
    control.end_now(pod_contract.EXIT_SUCCEEDED, "")


async def _work(stop: Stop, log: KeptLog) -> None:
    terminated = stop.event()
    runner = control.folder(pod_contract.ENV_RUNNER_DIR)
    # A killed sidecar is restarted, and its work may already be done.
    done = (pod_contract.FINISHED_FILE, pod_contract.COMMITTED_FILE)
    run = control.read(runner / pod_contract.RUN_FILE)
    if run is not None and not any((runner / name).exists() for name in done):
        folders = Folders(
            control=control.folder(pod_contract.ENV_CONTROL_DIR),
            files=control.folder(pod_contract.ENV_WORKSPACE_DIR),
            log=log,
            staged=control.read(runner / pod_contract.STAGED_FILE) or {},
        )
        bucket = Bucket.open(control.folder(pod_contract.ENV_BUCKET_DIR))
        await Sidecar(Attempt(bucket, run["started_at"]), folders, run, terminated).run()
    await terminated.wait()
