"""A client in its own process that repeatedly sends a cheap request to a server.

The time until an answer shows how long the server's event loop was blocked. The process is separate
so that the measurement's own work does not count: this file as a program, with few imports.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

# Jupyter's own route, answered from memory.
CHEAP = "/api"
# Fifty times a second: more would load the server.
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """When a request began, on a clock that all processes share, and how long it took."""

    began: float
    seconds: float


class Watch:
    """The answers; complete once the ``watching`` context has ended."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def between(self, start: float, end: float) -> list[float]:
        """Return the durations of the requests that began between two times."""
        return [item.seconds for item in self.answers if start <= item.began < end]


@contextlib.contextmanager
def watching(server: Server) -> Iterator[Watch]:
    """Send requests to a server from now on, whether or not it is up yet."""
    asking = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    watch = Watch()
    try:
        assert asking.stdin is not None
        print(json.dumps({"port": server.port, "headers": server.headers}), file=asking.stdin)
        asking.stdin.flush()
        yield watch
        told, _ = asking.communicate("enough\n")
        watch.answers = [Answer(*item) for item in json.loads(told)]
    finally:
        asking.kill()
        asking.wait()


def ask_until_told() -> None:
    """Send requests to the server named on standard input until another line arrives there."""
    asked = json.loads(sys.stdin.readline())
    answers: list[tuple[float, float]] = []
    connection = http.client.HTTPConnection("127.0.0.1", asked["port"], timeout=60)
    while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
        began = time.monotonic()
        try:
            connection.request("GET", CHEAP, headers=asked["headers"])
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            # The server does not listen yet.
            connection.close()
        else:
            answers.append((began, time.monotonic() - began))
    print(json.dumps(answers))


if __name__ == "__main__":
    ask_until_told()
