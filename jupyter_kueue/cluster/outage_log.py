"""Says in the log that an API server does not answer: once as that begins and once as it ends.

Many ask it at the same time and again and again: a line for each would bury all others.
"""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)


class OutageLog:
    """What the log says of one API server. Lines for single requests are debug messages."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._began_at: float | None = None
        self._failures = 0

    def note_failure(self, request: str, problem: str) -> None:
        """Note that a request was not answered; ``request`` is its verb and its path."""
        self._failures += 1
        if self._began_at is None:
            self._began_at = time.monotonic()
            log.warning("host=%s does not answer: %s: %s", self._host, request, problem)
        else:
            log.debug("%s: %s", request, problem)

    def note_answer(self) -> None:
        """Note that a request was answered, whatever that was."""
        if self._began_at is None:
            return
        seconds = time.monotonic() - self._began_at
        log.warning(
            "host=%s answers again after %.0f s; requests not answered meanwhile: %d",
            self._host,
            seconds,
            self._failures,
        )
        self._began_at = None
        self._failures = 0
