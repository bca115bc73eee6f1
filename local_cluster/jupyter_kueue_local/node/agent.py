"""The node agent: registers the node and runs one worker for each pod bound to it.

SIGTERM is the node's shutdown: all pods are ended and reported. If the agent is killed in another
way, its containers keep running, and the next agent adopts them.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.cluster.watching import Watched
from jupyter_kueue.domain import errors
from jupyter_kueue_local.errors import LocalClusterError
from jupyter_kueue_local.node import host_processes, temporary_folder
from jupyter_kueue_local.node.containers import compile_shim
from jupyter_kueue_local.node.events import EventRecorder
from jupyter_kueue_local.node.gpu_devices import GpuDevices
from jupyter_kueue_local.node.log_server import start_log_server
from jupyter_kueue_local.node.node_services import NodeServices
from jupyter_kueue_local.node.pod_folder import PodFolder, shim_program
from jupyter_kueue_local.node.pod_worker import PodWorker
from jupyter_kueue_local.node.registration import Registration

if TYPE_CHECKING:
    from typing import TextIO

    from jupyter_kueue_local.node.node_config import NodeConfig

Json = dict[str, Any]

# The whole shutdown takes less than three seconds.
_SHUTDOWN_GRACE_SECONDS = 0.9
_SHUTDOWN_REPORT_SECONDS = 2.6

log = logging.getLogger(__name__)


async def run_node(config: NodeConfig) -> None:
    """Run the node until SIGTERM or SIGINT.

    Raises:
        NotConfiguredError: the configuration is not usable.
        LocalClusterError: another agent runs in the same folder.
    """
    pods = config.pods
    pods.mkdir(parents=True, exist_ok=True, mode=0o700)
    compile_shim(shim_program(config.folder))
    with _only_agent(config):
        connection = await Connection.from_kubeconfig(config.kubeconfig)
        try:
            services = NodeServices(
                config=config,
                connection=connection,
                events=EventRecorder(connection, config.name),
                gpus=GpuDevices(config.gpus),
                pods=pods,
                short_path=temporary_folder.ensure_short_path(config.folder, pods),
            )
            await _Agent(services).run()
            temporary_folder.remove_short_path(config.folder)
        finally:
            await connection.close()


class _Agent:
    def __init__(self, services: NodeServices) -> None:
        self._services = services
        self._registration = Registration(services.connection, services.config)
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cleaned = asyncio.Event()
        self._stopping = asyncio.Event()
        self._pods = Watched(
            services.connection,
            "/api/v1/pods",
            params={"fieldSelector": f"spec.nodeName={services.config.name}"},
            on_change=self._on_pod,
            trim=lambda pod: pod,
        )

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._restore_gpus()
        server = start_log_server(
            self._services.config, self._find_pod, lambda: list(self._workers.values())
        )
        registering = asyncio.create_task(self._registration.keep_registered())
        background = [
            registering,
            asyncio.create_task(self._services.events.send_all()),
            asyncio.create_task(self._pods.run()),
            asyncio.create_task(self._remove_unknown_folders()),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping, *background[:3]], return_when=asyncio.FIRST_COMPLETED)
        registering.cancel()
        await self._shut_down()
        await server.close()
        for task in (stopping, *background, *self._tasks.values()):
            task.cancel()
        results = await asyncio.gather(*background, *self._tasks.values(), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _on_pod(self, pod: Json, gone: bool) -> None:
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker:
            worker.update(pod, gone=gone)
        elif not gone and not self._stopping.is_set():
            self._workers[uid] = worker = PodWorker(self._services, pod)
            task = asyncio.create_task(self._run_worker(worker))
            self._tasks[uid] = task
            task.add_done_callback(lambda done: self._on_worker_end(uid, done))

    async def _run_worker(self, worker: PodWorker) -> None:
        # Leftovers of earlier pods must end before a new pod gets their devices.
        await self._cleaned.wait()
        await worker.run()

    def _on_worker_end(self, uid: str, task: asyncio.Task[None]) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and task.exception():
            log.error("worker of pod uid=%s ended", uid, exc_info=task.exception())

    def _find_pod(self, namespace: str, name: str) -> PodWorker | None:
        """Return the worker of a pod, the newest of several with the same name."""
        found = [
            worker
            for worker in self._workers.values()
            if worker.pod["metadata"]["namespace"] == namespace
            and worker.pod["metadata"]["name"] == name
        ]
        return max(found, key=lambda w: str(w.pod["metadata"]["creationTimestamp"]), default=None)

    def _restore_gpus(self) -> None:
        """Reserve the devices of earlier pods until their workers have adopted or released them."""
        for folder in self._services.pods.iterdir():
            memory = PodFolder(self._services.pods, folder.name).load_memory()
            if memory.get("gpus") and not memory.get("final"):
                self._services.gpus.restore(folder.name, memory["gpus"])

    async def _remove_unknown_folders(self) -> None:
        """Once all pods are known, end and remove what belongs to none of them."""
        await self._pods.synced.wait()
        folders = [f for f in self._services.pods.iterdir() if f.name not in self._workers]
        for folder in folders:
            log.info("pod uid=%s is gone: its folder is removed", folder.name)
            await asyncio.to_thread(host_processes.kill_marked, folder)
            self._services.gpus.release(folder.name)
        self._cleaned.set()
        for folder in folders:
            await asyncio.to_thread(host_processes.remove_tree, folder)

    async def _shut_down(self) -> None:
        log.info("node=%s shuts down pods=%d", self._services.config.name, len(self._workers))
        for worker in self._workers.values():
            worker.shut_down(_SHUTDOWN_GRACE_SECONDS)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SHUTDOWN_REPORT_SECONDS
        reporting = asyncio.create_task(self._registration.report(ready=False))
        while loop.time() < deadline:
            if reporting.done() and all(worker.settled for worker in self._workers.values()):
                break
            await asyncio.sleep(0.02)
        # What could not be adopted before the shutdown must end, too.
        await asyncio.to_thread(host_processes.kill_marked, self._services.pods)
        await self._services.events.drain(max(0.0, deadline - loop.time()))
        reporting.cancel()
        for result in await asyncio.gather(reporting, return_exceptions=True):
            if isinstance(result, errors.JupyterKueueError):
                log.warning("the node's end could not be reported: %s", result)


class _only_agent:  # noqa: N801 - used as a context manager, like a function
    """Holds the folder's lock, so that two agents never run the same pods."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._file: TextIO | None = None

    def __enter__(self) -> None:
        self._file = (self._config.folder / "agent.lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalClusterError(
                f"Another node agent runs in {self._config.folder}: end it first, or leave this "
                "one out."
            ) from error

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
