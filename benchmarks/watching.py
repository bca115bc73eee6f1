"""A client of its own process that asks a server for something cheap, again and again.

How long it waits for an answer tells for how long the server's event loop did nothing else. A
process of its own, so that what the measurement itself does is not counted: this file run as a
program, which imports next to nothing.
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

# Jupyter's own, answered from memory.
CHEAP = "/api"
# Fifty times a second: more would be what holds the server up.
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """When a request began, on the clock that all processes share, and how long it took."""

    began: float
    seconds: float


class Watch:
    """What was answered; complete once the ``watching`` block has ended."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def between(self, start: float, end: float) -> list[float]:
        """Return how long the answers took that were asked for between two times."""
        return [item.seconds for item in self.answers if start <= item.began < end]


@contextlib.contextmanager
def watching(server: Server) -> Iterator[Watch]:
    """Ask a server from now on, whether it is up yet or not."""
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
    """Ask whoever is named on standard input until something else is said there."""
    asked = json.loads(sys.stdin.readline())
    answers: list[tuple[float, float]] = []
    connection = http.client.HTTPConnection("127.0.0.1", asked["port"], timeout=60)
    while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
        began = time.monotonic()
        try:
            connection.request("GET", CHEAP, headers=asked["headers"])
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            # Nobody listens yet.
            connection.close()
        else:
            answers.append((began, time.monotonic() - began))
    print(json.dumps(answers))


if __name__ == "__main__":
    ask_until_told()
