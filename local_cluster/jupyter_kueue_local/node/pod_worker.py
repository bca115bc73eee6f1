"""Runs one pod from its arrival to its end, also across restarts of the agent.

``_sync`` checks the actual state and takes the next step, repeatedly, so that it does not matter
where an earlier agent stopped. The worker is the only writer of its pod's status.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jupyter_kueue.domain import errors
from jupyter_kueue_local.node import (
    admission,
    disk_limits,
    disk_usage,
    gpu_devices,
    host_processes,
    pod_status,
    probes,
    volumes,
)
from jupyter_kueue_local.node.containers import Container
from jupyter_kueue_local.node.pod_folder import PodFolder
from jupyter_kueue_local.node.references import References
from jupyter_kueue_local.node.restart_policy import RestartPolicy
from jupyter_kueue_local.node.starting import ContainerStarter
from jupyter_kueue_local.node.status_writer import StatusWriter
from jupyter_kueue_local.node.stopping import GracefulStop

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from jupyter_kueue_local.node.node_services import NodeServices

Json = dict[str, Any]

_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 10.0
_FORCED_GRACE_SECONDS = 2.0
# Well within a token's minimum lifetime of ten minutes.
_REFRESH_SECONDS = 300.0
_DEFAULT_GRACE_SECONDS = 30.0
# The kubelet checks every ten seconds, with figures that are up to a minute old.
_MEASURE_SECONDS = 5.0
_FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT)
# The grace period of an evicted pod (kubelet: immediateEvictionGracePeriodSeconds).
_EVICTION_GRACE_SECONDS = 1.0

SHUTDOWN_REASON = "Terminated"
SHUTDOWN_MESSAGE = "Pod was terminated in response to imminent node shutdown."
DEADLINE_REASON = "DeadlineExceeded"
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"

log = logging.getLogger(__name__)


class PodWorker:
    """One pod on this node."""

    def __init__(self, services: NodeServices, pod: Json) -> None:
        self._services = services
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self._gone = False
        self._folder = PodFolder(services.pods, self.uid)
        self._memory: Json = {}
        self._wake = asyncio.Event()
        self._wake_at: float | None = None
        self._retries = 0
        self._volumes: dict[str, Path] | None = None
        self._mount_failures = 0
        self._refresh_at = 0.0
        self._stop: GracefulStop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restarts = RestartPolicy(pod["spec"].get("restartPolicy", "Always"))
        self._starter = ContainerStarter(
            services, self._folder, self._restarts, self._container_event, self._wake_in
        )
        self._probers: dict[str, probes.ContainerProbes] = {}
        self._init = [
            Container(
                self._folder,
                spec,
                "sidecar" if spec.get("restartPolicy") == "Always" else "init",
                self._wake.set,
            )
            for spec in pod["spec"].get("initContainers", [])
        ]
        self._main = [
            Container(self._folder, spec, "main", self._wake.set)
            for spec in pod["spec"]["containers"]
        ]
        self.containers = [*self._init, *self._main]
        self._status = StatusWriter(services.connection, pod, self._wake.set)

    @property
    def title(self) -> str:
        """The pod's name in log lines."""
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    def update(self, pod: Json, *, gone: bool) -> None:
        """Accept a newer version of the pod, or its deletion from the API."""
        self.pod = pod
        self._gone = self._gone or gone
        self._wake.set()

    async def run(self) -> None:
        """Work until the pod is deleted and nothing is left of it."""
        writer = asyncio.create_task(self._status.run())
        try:
            try:
                self._load()
            except OSError as error:
                if error.errno not in _FULL_DISK_ERRORS:
                    raise
                self._evict_from_full_disk(error)
            if disk_limits.has_limits(self.pod):
                self._spawn(self._watch_disk())
            while not await self._sync_safely():
                await self._sleep()
        finally:
            for task in (writer, *self._tasks):
                task.cancel()
            for prober in self._probers.values():
                prober.close()
            for container in self.containers:
                container.close()
            self._services.gpus.release(self.uid)

    def shut_down(self, grace_seconds: float) -> None:
        """End the pod because the node shuts down, and report it as failed for that reason."""
        if not self._memory:
            return  # not begun yet: its folder is empty, and the next agent starts it
        if not self._final:
            self._fail(SHUTDOWN_REASON, SHUTDOWN_MESSAGE, disrupted=True)
        self._begin_stop(grace_seconds)
        self._wake.set()

    @property
    def settled(self) -> bool:
        """Whether the pod has ended and the API server knows, or it never began."""
        if not self._memory:
            return True
        told = self._status.latest.get("phase") in pod_status.TERMINAL_PHASES
        return self._finished and told and self._status.delivered

    @property
    def _finished(self) -> bool:
        """Whether nothing of the pod runs or will run."""
        return self._final and not any(c.alive for c in self.containers)

    @property
    def _final(self) -> bool:
        """Whether no container will be started any more."""
        return bool(self._memory.get("final"))

    def _load(self) -> None:
        self._memory = self._folder.load_memory()
        if self._folder.path.is_dir():
            for container in self.containers:
                container.adopt()
                if container.running:
                    self._watch_probes(container, adopted=True)
        if self.pod["status"].get("phase") in pod_status.TERMINAL_PHASES:
            self._memory["final"] = True
        if "gpus" in self._memory and not self._finished:
            self._services.gpus.restore(self.uid, self._memory["gpus"])
        self._memory.setdefault("start_time", self.pod["status"].get("startTime") or _now())
        # The API's start time has whole seconds: too coarse for a short deadline.
        self._memory.setdefault("began_at", datetime.now(UTC).isoformat())
        self._memory.setdefault("namespace", self.pod["metadata"]["namespace"])
        self._memory.setdefault("name", self.pod["metadata"]["name"])
        # Last, so that a full disk is reported with everything that is known by then.
        self._folder.create()
        self._save()

    def _save(self) -> None:
        self._folder.save_memory(self._memory)

    async def _sync_safely(self) -> bool:
        self._wake.clear()
        self._wake_at = None
        try:
            done = await self._sync()
        except errors.JupyterKueueError as error:
            log.warning("pod=%s %s", self.title, error)
        except Exception as error:  # one pod's fault must not end the others
            full_disk = getattr(error, "errno", None) in _FULL_DISK_ERRORS
            if full_disk and not self._final and not any(c.alive for c in self.containers):
                self._evict_from_full_disk(error)
                return False
            log.exception("pod=%s failed in an unexpected way", self.title)
        else:
            self._retries = 0
            return done
        self._retries += 1
        self._wake_in(min(_RETRY_SECONDS * self._retries, _LONGEST_RETRY_SECONDS))
        return False

    async def _sync(self) -> bool:
        """Take the next steps; return whether the worker is done."""
        metadata = self.pod["metadata"]
        if self._gone:
            self._end(_FORCED_GRACE_SECONDS)
        elif metadata.get("deletionTimestamp"):
            self._end(float(metadata.get("deletionGracePeriodSeconds") or _FORCED_GRACE_SECONDS))
        elif self.pod["status"].get("phase") in pod_status.TERMINAL_PHASES:
            # Another controller marked it as ended, such as the pod garbage collector.
            self._end(self._grace_seconds)
        elif not self._final:
            self._check_deadline()
        else:
            # An earlier agent may have ended in the middle of a stop.
            self._begin_stop(self._grace_seconds)
        if not self._final:
            await self._advance()
            await self._refresh_volumes()
        if self._finished:
            return await self._finish()
        self._report()
        return False

    async def _finish(self) -> bool:
        self._services.gpus.release(self.uid)
        if self._gone:
            await asyncio.to_thread(host_processes.remove_pod_folder, self._folder.path)
            log.info("pod=%s removed", self.title)
            return True
        self._report()
        if self._status.delivered:
            await asyncio.to_thread(self._folder.give_back_workspace)
            if self.pod["metadata"].get("deletionTimestamp"):
                await self._delete()
        return False

    async def _delete(self) -> None:
        metadata = self.pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            await self._services.connection.delete(
                path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
            )
        except (errors.NotFoundError, errors.ConflictError):
            # Another pod has this name: this one is gone.
            return

    def _check_deadline(self) -> None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return
        began = datetime.fromisoformat(self._memory["began_at"])
        left = seconds - (datetime.now(UTC) - began).total_seconds()
        if left > 0:
            self._wake_in(left)
            return
        self._event("Normal", DEADLINE_REASON, DEADLINE_MESSAGE)
        self._fail(DEADLINE_REASON, DEADLINE_MESSAGE)
        self._begin_stop(self._grace_seconds)

    @property
    def _grace_seconds(self) -> float:
        grace = self.pod["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        return float(grace)

    def _fail(self, reason: str, message: str, *, disrupted: bool = False) -> None:
        """Decide that the whole pod has failed; the first decision counts."""
        if "failure" not in self._memory:
            self._memory["failure"] = {"reason": reason, "message": message}
            self._memory["disrupted"] = disrupted
            log.info("pod=%s failed reason=%s", self.title, reason)
        self._memory["final"] = True
        try:
            self._save()
        except OSError as error:
            # The API server stores it, and a later agent reads it from there.
            log.warning("pod=%s its end could not be written down: %s", self.title, error)

    def _end(self, grace_seconds: float) -> None:
        """Start no more containers, and end the running ones."""
        if not self._final:
            self._memory["final"] = True
            self._save()
        self._begin_stop(grace_seconds)

    def _begin_stop(self, grace_seconds: float) -> None:
        if self._stop:
            self._stop.shorten(grace_seconds)
            return
        if not any(c.alive for c in self.containers):
            return
        for prober in self._probers.values():
            prober.close()
        for container in self.containers:
            if container.running:
                self._container_event(
                    container, "Normal", "Killing", f"Stopping container {container.name}"
                )
        self._stop = GracefulStop(self.containers, grace_seconds, self._run_pre_stop)
        self._spawn(self._run_stop(self._stop))

    async def _run_stop(self, stop: GracefulStop) -> None:
        await stop.run()
        self._stop = None
        self._wake.set()

    async def _run_pre_stop(self, container: Container) -> None:
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if not hook:
            return
        result = await probes.run_hook(hook, container, self._services.config.address)
        if not result.passed:
            self._container_event(
                container, "Warning", "FailedPreStopHook", f"PreStopHook failed: {result.message}"
            )

    # --- the disk ------------------------------------------------------------------------------

    async def _watch_disk(self) -> None:
        """Evict the pod once it exceeds a disk limit."""
        while not self._final:
            await asyncio.sleep(_MEASURE_SECONDS)
            usage = await disk_usage.measure(self._folder.path, self.pod)
            message = usage and disk_limits.find_excess(self.pod, usage)
            if message and not self._final:
                self._evict(message)

    def _evict_from_full_disk(self, error: Exception) -> None:
        """End the pod because the node's disk is full, as a kubelet does."""
        log.warning("pod=%s %s", self.title, error)
        self._evict(disk_limits.NODE_LOW_MESSAGE, disrupted=True)

    def _evict(self, message: str, *, disrupted: bool = False) -> None:
        self._event("Warning", disk_limits.EVICTED_REASON, message)
        self._fail(disk_limits.EVICTED_REASON, message, disrupted=disrupted)
        self._begin_stop(_EVICTION_GRACE_SECONDS)
        self._wake.set()

    # --- starting containers -------------------------------------------------------------------

    async def _advance(self) -> None:
        """Start what may be started now."""
        if not self._admit() or not await self._prepare_volumes():
            return
        if not any(c.attempt >= 0 for c in self._main):
            if not await self._initialize():
                return
        else:
            for container in self._init:
                if container.kind == "sidecar" and not container.alive:
                    await self._start(container)
        waiting = [c for c in self._main if not c.alive and not self._done(c)]
        await self._start_together(waiting)
        if all(self._done(c) for c in self._main):
            self._end(self._grace_seconds)

    def _done(self, container: Container) -> bool:
        return container.terminated is not None and not self._restarts.restarts(container)

    async def _initialize(self) -> bool:
        """Advance the init containers; return whether all are done."""
        for container in self._init:
            if container.kind == "sidecar":
                if not container.alive:
                    await self._start_together(self._next_from(container))
                if not container.started:
                    return False
            elif container.terminated is None or container.terminated.exit_code != 0:
                if self._done(container):
                    self._end(self._grace_seconds)
                elif not container.alive:
                    await self._start(container)
                    self._wake.set()  # it may already have ended
                return False
        return True

    def _next_from(self, first: Container) -> list[Container]:
        """Return a sidecar and the containers that need not wait for it to start.

        Without a startup probe, a sidecar counts as started with its process: the sidecars right
        after it, and the main containers after the last one, start at the same time. A kubelet,
        whose containers start quickly, starts them one after the other.
        """
        found: list[Container] = []
        for container in self._init[self._init.index(first) :]:
            if container.kind != "sidecar" or container.attempt >= 0:
                return found or [first]
            found.append(container)
            if "startupProbe" in container.spec:
                return found
        return [*found, *self._main]

    async def _start_together(self, containers: list[Container]) -> None:
        results = await asyncio.gather(*map(self._start, containers), return_exceptions=True)
        for error in filter(None, results):
            raise error

    def _admit(self) -> bool:
        if self._memory.get("admitted"):
            return True
        refusal = admission.find_refusal(self.pod)
        reason = admission.REASON
        if refusal is None and disk_usage.is_full(self._services.pods):
            reason, refusal = disk_limits.EVICTED_REASON, disk_limits.NODE_PRESSURE_MESSAGE
        if refusal is None:
            wanted = gpu_devices.wanted_gpus(self.pod["spec"])
            try:
                self._memory["gpus"] = self._services.gpus.claim(self.uid, wanted)
            except gpu_devices.NotEnoughGpusError as error:
                reason, refusal = "UnexpectedAdmissionError", f"Pod was rejected: {error.message}"
        if refusal is not None:
            self._event("Warning", reason, refusal)
            self._fail(reason, refusal)
            return False
        self._memory["admitted"] = True
        self._save()
        return True

    async def _prepare_volumes(self) -> bool:
        if self._volumes is not None:
            return True
        try:
            self._volumes = await volumes.prepare_volumes(self._volume_sources())
        except volumes.UnsupportedVolumeError as error:
            self._event("Warning", "FailedMount", error.message)
            self._fail(admission.REASON, error.message)
        except volumes.MountError as error:
            self._event("Warning", "FailedMount", error.message)
            self._mount_failures += 1
            self._wake_in(min(0.5 * 2**self._mount_failures, _LONGEST_RETRY_SECONDS))
        return self._volumes is not None

    async def _refresh_volumes(self) -> None:
        """Update files from Secrets, ConfigMaps and tokens from time to time."""
        if self._volumes is None or not volumes.shows_objects(self.pod):
            return
        now = asyncio.get_running_loop().time()
        if self._refresh_at == 0:
            self._refresh_at = now + _REFRESH_SECONDS
        elif now >= self._refresh_at:
            self._refresh_at = now + _REFRESH_SECONDS
            try:
                await volumes.prepare_volumes(self._volume_sources())
            except (volumes.MountError, OSError) as error:
                # The existing files stay.
                self._event("Warning", "FailedMount", str(error))
        self._wake_in(self._refresh_at - now)

    async def _start(self, container: Container) -> None:
        """Start a container, or let it wait with the reason why it cannot start now."""
        launch = await self._starter.prepare(
            self.pod,
            container,
            self._volumes or {},
            self._memory.get("gpus", {}).get(container.name, []),
        )
        if launch is None or self._final:
            return  # it waits, or the pod ended during the preparation
        image = container.spec["image"]
        self._container_event(
            container, "Normal", "Pulled", f'Container image "{image}" already present on machine'
        )
        await container.start(launch)
        self._container_event(container, "Normal", "Created", "Container created")
        if container.terminated and container.terminated.reason == "StartError":
            message = f"Error: {container.terminated.message}"
            self._container_event(container, "Warning", "Failed", message)
        else:
            self._container_event(container, "Normal", "Started", "Container started")
        self._watch_probes(container, adopted=False)
        log.info("pod=%s container=%s started", self.title, container.name)

    def _watch_probes(self, container: Container, *, adopted: bool) -> None:
        if not container.running:
            return
        old = self._probers.pop(container.name, None)
        if old:
            old.close()
        passed_before = adopted and self._reported_started(container)
        self._probers[container.name] = probes.ContainerProbes(
            container,
            self._services.config.address,
            started=passed_before,
            on_change=self._wake.set,
            on_failure=lambda kind, message: self._container_event(
                container, "Warning", "Unhealthy", f"{kind} probe failed: {message}"
            ),
            on_dead=lambda kind: self._restart_unhealthy(container, kind),
        )

    def _reported_started(self, container: Container) -> bool:
        status = self.pod["status"]
        reported = [
            *status.get("initContainerStatuses", []),
            *status.get("containerStatuses", []),
        ]
        return any(s["name"] == container.name and s.get("started") for s in reported)

    def _restart_unhealthy(self, container: Container, kind: str) -> None:
        """End a container whose startup or liveness probe has failed for good."""
        self._container_event(
            container,
            "Normal",
            "Killing",
            f"Container {container.name} failed {kind.lower()} probe, will be restarted",
        )
        self._spawn(GracefulStop([container], self._grace_seconds, self._run_pre_stop).run())

    # --- reporting -----------------------------------------------------------------------------

    def _report(self) -> None:
        failure = self._memory.get("failure")
        view = pod_status.PodView(
            pod=self.pod,
            containers=self.containers,
            failure=(failure["reason"], failure["message"]) if failure else None,
            disrupted=bool(self._memory.get("disrupted")),
            prepared=self._volumes is not None or any(c.attempt >= 0 for c in self.containers),
            final=self._final,
            start_time=self._memory["start_time"],
            address=self._services.config.address,
            images=self._services.config.read_images(),
        )
        if self.pod["status"].get("phase") not in pod_status.TERMINAL_PHASES:
            self._status.publish(pod_status.build_status(view, self._status.latest, _now()))

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._services.events.record(self.pod, kind, reason, message)

    def _container_event(self, container: Container, kind: str, reason: str, message: str) -> None:
        section = "containers" if container.kind == "main" else "initContainers"
        field_path = f"spec.{section}{{{container.name}}}"
        self._services.events.record(self.pod, kind, reason, message, field_path)

    # --- small things --------------------------------------------------------------------------

    def _volume_sources(self) -> volumes.VolumeSources:
        return volumes.VolumeSources(
            pod=self.pod,
            folder=self._folder,
            connection=self._services.connection,
            references=References(self._services.connection, self.pod["metadata"]["namespace"]),
            address=self._services.config.address,
            capacity=self._services.capacity,
        )

    def _wake_in(self, seconds: float) -> None:
        at = asyncio.get_running_loop().time() + max(0.0, seconds)
        self._wake_at = at if self._wake_at is None else min(self._wake_at, at)

    async def _sleep(self) -> None:
        timeout = None
        if self._wake_at is not None:
            timeout = max(0.0, self._wake_at - asyncio.get_running_loop().time())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
