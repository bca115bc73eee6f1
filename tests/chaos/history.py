"""What was done and when: faults, what users asked for, and what they were answered.

A violated check prints what happened around its run from here.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """Something that happened; ``run`` is empty for what concerns all."""

    at: float
    what: str
    run: str = ""

    def __str__(self) -> str:
        clock = dt.datetime.fromtimestamp(self.at, dt.UTC).strftime("%H:%M:%S.%f")[:-3]
        return f"{clock} {self.run or 'FAULT'}: {self.what}"


@dataclass(frozen=True)
class Attack:
    """A signal that a process of a pod got."""

    at: float
    pod_uid: str
    role: str
    is_fatal: bool


@dataclass
class History:
    """All events in their order; any thread may add to it."""

    events: list[Event] = field(default_factory=list)
    attacks: list[Attack] = field(default_factory=list)
    # When all pods were ended, or may have been taken for lost.
    losses: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, run: str = "") -> None:
        """Add an event."""
        event = Event(time.time(), what, run)
        with self.lock:
            self.events.append(event)
        print(event, flush=True)

    def note_attack(self, pod_uid: str, role: str, *, is_fatal: bool) -> None:
        """Add a signal to a pod's process."""
        with self.lock:
            self.attacks.append(Attack(time.time(), pod_uid, role, is_fatal))
        self.note(f"{'kill' if is_fatal else 'freeze'} {role} of pod {pod_uid}")

    def note_loss(self) -> None:
        """Note that pods were ended, or not heard of for so long that they count as lost."""
        with self.lock:
            self.losses.append(time.time())

    def complain(self, what: str, run: str) -> None:
        """Note what no fault excuses, such as an answer 500."""
        with self.lock:
            self.complaints.append(f"{run}: {what}")
        self.note(f"VIOLATION {what}", run)

    def around(self, run: str) -> list[Event]:
        """Return what happened to a run, and the faults from just before it to just after it."""
        mine = [event.at for event in self.events if event.run == run]
        if not mine:
            return []
        first, last = min(mine) - 30, max(mine) + 60
        return [e for e in self.events if e.run == run or (not e.run and first < e.at < last)]
