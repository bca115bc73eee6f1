"""What a user does with a run, through either server, and what may be expected of it then."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.server.conftest import Answer

    from .history import History
    from .place import Place, Site

Json = dict[str, Any]

# Longer than any fault, its repair, and the queue behind all others.
PATIENCE_SECONDS = 420.0
REQUEST_SECONDS = 60.0
# An accepted run is known to each server after that, whatever fault there was.
KNOWN_SECONDS = 60.0
ENDED = ("succeeded", "failed", "stopped")
SIZE = {"cpu": "100m", "memory": "256Mi"}


class GivenUpError(Exception):
    """What a user waited for never came; it is in the history."""


@dataclass
class Run:
    """A run that was accepted, and what is right to see of it in the end.

    Attributes:
        ends: ``state reason`` that its end may be, as long as nothing killed its pods.
        retries: how many killed pods it gets over.
        own_attempts: how many pods it takes by itself, and by what its user does to it.
        roles: the files that it must have in the end.
        others_attempts: whether other runs may preempt it, as often as there are.
    """

    name: str
    kind: str
    run_id: str
    ends: frozenset[str]
    retries: int = 0
    own_attempts: int = 1
    roles: tuple[str, ...] = ()
    others_attempts: bool = False
    shown_name: str = ""
    tags: tuple[str, ...] = ()
    is_deleted: bool = False
    accepted_at: float = field(default_factory=time.monotonic)


@dataclass
class Ledger:
    """What the users of all runs know: what was accepted, refused, or never answered."""

    runs: list[Run] = field(default_factory=list)
    # Names of runs that were refused with 503: nothing of them may be there.
    refused: set[str] = field(default_factory=set)
    # Names of runs whose submit was never answered: they may be there, once.
    unanswered: set[str] = field(default_factory=set)
    # Ids of schedules, and how many runs they made at least and at most.
    schedules: dict[str, tuple[int, int]] = field(default_factory=dict)


class User:
    """Whoever looks after one run; asks either server until one of them answers."""

    def __init__(
        self, place: Place, history: History, ledger: Ledger, name: str, rng: random.Random
    ) -> None:
        self.place = place
        self.history = history
        self.ledger = ledger
        self.name = name
        self.kind = name.rpartition("-")[0]
        self.rng = rng
        self.deadline = time.monotonic() + PATIENCE_SECONDS

    def note(self, what: str) -> None:
        """Add to the history of this run."""
        self.history.note(what, self.name)

    def try_once(self, site: Site, method: str, path: str, body: Any = None) -> Answer | None:
        """Ask a server; None where there was no answer."""
        server = site.server
        if server is None:
            return None
        try:
            answer = server.request(method, path, body, timeout_seconds=REQUEST_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            if method != "GET":
                self.note(f"{method} {path} at {site.name}: {type(error).__name__}")
            return None
        if method != "GET" or answer.status not in (200, 404, 503):
            told = answer.body[:300].decode(errors="replace") if answer.status >= 300 else ""
            self.note(f"{method} {path} at {site.name}: {answer.status} {told}")
        if answer.status == 404 and method == "GET":
            self._check_known(site, path)
        if answer.status not in (200, 201, 204, 404, 503):
            self.history.complain(f"{method} {path}: {answer.status} {answer.body!r}", self.name)
        return answer

    def ask(self, method: str, path: str, body: Any = None, ok: tuple[int, ...] = (200,)) -> Answer:
        """Ask either server, again and again, until the status is one of ``ok``."""
        last = "no answer"
        while time.monotonic() < self.deadline:
            answer = self.try_once(self.rng.choice(self.place.sites), method, path, body)
            if answer is not None and answer.status in ok:
                return answer
            if answer is not None:
                last = f"{answer.status} {answer.body!r}"
                if answer.status not in (404, 503):
                    break
            time.sleep(self.rng.uniform(0.3, 1.5))
        self.history.complain(f"{method} {path} never worked: {last}", self.name)
        raise GivenUpError(self.name)

    def _check_known(self, site: Site, path: str) -> None:
        """Complain of a server that says that there is no such run, long after it was accepted."""
        for run in self.ledger.runs:
            age = time.monotonic() - run.accepted_at
            if path == f"runs/{run.run_id}" and not run.is_deleted and age > KNOWN_SECONDS:
                self.history.complain(f"{site.name} does not know it after {age:.0f} s", self.name)

    def until(self, run_id: str, is_there: Callable[[Json], bool]) -> Json:
        """Return a run's row once ``is_there`` holds for it, or once it has ended."""
        job: Json = {}
        while time.monotonic() < self.deadline:
            job = self.ask("GET", f"runs/{run_id}").json
            if is_there(job) or job["state"] in ENDED:
                return job
            time.sleep(self.rng.uniform(0.5, 1.5))
        shown = {key: job.get(key) for key in ("state", "reason", "message", "detail")}
        self.history.complain(f"got nowhere: {shown}", self.name)
        raise GivenUpError(self.name)

    def accepted(self, job: Json, ends: tuple[str, ...], **expected: Any) -> Run:
        """Enter a run that a server said is accepted."""
        run = Run(job["name"], self.kind, job["run_id"], frozenset(ends), **expected)
        run.shown_name = job["name"]
        self.note(f"accepted as {run.run_id}")
        self.ledger.runs.append(run)
        return run

    def submit_with_key(self, body: Json) -> Json:
        """Submit with a key: the same request until it is answered, at whichever server."""
        # Until it is answered for good: an earlier try may have been done all the same.
        self.ledger.unanswered.add(self.name)
        job: Json = self.ask(
            "POST", "runs", {**body, "name": self.name, "idempotency_key": self.name}, (200, 201)
        ).json
        return job

    def submit_without_key(self, body: Json) -> Json:
        """Submit without a key: each try is another run, and none may stay of a refused one."""
        number = 0
        while time.monotonic() < self.deadline:
            number += 1
            name = f"{self.name}-try{number}"
            site = self.rng.choice(self.place.sites)
            if site.server is None:
                time.sleep(1)
                continue
            answer = self.try_once(site, "POST", "runs", {**body, "name": name})
            if answer is not None and answer.status == 201:
                job: Json = answer.json
                return job
            self.note_refusal(name, answer)
            time.sleep(self.rng.uniform(0.5, 2))
        self.history.complain("was never accepted", self.name)
        raise GivenUpError(self.name)

    def note_refusal(self, name: str, answer: Answer | None) -> None:
        """Note what may be expected of a submit without a key that was not accepted."""
        is_open = answer is None or b"may have been submitted nevertheless" in answer.body
        (self.ledger.unanswered if is_open else self.ledger.refused).add(name)

    def delete(self, run: Run) -> None:
        """Delete a run; what is gone already has been deleted by an earlier try."""
        # Before the answer: a delete whose answer was lost may have been done.
        run.is_deleted = True
        tries = 0
        while time.monotonic() < self.deadline:
            tries += 1
            site = self.rng.choice(self.place.sites)
            answer = self.try_once(site, "DELETE", f"runs/{run.run_id}")
            # The other server may not have heard of a new run, so one refusal does not count.
            if answer is not None and (
                answer.status == 204 or (answer.status == 404 and tries > 5)
            ):
                return
            time.sleep(self.rng.uniform(0.3, 1.5))
        self.history.complain("could not be deleted", self.name)
        raise GivenUpError(self.name)
