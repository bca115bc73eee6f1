"""Rounds of faults under all kinds of runs, each with a pause and a check of everything.

    make chaos ARGS="--minutes 20 --seed 7"

The seed decides what is submitted and what goes wrong, in which order; when the two meet is up to
the machine. It ends with 1 if a check was violated, and leaves its folder with all logs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import secrets
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from .checker import Check
from .faults import Faults
from .history import History
from .kinds import KINDS
from .place import opened
from .user import GivenUpError, Ledger, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .place import Place

STORM_SECONDS = 150
REST_SECONDS = 240
LOOK_SECONDS = 10


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--at-once", type=int, default=7, help="how many runs at a time")
    parser.add_argument("--faults", type=int, default=2, help="how many faults at a time")
    parser.add_argument("--kinds", nargs="*", help="names of kinds of runs, all if none is given")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {asked.seed}, in {folder}", flush=True)
    history = History()
    with opened(folder, history) as place:
        storms = Storms(place, history, asked)
        end = time.monotonic() + asked.minutes * 60
        is_right = True
        while time.monotonic() < end:
            is_right = storms.run(min(STORM_SECONDS, end - time.monotonic())) and is_right
    print(f"seed {asked.seed}: {storms.number} runs, {storms.faults_done} faults", flush=True)
    return 0 if is_right else 1


class Storms:
    """One storm after another on the same place."""

    def __init__(self, place: Place, history: History, asked: argparse.Namespace) -> None:
        self.place = place
        self.history = history
        self.ledger = Ledger()
        self.asked = asked
        self.number = 0
        self.faults_done = 0
        self._rng = random.Random(asked.seed)
        self._kinds = self._draw_kinds()
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def _draw_kinds(self) -> Iterator[Callable[[User], None]]:
        """Draw each kind once before any comes again."""
        offered = [kind for kind in KINDS if kind.__name__ in (self.asked.kinds or kind.__name__)]
        while True:
            yield from self._rng.sample(offered, len(offered))

    def run(self, seconds: float) -> bool:
        """Have faults for a while, heal, and return whether all came right."""
        workers = [
            Faults(self.place, self.history, random.Random(self._rng.getrandbits(32)))
            for _ in range(self.asked.faults)
        ]
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(self.asked.at_once + len(workers)) as pool:
            doing = [pool.submit(worker.run) for worker in workers]
            doing += [pool.submit(self._submit_until, end) for _ in range(self.asked.at_once)]
            try:
                time.sleep(seconds)
            finally:
                for worker in workers:
                    worker.stopped.set()
            for done in doing[: len(workers)]:
                done.result()
            self.faults_done += sum(worker.number for worker in workers)
            self.history.note("all is healed")
            self.place.heal()
            for done in doing:
                done.result()
        is_right = self._check("after the storm")
        # Whoever starts anew reads what the others only remember.
        north = self.place.sites[0]
        self.place.kill(north)
        self.place.start(north)
        return self._check("with a new server") and is_right

    def _submit_until(self, end: float) -> None:
        while time.monotonic() < end:
            with self._lock:
                kind, self.number = next(self._kinds), self.number + 1
                name, seed = f"{kind.__name__}-{self.number}", self._rng.getrandbits(32)
            user = User(self.place, self.history, self.ledger, name, random.Random(seed))
            user.note("begins")
            with contextlib.suppress(GivenUpError):
                kind(user)
            user.note("is done")

    def _check(self, when: str) -> bool:
        """Look until all is right; what is not within the time is told."""
        deadline = time.monotonic() + REST_SECONDS
        for look in itertools.count(1):
            wrong = Check(self.place, self.history, self.ledger).look()
            new = [item for item in wrong if item not in self._told]
            if not new or time.monotonic() > deadline:
                break
            print(f"look {look}: {len(new)} not right yet, such as {new[0]}", flush=True)
            time.sleep(LOOK_SECONDS)
        self._told.update(new)
        for run, what in new:
            print(f"\nVIOLATION of seed {self.asked.seed}: {run}: {what}")
            ids = {item.name for item in self.ledger.runs if item.run_id == run}
            for event in self.history.around(next(iter(ids), run)):
                print(f"    {event}")
        complaints, self.history.complaints = self.history.complaints, []
        for complaint in complaints:
            print(f"\nVIOLATION of seed {self.asked.seed}: {complaint}")
        print(f"{when}: {len(self.ledger.runs)} runs accepted, {len(new)} wrong", flush=True)
        return not new and not complaints


sys.exit(main())
