"""Startup, liveness and readiness probes of one running container, and preStop hooks.

Rules and defaults:
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_kueue_local.node.containers import Container

Json = dict[str, Any]

# How much of a probe's output is shown (kubelet: maxProbeMessageLength is larger; describe cuts
# it).
_MESSAGE_CHARACTERS = 1024
_HOOK_SECONDS = 3600.0


@dataclass(frozen=True)
class ProbeResult:
    """Whether a probe passed, and its output."""

    passed: bool
    message: str = ""


class ContainerProbes:
    """Updates ``started`` and ``ready`` of a running container by its probes."""

    def __init__(
        self,
        container: Container,
        address: str,
        *,
        started: bool,
        on_change: Callable[[], None],
        on_failure: Callable[[str, str], None],
        on_dead: Callable[[str], None],
    ) -> None:
        """Begin to probe.

        Args:
            container: a running container.
            address: for HTTP and TCP probes that name no host.
            started: whether its startup probe has already passed.
            on_change: called when ``started`` or ``ready`` changes.
            on_failure: called with the probe's kind and message at each failure.
            on_dead: called with the probe's kind once it has failed so often that the container
                must end.
        """
        self._container = container
        self._address = address
        self._on_change = on_change
        self._on_failure = on_failure
        self._on_dead = on_dead
        self._tasks: list[asyncio.Task[None]] = []
        if started or not container.spec.get("startupProbe"):
            self._set_started()
        else:
            self._run(self._probe_startup(container.spec["startupProbe"]))

    def close(self) -> None:
        """Stop probing."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def _set_started(self) -> None:
        self._container.started = True
        readiness = self._container.spec.get("readinessProbe")
        liveness = self._container.spec.get("livenessProbe")
        self._container.ready = not readiness
        if readiness:
            self._run(self._probe_readiness(readiness))
        if liveness:
            self._run(self._probe_liveness(liveness))
        self._on_change()

    def _run(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _probe_startup(self, probe: Json) -> None:
        if await self._until_dead(probe, "Startup", stop_when_passed=True):
            self._set_started()

    async def _probe_liveness(self, probe: Json) -> None:
        await self._until_dead(probe, "Liveness", stop_when_passed=False)

    async def _until_dead(self, probe: Json, kind: str, *, stop_when_passed: bool) -> bool:
        """Probe until it has failed too often (False) or, if wanted, until it passes (True)."""
        failures = 0
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while self._container.running:
            result = await self._check(probe, kind)
            failures = 0 if result.passed else failures + 1
            if result.passed and stop_when_passed:
                return True
            if failures >= probe.get("failureThreshold", 3):
                self._on_dead(kind)
                return False
            await asyncio.sleep(probe.get("periodSeconds", 10))
        return False

    async def _probe_readiness(self, probe: Json) -> None:
        passes = failures = 0
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while self._container.running:
            result = await self._check(probe, "Readiness")
            passes = passes + 1 if result.passed else 0
            failures = 0 if result.passed else failures + 1
            ready = self._container.ready
            if passes >= probe.get("successThreshold", 1):
                ready = True
            elif failures >= probe.get("failureThreshold", 3):
                ready = False
            if ready != self._container.ready and self._container.running:
                self._container.ready = ready
                self._on_change()
            await asyncio.sleep(probe.get("periodSeconds", 10))

    async def _check(self, probe: Json, kind: str) -> ProbeResult:
        result = await run_probe(probe, self._container, self._address)
        if not result.passed and self._container.running:
            self._on_failure(kind, result.message)
        return result


async def run_probe(probe: Json, container: Container, address: str) -> ProbeResult:
    """Run a probe once, within its own time limit; never raises."""
    seconds = float(probe.get("timeoutSeconds", 1))
    try:
        async with asyncio.timeout(seconds):
            return await _run_action(probe, container, address, seconds)
    except TimeoutError:
        return ProbeResult(passed=False, message=f"command timed out after {seconds:g}s")


async def run_hook(hook: Json, container: Container, address: str) -> ProbeResult:
    """Run a lifecycle hook to its end; the caller limits it by the grace period."""
    if "sleep" in hook:
        await asyncio.sleep(float(hook["sleep"]["seconds"]))
        return ProbeResult(passed=True)
    return await _run_action(hook, container, address, _HOOK_SECONDS)


async def _run_action(
    action: Json, container: Container, address: str, seconds: float
) -> ProbeResult:
    try:
        if "exec" in action:
            return await _exec(action["exec"]["command"], container)
        if "httpGet" in action:
            return await _http_get(action["httpGet"], container, address, seconds)
        if "tcpSocket" in action:
            return await _connect(action["tcpSocket"], container, address)
    except ValueError as error:  # such as a named port that the container does not have
        return ProbeResult(passed=False, message=str(error))
    return ProbeResult(passed=False, message=f"the local node cannot do {', '.join(action)}")


async def _exec(command: list[str], container: Container) -> ProbeResult:
    """Run a command as if inside the container: its environment, paths and working directory."""
    inside = container.inside()
    if inside is None:
        return ProbeResult(passed=False, message="the container does not run")
    try:
        process = await asyncio.create_subprocess_exec(
            *(inside.mapping.apply(word) for word in command),
            env=inside.environment,
            cwd=inside.working_dir,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return ProbeResult(passed=False, message=f'exec: "{command[0]}": {error.strerror}')
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    message = output[:_MESSAGE_CHARACTERS].decode(errors="replace")
    return ProbeResult(passed=process.returncode == 0, message=message)


async def _http_get(
    action: Json, container: Container, address: str, seconds: float
) -> ProbeResult:
    scheme = action.get("scheme", "HTTP").lower()
    host = action.get("host") or address
    path = "/" + action.get("path", "/").removeprefix("/")
    request = HTTPRequest(
        f"{scheme}://{host}:{_port(action['port'], container)}{path}",
        headers={h["name"]: h["value"] for h in action.get("httpHeaders", [])},
        connect_timeout=seconds,
        request_timeout=seconds,
        validate_cert=False,
    )
    client = SimpleAsyncHTTPClient(force_instance=True)
    try:
        await client.fetch(request)
    except HTTPClientError as error:
        return ProbeResult(passed=False, message=f"HTTP probe failed with statuscode: {error.code}")
    except (OSError, ValueError) as error:
        return ProbeResult(passed=False, message=f"Get {request.url}: {error}")
    finally:
        client.close()
    return ProbeResult(passed=True)


async def _connect(action: Json, container: Container, address: str) -> ProbeResult:
    host, port = action.get("host") or address, _port(action["port"], container)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return ProbeResult(passed=False, message=f"dial tcp {host}:{port}: {error.strerror}")
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ProbeResult(passed=True)


def _port(port: int | str, container: Container) -> int:
    """Return the number of a port, which may be named in the container's ``ports``."""
    for named in container.spec.get("ports", []):
        if named.get("name") == port:
            return int(named["containerPort"])
    return int(port)
