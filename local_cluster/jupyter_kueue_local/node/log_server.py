"""Serves containers' logs over HTTPS to the API server, for ``kubectl logs``.

Only clients with a certificate of the configured authority are answered. Routes are the kubelet's
(``pkg/kubelet/server/server.go``); those that would enter a container answer 501.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tornado import httpserver, iostream, web

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue_local.node import container_logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_kueue_local.node.node_config import NodeConfig
    from jupyter_kueue_local.node.pod_worker import PodWorker

    FindPod = Callable[[str, str], PodWorker | None]
    ListPods = Callable[[], list[PodWorker]]

_READ_BYTES = 256 * 1024
_FOLLOW_SECONDS = 0.1
_CLOSE_SECONDS = 0.5
_UNSUPPORTED = (
    "The local node does not support exec, attach and port-forward: containers are plain processes "
    "of this machine. Use `kubectl logs`, or a cluster with a kubelet.\n"
)


class LogServer:
    """The listening server."""

    def __init__(self, server: httpserver.HTTPServer, open_logs: set[_ContainerLogs]) -> None:
        self._server = server
        self._open_logs = open_logs

    async def close(self) -> None:
        """Stop listening, send followers the last lines, and close all connections."""
        self._server.stop()
        deadline = asyncio.get_running_loop().time() + _CLOSE_SECONDS
        while self._open_logs and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - rare
            await asyncio.sleep(_FOLLOW_SECONDS / 2)
        await self._server.close_all_connections()


def start_log_server(config: NodeConfig, find_pod: FindPod, list_pods: ListPods) -> LogServer:
    """Listen on the node's address and return the server; the caller closes it.

    Raises:
        NotConfiguredError: the port is taken or a certificate cannot be read.
    """
    open_logs: set[_ContainerLogs] = set()
    application = web.Application(
        [
            (
                r"/containerLogs/([^/]+)/([^/]+)/([^/]+)",
                _ContainerLogs,
                {"find_pod": find_pod, "open_logs": open_logs},
            ),
            (r"/healthz", _Healthz),
            (r"/pods/?", _Pods, {"list_pods": list_pods}),
            (r"/(?:exec|attach|portForward|run|cri|debug)/.*", _Unsupported),
        ],
        log_function=lambda _: None,
    )
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=config.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(config.tls_cert, config.tls_key)
        server = httpserver.HTTPServer(application, ssl_options=context)
        server.listen(config.port, config.address)
    except OSError as error:
        raise errors.NotConfiguredError(
            foreign(
                f"The node cannot serve logs on {config.address}:{config.port}: {error}. Free the "
                "port or run `jupyter kueue local up` again, which chooses another."
            )
        ) from error
    return LogServer(server, open_logs)


class _Healthz(web.RequestHandler):
    def get(self) -> None:
        self.finish("ok")


class _Pods(web.RequestHandler):
    def initialize(self, list_pods: ListPods) -> None:
        self._list_pods = list_pods

    def get(self) -> None:
        pods = [worker.pod for worker in self._list_pods()]
        self.finish({"kind": "PodList", "apiVersion": "v1", "items": pods})


class _Unsupported(web.RequestHandler):
    def _refuse(self) -> None:
        self.set_status(501)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(_UNSUPPORTED)

    def get(self) -> None:
        self._refuse()

    def post(self) -> None:
        self._refuse()


class _ContainerLogs(web.RequestHandler):
    """Streams one log until the container has ended, or to its current end without ``follow``."""

    def initialize(self, find_pod: FindPod, open_logs: set[_ContainerLogs]) -> None:
        self._find_pod = find_pod
        self._open_logs = open_logs
        self._client_gone = False

    def on_connection_close(self) -> None:
        self._client_gone = True

    async def get(self, namespace: str, pod: str, container: str) -> None:
        self.set_header("Content-Type", "text/plain")
        query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        try:
            options = container_logs.parse_options(query, datetime.now(UTC))
            path, running = self._find_log(namespace, pod, container, previous=options.previous)
        except (ValueError, errors.NotFoundError) as error:
            self.set_status(400 if isinstance(error, ValueError) else 404)
            await self.finish(f"{error}")
            return
        self._open_logs.add(self)
        try:
            await self._stream(path, running, options)
        except iostream.StreamClosedError:
            return  # the client has disconnected
        finally:
            self._open_logs.discard(self)

    async def _stream(
        self, path: Path, running: Callable[[], bool], options: container_logs.LogOptions
    ) -> None:
        formatter = container_logs.LogFormatter(options)
        reader = container_logs.LogReader(path)
        try:
            if options.tail_lines is not None:
                reader.skip_to_tail(options.tail_lines)
            while not formatter.full and not self._client_gone:
                # Checked before reading, so that a container's last output is not missed.
                goes_on = options.follow and running()
                records = reader.read(_READ_BYTES)
                if records:
                    self.write(formatter.format(records))
                    await self.flush()
                elif not reader.moved and not goes_on:
                    break
                elif not reader.moved:
                    await asyncio.sleep(_FOLLOW_SECONDS)
        finally:
            reader.close()
        await self.finish()

    def _find_log(
        self, namespace: str, pod: str, name: str, *, previous: bool
    ) -> tuple[Path, Callable[[], bool]]:
        """Return the log file, and a function that returns whether it may still grow.

        Raises:
            NotFoundError: the pod or container is not on this node.
            ValueError: the container has no log yet.
        """
        worker = self._find_pod(namespace, pod)
        if worker is None:
            raise errors.NotFoundError(foreign(f'pod "{pod}" is not on this node'))
        container = next((c for c in worker.containers if c.name == name), None)
        if container is None:
            raise errors.NotFoundError(foreign(f'container "{name}" is not in pod "{pod}"'))
        attempts = container.attempts
        # A container that waits for a restart shows its last log, as on a real node.
        if previous:
            ended = attempts if container.waiting and container.terminated else attempts[:-1]
            if not ended:
                raise ValueError(f'previous terminated container "{name}" in pod "{pod}" not found')
            return ended[-1] / "log", lambda: False
        if not attempts:
            has_init = bool(worker.pod["spec"].get("initContainers"))
            reason = "PodInitializing" if has_init else "ContainerCreating"
            if container.waiting:
                reason = container.waiting.reason
            raise ValueError(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
        number = container.attempt
        return attempts[-1] / "log", lambda: container.alive and container.attempt == number

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        self.finish(f"the node's log server failed ({status_code}); its own log says more\n")
