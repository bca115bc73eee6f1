"""Wires the service together and keeps it connected: one per server process.

``extension`` starts and stops it. Starting returns at once; connecting is tried for ever in the
background, and until it succeeds ``runs`` and the rest raise what is missing and how to mend it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import both, say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.service.changes import Changes

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.config import Settings
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.environments import Environments
    from jupyter_kueue.service.queues.local_queues import Queues
    from jupyter_kueue.service.runs.reconciler import Reconciler
    from jupyter_kueue.service.runs.runs import Runs
    from jupyter_kueue.service.schedules.schedules import Schedules
    from jupyter_kueue.storage.bucket import Bucket

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
# How long a request waits for a server that is just starting.
_PATIENCE_SECONDS = 10.0
_PULSE_SECONDS = 3.0
_PULSE_AWAY_SECONDS = 1.0
_PULSE_TIMEOUT_SECONDS = 3.0
_SERVER_RETRIES = 1
_SERVER_RETRY_SECONDS = 3
_SERVER_BUCKET_SECONDS = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    """What exists once cluster and bucket are known."""

    connection: Connection
    bucket: Bucket
    cluster: ClusterView
    runs: Runs
    schedules: Schedules
    queues: Queues
    environments: Environments
    reconciler: Reconciler

    @property
    def problem(self) -> errors.JupyterKueueError | None:
        """Why cluster or bucket do not answer just now."""
        return self.cluster.error or self.reconciler.problem


class Application:
    """The service of one owner in one namespace.

    Attributes:
        settings: the settings in force.
        owner: whose runs these are.
        changes: the feed of state changes; it lives as long as the server.
        problem: why it is not connected, None when it is.
    """

    def __init__(self, settings: Settings, root_dir: Path, *, allow_hidden: bool = False) -> None:
        """``allow_hidden`` says that users see files whose name begins with a dot as any others."""
        self.settings = settings
        self.owner = Owner.of(settings.owner)
        self.changes = Changes()
        self.problem: errors.JupyterKueueError | None = None
        self._root_dir = root_dir
        self._allow_hidden = allow_hidden
        self._parts: _Parts | None = None
        self._is_loaded = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._task = asyncio.create_task(self._run_for_ever())

    async def stop(self) -> None:
        """End all that runs; the runs themselves go on in the cluster."""
        self.changes.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def namespace(self) -> str | None:
        """The namespace runs are created in, None until it is known."""
        return self._parts.cluster.namespace if self._parts else self.settings.namespace

    @property
    def connection(self) -> Connection | None:
        """The connection to the cluster, None while there is none."""
        return self._parts.connection if self._parts else None

    @property
    def bucket(self) -> Bucket | None:
        """The bucket, None while it is not known."""
        return self._parts.bucket if self._parts else None

    @property
    def reading_problem(self) -> Sentence | None:
        """What keeps the lists from being all that the bucket holds, None where they are."""
        if self._parts is None:
            return None
        reconciler = self._parts.reconciler
        if reconciler.problem is not None:
            return say(
                "not-all-runs-read",
                "Not all runs could be read: {message}",
                message=reconciler.problem.message,
            )
        if not self._is_loaded.is_set():
            return say("runs-being-read", "The runs are still being read from the bucket.")
        if unread := list(reconciler.unread):
            error = reconciler.unread.find(unread[0])
            return say(
                "records-of-runs-not-read",
                "The records of {count} runs cannot be read, for example {example}: {message}",
                count=len(unread),
                example=unread[0],
                message="" if error is None else error.message,
            )
        return None

    @property
    def cluster(self) -> ClusterView:
        """The live view of the cluster. Raises what is missing."""
        return self._required().cluster

    @property
    def queues(self) -> Queues:
        """The LocalQueues. Raises what is missing."""
        return self._required().queues

    @property
    def environments(self) -> Environments:
        """Environments and profiles. Raises what is missing."""
        return self._required().environments

    def unreadable(self) -> dict[str, Sentence]:
        """Return what bucket and cluster hold that cannot be understood: its name -> why."""
        if self._parts is None:
            return {}
        parts = self._parts
        return {
            **parts.reconciler.unreadable(),
            **parts.schedules.unreadable(),
            **parts.cluster.unreadable(),
        }

    async def runs(self) -> Runs:
        """Return the runs once they are loaded.

        Raises:
            NotConfiguredError, UnavailableError: what is missing, at once if that is known.
        """
        await self.started()
        parts = self._required()
        if not self._is_loaded.is_set():
            raise _anew(parts.problem) or errors.UnavailableError(
                say(
                    "runs-being-read-try-again",
                    "The runs are still being read from the bucket. Try again in a moment.",
                )
            )
        return parts.runs

    async def schedules(self) -> Schedules:
        """Return the schedules, once they and the runs are loaded.

        Raises:
            NotConfiguredError, ForbiddenError, UnavailableError: what is missing.
        """
        await self.runs()
        schedules = self._required().schedules
        await schedules.loaded(_PATIENCE_SECONDS)
        return schedules

    def _required(self) -> _Parts:
        if self._parts is None:
            raise _anew(self.problem) or errors.UnavailableError(
                say(
                    "connecting-to-cluster",
                    "The server is still connecting to the cluster. Try again in a moment.",
                )
            )
        return self._parts

    async def started(self) -> None:
        """Wait for a server that is just starting, until it is ready or knows what is missing."""
        if not self._is_loaded.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._loaded_or_problem(), _PATIENCE_SECONDS)

    async def _loaded_or_problem(self) -> None:
        loaded = asyncio.ensure_future(self._is_loaded.wait())
        try:
            while not loaded.done() and self.problem is None:
                if self._parts is not None and self._parts.problem is not None:
                    return
                await asyncio.wait([loaded], timeout=0.05)
        finally:
            loaded.cancel()

    async def _run_for_ever(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._run_connected()
            except errors.JupyterKueueError as error:
                if self.problem is None or self.problem.message != error.message:
                    log.warning("not connected: %s", error)
                self.problem = error
            except Exception as error:
                # A server that gave up here would stay useless until it is restarted.
                log.exception("the service stopped and is started again")
                self.problem = errors.UnavailableError(
                    say(
                        "service-started-again",
                        "The service stopped and is being restarted ({error}); see the server's "
                        "log.",
                        error=type(error).__name__,
                    )
                )
            finally:
                self._parts = None
                self._is_loaded.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _run_connected(self) -> None:
        """Connect and serve until something unforeseen happens."""
        # Slow to import, and not needed before: Jupyter's start must not pay for them.
        from jupyter_kueue.service import assembly  # noqa: PLC0415

        bucket, connection = await _open(self.settings)
        try:
            namespace = self.settings.namespace or connection.namespace
            assembled = assembly.assemble(
                self.settings,
                self.owner,
                self._root_dir,
                self._allow_hidden,
                connection,
                namespace,
                bucket,
                self.changes,
            )
            self._parts = _Parts(
                connection,
                bucket,
                assembled.cluster,
                assembled.runs,
                assembled.schedules,
                assembled.queues,
                assembled.environments,
                assembled.reconciler,
            )
            self.problem = None
            async with asyncio.TaskGroup() as group:
                group.create_task(assembled.cluster.run())
                group.create_task(assembled.reconciler.run())
                group.create_task(assembled.schedule_keeper.run())
                group.create_task(assembled.queues.watch_limits())
                group.create_task(self._feel_pulse(connection, assembled.cluster))
                await assembled.reconciler.is_complete.wait()
                self._is_loaded.set()
        finally:
            await connection.close()

    async def _feel_pulse(self, connection: Connection, cluster: ClusterView) -> None:
        """Notice an API server that hangs: a watch on it stays silent, as one without news does.

        One that is back wakes all who pause between two tries.
        """
        while True:
            is_away = cluster.error is not None
            await asyncio.sleep(_PULSE_AWAY_SECONDS if is_away else _PULSE_SECONDS)
            try:
                await connection.get("/version", timeout_seconds=_PULSE_TIMEOUT_SECONDS)
            except errors.JupyterKueueError as error:
                cluster.hangs = error
            else:
                if cluster.hangs is not None:
                    cluster.hangs = None
                    connection.availability.tell_back()


def _anew(error: errors.JupyterKueueError | None) -> errors.JupyterKueueError | None:
    """Return a known error to raise again, without the frames of the request before."""
    return error.with_traceback(None) if error is not None else None


async def _open(settings: Settings) -> tuple[Bucket, Connection]:
    """Open the bucket and connect to the cluster; an error names all that is missing."""
    problems = []
    bucket: Bucket | None = None
    connection: Connection | None = None
    try:
        bucket = _open_bucket(settings)
    except errors.NotConfiguredError as error:
        problems.append(error.message)
    try:
        connection = await _connect(settings)
    except errors.NotConfiguredError as error:
        problems.append(error.message)
    if bucket is None or connection is None:
        if connection is not None:
            await connection.close()
        raise errors.NotConfiguredError(functools.reduce(both, problems))
    return bucket, connection


async def _connect(settings: Settings) -> Connection:
    from jupyter_kueue.cluster.connection import Connection  # noqa: PLC0415 - see above

    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    named = settings.kubeconfig or os.environ.get("KUBECONFIG")
    if settings.in_cluster or (in_pod and not named):
        return await Connection.in_cluster()
    return await Connection.from_kubeconfig(settings.kubeconfig, settings.context)


def _open_bucket(settings: Settings) -> Bucket:
    from jupyter_kueue.storage.bucket import Bucket  # noqa: PLC0415 - see above

    if not settings.bucket:
        raise errors.NotConfiguredError(
            say(
                "no-bucket-configured",
                "No bucket is configured: set c.JupyterKueue.bucket or JUPYTER_KUEUE_BUCKET "
                'to its URL or credentials folder. On the local cluster: `eval "$(jupyter '
                'kueue local env)"`.',
            )
        )
    where: Path | str = settings.bucket if "://" in settings.bucket else Path(settings.bucket)
    # A user waits for a server's answers; pods have the patience of the default.
    return Bucket.open(
        where,
        {"timeout": f"{_SERVER_BUCKET_SECONDS}s"},
        retries=_SERVER_RETRIES,
        retry_seconds=_SERVER_RETRY_SECONDS,
    )
