"""The application: one per server process, for whatever answers a user.

It connects in the background and keeps trying. Until it is connected, requests wait; as soon as it
is known that something is missing, they get an error that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from typing import TYPE_CHECKING

from jupyter_kueue import patience
from jupyter_kueue.backoff import Backoff
from jupyter_kueue.condition_variable import ConditionVariable
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.service import readiness
from jupyter_kueue.service.changes import Changes
from jupyter_kueue.service.readiness import Readiness, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.config import Settings
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.service.cluster_state import ClusterView
    from jupyter_kueue.service.connected import Connected
    from jupyter_kueue.service.environments import Environments
    from jupyter_kueue.service.queues.local_queues import Queues
    from jupyter_kueue.service.runs.runs import Runs
    from jupyter_kueue.service.schedules.schedules import Schedules
    from jupyter_kueue.storage.bucket import Bucket

# Its key in the settings of the web application, which all extensions of a server share.
SETTING = "jupyter_kueue"

# Slow to import: not before Jupyter has started, and not in its event loop.
_SLOW_MODULES = (
    "jupyter_kueue.service.connected",
    "kubernetes.aio.client",
    "kubernetes.aio.config",
    "aiohttp",
)

log = logging.getLogger(__name__)


class Application:
    """The service of one owner in one namespace, connected or not."""

    def __init__(
        self,
        settings: Settings | errors.NotConfiguredError,
        root_dir: Path,
        *,
        allow_hidden: bool = False,
    ) -> None:
        """Prepare; ``start`` begins to connect.

        Args:
            settings: the settings in force, or why they are unusable; then the state is ``failed``
                for good.
            root_dir: the folder that users see as their files.
            allow_hidden: whether users see files whose names begin with a dot.
        """
        self._settings = settings
        self._root_dir = root_dir
        self._allow_hidden = allow_hidden
        self._changes = Changes()
        self._failure = settings if isinstance(settings, errors.NotConfiguredError) else None
        self._problem: errors.JupyterKueueError | None = None
        self._connected: Connected | None = None
        self._changed = ConditionVariable()
        self._tasks: list[asyncio.Task[None]] = []
        self._logged = self.readiness

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._failure is None:
            self._tasks = [
                asyncio.create_task(self._log_transitions()),
                asyncio.create_task(self._serve_for_ever()),
            ]

    async def stop(self) -> None:
        """End all that runs; the runs themselves go on in the cluster."""
        self._changes.close()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # --- What is known at any time ---------------------------------------------------------------

    @property
    def failure(self) -> errors.NotConfiguredError | None:
        """Why there is no service until Jupyter is restarted; None if there can be one."""
        return self._failure

    def check_possible(self) -> None:
        """Raise ``failure``, a NotConfiguredError, if there is one."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    @property
    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            NotConfiguredError: they are unusable.
        """
        if isinstance(self._settings, errors.NotConfiguredError):
            raise self._settings.with_traceback(None)
        return self._settings

    @property
    def owner(self) -> Owner:
        """Whose runs these are. Raises as ``settings`` does."""
        return Owner.of(self.settings.owner)

    @property
    def changes(self) -> Changes:
        """The feed of state changes, which lives as long as the server.

        Raises:
            NotConfiguredError: there is a ``failure``.
        """
        self.check_possible()
        return self._changes

    @property
    def namespace(self) -> str | None:
        """The namespace runs are created in, None until it is known."""
        return self._connected.cluster.namespace if self._connected else self.settings.namespace

    @property
    def connection(self) -> Connection | None:
        """The connection to the cluster, None while there is none."""
        return self._connected.connection if self._connected else None

    @property
    def bucket(self) -> Bucket | None:
        """The bucket, None while it is not known."""
        return self._connected.bucket if self._connected else None

    @property
    def cluster(self) -> ClusterView:
        """The live view of the cluster. Raises what is missing."""
        if self._connected is None:
            raise self._missing_or(_still_connecting())
        return self._connected.cluster

    @property
    def reading_problem(self) -> Sentence | None:
        """Why lists do not show everything in the bucket; None if they do."""
        return self._connected.reading_problem if self._connected else None

    def unreadable(self) -> dict[str, Sentence]:
        """Return the objects of bucket and cluster that cannot be understood: name -> why."""
        return self._connected.unreadable() if self._connected else {}

    # --- What state it is in ---------------------------------------------------------------------

    @property
    def readiness(self) -> Readiness:
        """The current state, and what is missing."""
        connected = self._connected
        missing = self._failure or self._problem or (connected.missing if connected else None)
        return readiness.derive(missing, is_loaded=connected is not None and connected.is_loaded)

    async def wait_until(
        self, condition: Callable[[], bool], seconds: float | None = patience.REQUEST_SECONDS
    ) -> bool:
        """Wait until ``condition()`` is true, at most ``seconds``; return whether it is.

        It is checked whenever the state may have changed.
        """
        return await self._changed.wait_for(condition, seconds)

    async def settled(self, seconds: float | None = patience.REQUEST_SECONDS) -> Readiness:
        """Return the state once it is no longer ``starting``, at the latest after ``seconds``."""
        await self.wait_until(lambda: self.readiness.state is not State.STARTING, seconds)
        return self.readiness

    # --- What users ask for ----------------------------------------------------------------------

    async def runs(self, seconds: float | None = patience.REQUEST_SECONDS) -> Runs:
        """Return the runs once they are loaded.

        Raises:
            NotConfiguredError, ForbiddenError, UnavailableError: what is missing, as soon as it is
                known; or that loading takes longer than ``seconds``.
        """
        connected = await self._once(
            lambda connected: connected.is_loaded or connected.missing, seconds
        )
        if not connected.is_loaded:
            raise self._missing_or(
                say(
                    "runs-being-read-try-again",
                    "The runs are still being read from the bucket. Try again in a moment.",
                )
            )
        return connected.runs

    async def schedules(self, seconds: float | None = patience.REQUEST_SECONDS) -> Schedules:
        """Return the schedules, once they and the runs are loaded. Raises as ``runs`` does."""
        await self.runs(seconds)
        connected = await self._once(
            lambda connected: connected.schedules.is_loaded or connected.schedules.missing, seconds
        )
        schedules = connected.schedules
        if not schedules.is_loaded:
            if schedules.missing is not None:
                raise schedules.missing.with_traceback(None)
            raise errors.UnavailableError(
                say(
                    "schedules-being-read",
                    "The schedules are still being read. Try again in a moment.",
                )
            )
        return schedules

    async def queues(self) -> Queues:
        """Return the LocalQueues once they are known. Raises as ``runs`` does."""

        def are_known(connected: Connected) -> object:
            cluster = connected.cluster
            return cluster.local_queues.synced.is_set() or cluster.error

        return (await self._once(are_known)).queues

    async def environments(self) -> Environments:
        """Return environments and profiles once there is a cluster. Raises as ``runs`` does."""
        return (await self._once(lambda _connected: True)).environments

    async def known_bucket(self) -> Bucket:
        """Return the bucket once it is known. Raises as ``runs`` does."""
        return (await self._once(lambda _connected: True)).bucket

    async def _once(
        self,
        condition: Callable[[Connected], object],
        seconds: float | None = patience.REQUEST_SECONDS,
    ) -> Connected:
        """Return what is connected, once ``condition`` holds for it or ``seconds`` have passed.

        Raises:
            NotConfiguredError, UnavailableError: nothing is connected.
        """
        await self.wait_until(
            lambda: (
                bool(condition(self._connected))
                if self._connected is not None
                else (self._failure or self._problem) is not None
            ),
            seconds,
        )
        if self._connected is None:
            raise self._missing_or(_still_connecting())
        return self._connected

    def _missing_or(self, otherwise: Sentence) -> errors.JupyterKueueError:
        """Return what is missing, to be raised; ``otherwise`` where nothing is known to be."""
        missing = self.readiness.missing
        # One object for all requests: without the frames of earlier ones.
        return missing.with_traceback(None) if missing else errors.UnavailableError(otherwise)

    # --- What it does ----------------------------------------------------------------------------

    async def _serve_for_ever(self) -> None:
        try:
            # In a thread: the event loop would be blocked for more than a second.
            await asyncio.to_thread(_import_slow_modules)
        except ImportError as error:
            log.exception("jupyter-kueue is not installed completely")
            self._failure = errors.NotConfiguredError(
                say(
                    "not-installed-completely",
                    "The installation of jupyter-kueue is incomplete ({problem}). "
                    "Install it again with pip.",
                    problem=str(error),
                )
            )
            self._changed.notify_all()
            return
        backoff = Backoff(
            patience.CONNECT_FIRST_PAUSE_SECONDS, patience.CONNECT_LONGEST_PAUSE_SECONDS
        )
        while True:
            if await self._serve():
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _serve(self) -> bool:
        """Connect and serve until that ends; return whether it was ready by then."""
        try:
            await self._serve_connected()
        except errors.JupyterKueueError as error:
            self._problem = error
        except Exception as error:
            # A server that gave up here would be useless until it is restarted.
            log.exception("the service stopped and is started again")
            self._problem = errors.UnavailableError(
                say(
                    "service-started-again",
                    "The service stopped and is being restarted ({error}); see the server's log.",
                    error=type(error).__name__,
                )
            )
        finally:
            was_ready = self._connected is not None and self._connected.is_loaded
            self._connected = None
            self._changed.notify_all()
        return was_ready

    async def _serve_connected(self) -> None:
        from jupyter_kueue.service.connected import Connected  # noqa: PLC0415 - see _SLOW_MODULES

        connected = await Connected.open(
            self.settings,
            self.owner,
            self._root_dir,
            allow_hidden=self._allow_hidden,
            changes=self._changes,
            changed=self._changed,
        )
        try:
            self._connected, self._problem = connected, None
            self._changed.notify_all()
            await connected.run()
        finally:
            await connected.close()

    async def _log_transitions(self) -> None:
        """Log each change of state, and each change of what has to be set up."""
        while await self.wait_until(lambda: _is_news(self._logged, self.readiness), None):
            state, missing = self._logged = self.readiness
            level = logging.INFO if missing is None else logging.WARNING
            log.log(level, "state=%s%s", state, "" if missing is None else f" {missing.message}")


def _is_news(before: Readiness, now: Readiness) -> bool:
    if now.state is not before.state or now.state is not State.FAILED:
        return now.state is not before.state
    return str(now.missing) != str(before.missing)


def _still_connecting() -> Sentence:
    return say(
        "connecting-to-cluster",
        "The server is still connecting to the cluster. Try again in a moment.",
    )


def _import_slow_modules() -> None:
    for name in _SLOW_MODULES:
        importlib.import_module(name)
