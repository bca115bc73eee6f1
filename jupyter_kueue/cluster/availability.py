"""Whether an API server works normally: which refusals may pass, and when waiting callers retry.

An API server that has just started refuses requests that it allows a moment later: it answers
before it has read its roles.
"""

from __future__ import annotations

import time

from jupyter_kueue import patience
from jupyter_kueue.condition_variable import ConditionVariable
from jupyter_kueue.contract.sentences import say

STARTING_UP = say("cluster-starting-up", "The cluster is starting up. Try again in a moment.")


class Availability:
    """What one connection has seen. A kind of request is (verb, collection), from ``kind_of``.

    It has only memory: for a new connection, the API server must be asked whether it is starting.
    """

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._failed_at: float | None = None
        self._is_silent = False
        self._allowed: set[tuple[str, str]] = set()
        self._refused_since: dict[tuple[str, str], float] = {}
        self._back = ConditionVariable()

    @property
    def is_new(self) -> bool:
        """Whether the connection is too new to know whether the API server has just started."""
        return time.monotonic() - self._began_at < patience.CLUSTER_SETTLING_SECONDS

    @property
    def is_settling(self) -> bool:
        """Whether the API server was unavailable a moment ago, so that refusals may pass."""
        return (
            self._failed_at is not None
            and time.monotonic() - self._failed_at < patience.CLUSTER_SETTLING_SECONDS
        )

    @property
    def is_recovering(self) -> bool:
        """Whether it answers again, if only with refusals: a retry may soon succeed."""
        return self.is_settling and not self._is_silent

    def note_silence(self) -> None:
        """Note that the API server did not answer."""
        self._failed_at = time.monotonic()
        self._is_silent = True

    def note_answer(self) -> None:
        """Note that the API server answered, with any status."""
        self._is_silent = False

    def note_start(self) -> None:
        """Note that the API server reports that it is starting."""
        self._failed_at = time.monotonic()

    def note_allowed(self, kind: tuple[str, str]) -> None:
        """Note that a request of this kind was allowed."""
        self._allowed.add(kind)
        self._refused_since.pop(kind, None)

    def may_pass(self, kind: tuple[str, str]) -> bool:
        """Note a refusal of this kind and return whether it may pass soon."""
        since = self._refused_since.setdefault(kind, time.monotonic())
        is_new = time.monotonic() - since < patience.CLUSTER_SETTLING_SECONDS
        return self.is_settling or (kind in self._allowed and is_new)

    def tell_back(self) -> None:
        """Wake all pauses: the API server answers again."""
        self._back.notify_all()

    async def pause(self, seconds: float) -> bool:
        """Wait ``seconds``, or until the API server is back; return whether it is."""
        return await self._back.wait(seconds)


def kind_of(verb: str, path: str) -> tuple[str, str]:
    """Return what the API server's roles distinguish: the verb and the collection."""
    parts = path.split("/")
    at = parts.index("namespaces") + 3 if "namespaces" in parts else 5
    return verb, "/".join(parts[:at])
