"""Serves containers' logs over HTTPS to the API server: that is what ``kubectl logs`` reads.

``agent`` starts it. Only clients whose certificate the configured authority signed are answered.
Routes are the kubelet's (``pkg/kubelet/server/server.go``); what would need to enter a container
answers 501.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tornado import httpserver, iostream, web

from jupyter_kueue import errors
from jupyter_kueue.local.node import container_logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_kueue.local.node.node_config import NodeConfig
    from jupyter_kueue.local.node.pod_worker import PodWorker

    FindPod = Callable[[str, str], PodWorker | None]
    ListPods = Callable[[], list[PodWorker]]

_READ_BYTES = 256 * 1024
_FOLLOW_SECONDS = 0.1
_UNSUPPORTED = (
    "The local node does not support exec, attach and port-forward: containers are plain processes "
    "of this machine. Use `kubectl logs`, or a cluster with a kubelet.\n"
)


def start_log_server(
    config: NodeConfig, find_pod: FindPod, list_pods: ListPods
) -> httpserver.HTTPServer:
    """Listen on the node's address and return the server, which the caller stops.

    Raises:
        NotConfiguredError: the port is taken or a certificate cannot be read.
    """
    arguments = {"find_pod": find_pod, "list_pods": list_pods}
    application = web.Application(
        [
            (r"/containerLogs/([^/]+)/([^/]+)/([^/]+)", _ContainerLogs, arguments),
            (r"/healthz", _Healthz),
            (r"/pods/?", _Pods, arguments),
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
            f"The node cannot serve logs on {config.address}:{config.port}: {error}. Free the port "
            "or run `jupyter kueue local up` again, which chooses another."
        ) from error
    return server


class _Handler(web.RequestHandler):
    """What all routes share: which pods there are."""

    def initialize(self, find_pod: FindPod, list_pods: ListPods) -> None:
        self._find_pod = find_pod
        self._list_pods = list_pods


class _Healthz(web.RequestHandler):
    def get(self) -> None:
        self.finish("ok")


class _Pods(_Handler):
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


class _ContainerLogs(_Handler):
    """Streams one log; ends when the container has ended, or at once without ``follow``."""

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
        formatter = container_logs.LogFormatter(options)
        reader = container_logs.LogReader(path)
        try:
            if options.tail_lines is not None:
                reader.skip_to_tail(options.tail_lines)
            while not formatter.full:
                # Asked before reading: what a container wrote before its end is not missed.
                goes_on = options.follow and running()
                records = reader.read(_READ_BYTES)
                if records:
                    self.write(formatter.format(records))
                    await self.flush()
                elif not reader.moved and not goes_on:
                    break
                elif not reader.moved:
                    await asyncio.sleep(_FOLLOW_SECONDS)
        except iostream.StreamClosedError:
            return  # the client has gone
        finally:
            reader.close()
        await self.finish()

    def _find_log(
        self, namespace: str, pod: str, name: str, *, previous: bool
    ) -> tuple[Path, Callable[[], bool]]:
        """Return the log file, and a function that says whether it may still grow.

        Raises:
            NotFoundError: there is no such pod or container on this node.
            ValueError: the container has no log yet.
        """
        worker = self._find_pod(namespace, pod)
        if worker is None:
            raise errors.NotFoundError(f'pod "{pod}" is not on this node')
        container = next((c for c in worker.containers if c.name == name), None)
        if container is None:
            raise errors.NotFoundError(f'container "{name}" is not in pod "{pod}"')
        attempts = container.attempts
        # A container that waits to be started again shows its last log, as on a real node.
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
