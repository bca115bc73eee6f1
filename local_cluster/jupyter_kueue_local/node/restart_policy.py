"""Whether and when an ended container is restarted.

Pure except for the caller's clock. The back-off is the kubelet's: at once, then 10 s doubled up to
5 min, reset after 10 min of running
(https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue_local.node.containers import Container

_FIRST_DELAY_SECONDS = 10.0
_LONGEST_DELAY_SECONDS = 300.0
_FORGET_AFTER_SECONDS = 600.0


class RestartPolicy:
    """The policy of one pod, and since when each of its containers waits for a restart."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        # Container -> the attempt that ended, and when that was first seen.
        self._seen: dict[str, tuple[int, float]] = {}
        # Container -> its last attempt that ran long enough to reset the back-off.
        self._healthy: dict[str, int] = {}

    def restarts(self, container: Container) -> bool:
        """Return whether an ended container is to be restarted."""
        end = container.terminated
        if end is None:
            return False
        if container.kind == "sidecar":
            return True
        if self._policy == "Never":
            return False
        if container.kind == "init" or self._policy == "OnFailure":
            return end.exit_code != 0
        return True

    def delay_seconds(self, container: Container) -> float:
        """Return how long to wait after the end of the latest attempt."""
        end = container.terminated
        if end is None:
            return 0.0
        ran = ((end.finished_ns or 0) - (end.started_ns or 0)) / 1e9
        if ran > _FORGET_AFTER_SECONDS and end.started_ns:
            self._healthy[container.name] = end.attempt
        failures = end.attempt - self._healthy.get(container.name, 0)
        if failures <= 0:
            return 0.0
        return float(min(_FIRST_DELAY_SECONDS * 2 ** (failures - 1), _LONGEST_DELAY_SECONDS))

    def due_at(self, container: Container, now: float) -> float:
        """Return when the container may be started, on the same clock as ``now``."""
        end = container.terminated
        if end is None:
            return now
        attempt, since = self._seen.get(container.name, (-1, now))
        if attempt != end.attempt:
            since = now
            self._seen[container.name] = (end.attempt, now)
        return since + self.delay_seconds(container)
