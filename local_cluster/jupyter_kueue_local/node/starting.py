"""Whether a container can start now, with which process, and otherwise why it waits.

Reasons and messages are the kubelet's (``pkg/kubelet/kuberuntime``, ``pkg/kubelet/images``).
Nothing is started here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local.node import downward, environment, images, volumes
from jupyter_kueue_local.node.containers import Container, Waiting
from jupyter_kueue_local.node.references import MissingReferenceError, References

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jupyter_kueue_local.node.node_services import NodeServices
    from jupyter_kueue_local.node.pod_folder import PodFolder
    from jupyter_kueue_local.node.restart_policy import RestartPolicy

Json = dict[str, Any]

_RETRY_SECONDS = 2.0
# How long ErrImagePull is shown before ImagePullBackOff replaces it.
_PULL_ERROR_SECONDS = 2.0


class ContainerStarter:
    """Prepares the containers of one pod."""

    def __init__(
        self,
        services: NodeServices,
        folder: PodFolder,
        restarts: RestartPolicy,
        record_event: Callable[[Container, str, str, str], None],
        wake_in: Callable[[float], None],
    ) -> None:
        """Prepare.

        Args:
            services: the node's.
            folder: the pod's.
            restarts: when an ended container may be restarted.
            record_event: called with container, kind, reason and message.
            wake_in: called with the seconds after which to try again.
        """
        self._services = services
        self._folder = folder
        self._restarts = restarts
        self._record_event = record_event
        self._wake_in = wake_in
        self._pulls: dict[str, images.PullBackoff] = {}

    async def prepare(
        self, pod: Json, container: Container, mounted: Mapping[str, Path], gpus: list[int]
    ) -> environment.Launch | None:
        """Return what to start, or None after noting in ``container.waiting`` why it waits."""
        now = asyncio.get_running_loop().time()
        due = self._restarts.due_at(container, now)
        if due > now:
            self._wait_for_restart(pod, container, due - now)
            return None
        known = self._services.config.read_images()
        prefix = images.find_prefix(known, container.spec.get("image", ""))
        if prefix is None:
            self._wait_for_image(container, known, now)
            return None
        around = environment.Surroundings(
            folder=self._folder,
            attempt=container.next_attempt,
            temporary=self._services.short_path / self._folder.path.name / self._folder.tmp.name,
            address=self._services.config.address,
            capacity=self._services.capacity,
            prefix=prefix,
            gpus=gpus,
        )
        references = References(self._services.connection, pod["metadata"]["namespace"])
        try:
            variables = await environment.read_variables(pod, container.spec, references, around)
            log = container.termination_log(around.attempt)
            mapping = volumes.mount_path_mapping(container.spec, mounted, variables, log)
            return environment.prepare(pod, container.spec, variables, mapping, around)
        except (MissingReferenceError, downward.UnsupportedFieldError, volumes.MountError) as error:
            self._wait_for(container, "CreateContainerConfigError", error.message)
        except environment.LaunchError as error:
            self._wait_for(container, "CreateContainerError", error.message)
        return None

    def _wait_for_restart(self, pod: Json, container: Container, seconds_left: float) -> None:
        metadata = pod["metadata"]
        title = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        if container.waiting is None:
            self._record_event(
                container,
                "Warning",
                "BackOff",
                f"Back-off restarting failed container {container.name} in pod {title}",
            )
        delay = _duration(self._restarts.delay_seconds(container))
        container.waiting = Waiting(
            "CrashLoopBackOff",
            f"back-off {delay} restarting failed container={container.name} pod={title}",
        )
        self._wake_in(seconds_left)

    def _wait_for_image(self, container: Container, known: dict[str, Path], now: float) -> None:
        image = container.spec.get("image", "")
        backoff = self._pulls.setdefault(container.name, images.PullBackoff())
        error = images.not_found_message(known, image)
        if now >= backoff.retry_at:
            backoff.failed(now)
            failed = f'Failed to pull image "{image}": {error}'
            self._record_event(container, "Normal", "Pulling", f'Pulling image "{image}"')
            self._record_event(container, "Warning", "Failed", failed)
            self._record_event(container, "Warning", "Failed", "Error: ErrImagePull")
            container.waiting = Waiting("ErrImagePull", error)
            self._wake_in(_PULL_ERROR_SECONDS)
            return
        shown_seconds = now - backoff.failed_at
        if shown_seconds < _PULL_ERROR_SECONDS:
            self._wake_in(_PULL_ERROR_SECONDS - shown_seconds)
            return
        if container.waiting is None or container.waiting.reason != "ImagePullBackOff":
            self._record_event(container, "Normal", "BackOff", f'Back-off pulling image "{image}"')
            self._record_event(container, "Warning", "Failed", "Error: ImagePullBackOff")
        container.waiting = Waiting(
            "ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {error}'
        )
        self._wake_in(backoff.retry_at - now)

    def _wait_for(self, container: Container, reason: str, message: str) -> None:
        if container.waiting != Waiting(reason, message):
            self._record_event(container, "Warning", "Failed", f"Error: {message}")
        container.waiting = Waiting(reason, message)
        self._wake_in(_RETRY_SECONDS)


def _duration(seconds: float) -> str:
    """Return seconds as Go prints a duration: 10s, 1m20s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
