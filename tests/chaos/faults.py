"""What goes wrong: each fault is done, lasts for a while, and is undone or repaired."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue_local.lifecycle import PART_NAMES
from jupyter_kueue_local.node.host_processes import MARK
from tests.support import proxy as proxies

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from .history import History
    from .place import Place

# From a word in a container process's command line to what it is; the first that fits.
_ROLES = {
    "ipykernel": "kernel",
    "stage_in": "stage-in",
    "stage_out": "stage-out",
    "runner.export": "export",
    "execute": "notebook",
}
# A node that is silent for longer may be taken for lost, and its pods with it.
_LONGEST_SILENCE_SECONDS = 30.0


class Faults:
    """Does faults, drawn by ``rng``, until told to stop; one at a time, several in parallel."""

    def __init__(self, place: Place, history: History, rng: random.Random) -> None:
        self.place = place
        self.history = history
        self.rng = rng
        self.stopped = threading.Event()
        self.number = 0
        self._weighed: dict[Callable[[], None], int] = {
            self._kill_part: 5,
            self._freeze_part: 5,
            self._kill_server: 4,
            self._freeze_server: 2,
            self._hit_pod: 6,
            self._freeze_pod: 3,
            self._drain_pod: 2,
            self._cut: 4,
            self._hang: 3,
            self._slow: 2,
            self._lose_answers: 4,
            self._fill: 3,
            self._restart_all: 1,
            self._kill_all: 1,
        }

    def run(self) -> None:
        """Do one fault after another."""
        kinds, weights = list(self._weighed), list(self._weighed.values())
        while not self.stopped.is_set():
            (fault,) = self.rng.choices(kinds, weights)
            self.number += 1
            fault()
            self._wait(self.rng.uniform(0.5, 4))

    def _wait(self, seconds: float) -> None:
        self.stopped.wait(seconds)

    def _kill_part(self) -> None:
        name, pause = self.rng.choice(PART_NAMES), self.rng.uniform(0, 8)
        self.history.note(f"kill {name}, repaired after {pause:.1f} s")
        if (part := self.place.part(name)) is not None:
            part.signal(signal.SIGKILL)
        self._wait(pause)
        self.place.local("up")

    def _freeze_part(self) -> None:
        name, seconds = self.rng.choice(PART_NAMES), self.rng.uniform(2, _LONGEST_SILENCE_SECONDS)
        is_repaired = self.rng.random() < 0.3
        self.history.note(f"freeze {name} for {seconds:.1f} s{', then up' if is_repaired else ''}")
        part = self.place.part(name)
        if part is None:
            return
        part.signal(signal.SIGSTOP)
        self._wait(seconds)
        if is_repaired:
            self.place.local("up")
        part.signal(signal.SIGCONT)

    def _kill_all(self) -> None:
        pause = self.rng.uniform(0, 5)
        self.history.note(f"kill all parts, repaired after {pause:.1f} s")
        for name in PART_NAMES:
            if (part := self.place.part(name)) is not None:
                part.signal(signal.SIGKILL)
        self._wait(pause)
        self.place.local("up")

    def _restart_all(self) -> None:
        pause = self.rng.uniform(0, 5)
        self.history.note(f"local down, up after {pause:.1f} s")
        self.history.note_loss()
        self.place.local("down")
        self.history.note_loss()
        self._wait(pause)
        self.place.local("up")

    def _kill_server(self) -> None:
        site, pause = self.rng.choice(self.place.sites), self.rng.uniform(0, 6)
        self.history.note(f"kill server {site.name}, started again after {pause:.1f} s")
        self.place.kill(site)
        self._wait(pause)
        self.place.start(site)

    def _freeze_server(self) -> None:
        site, seconds = self.rng.choice(self.place.sites), self.rng.uniform(2, 20)
        self.history.note(f"freeze server {site.name} for {seconds:.1f} s")
        if (server := site.server) is None:
            return
        server.process.send_signal(signal.SIGSTOP)
        self._wait(seconds)
        server.process.send_signal(signal.SIGCONT)

    def _hit_pod(self) -> None:
        found = sorted(self._pod_processes())
        if found:
            pid, uid, role = self.rng.choice(found)
            self.history.note_attack(uid, role, is_fatal=True)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _freeze_pod(self) -> None:
        found, seconds = sorted(self._pod_processes()), self.rng.uniform(1, 10)
        if not found:
            return
        pid, uid, role = self.rng.choice(found)
        self.history.note_attack(uid, role, is_fatal=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._wait(seconds)
            os.kill(pid, signal.SIGCONT)

    def _drain_pod(self) -> None:
        """Delete a pod, as a drained node does."""
        found = sorted({uid for _, uid, _ in self._pod_processes()})
        if not found:
            return
        uid = self.rng.choice(found)
        # The API server may be away, or the pod gone.
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            pods = self.place.cluster.get("pods", "-n", self.place.namespace.name)["items"]
            for pod in pods:
                if pod["metadata"]["uid"] == uid:
                    self.history.note_attack(uid, "all", is_fatal=True)
                    name = pod["metadata"]["name"]
                    self.place.cluster.kubectl(
                        *("delete", "pod", name, "-n", self.place.namespace.name, "--wait=false")
                    )

    def _pod_processes(self) -> list[tuple[int, str, str]]:
        """Return pid, pod and role of each process of a container."""
        pods, found = self.place.cluster.dir / "node" / "pods", []
        for entry in Path("/proc").iterdir():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            mark = next((v for v in variables if v.startswith(f"{MARK}=".encode())), b"")
            folder = Path(mark.decode().partition("=")[2])
            if folder.is_relative_to(pods):
                role = next((role for word, role in _ROLES.items() if word in command), "other")
                found.append((int(entry.name), folder.relative_to(pods).parts[0], role))
        return found

    def _way(self) -> tuple[str, proxies.Proxy]:
        """Choose a way between two."""
        ways = {f"{site.name}'s bucket": site.bucket for site in self.place.sites}
        ways |= {f"{site.name}'s cluster": site.cluster for site in self.place.sites}
        ways["the pods' bucket"] = self.place.pods_bucket
        name = self.rng.choice(sorted(ways))
        return name, ways[name]

    def _cut(self) -> None:
        name, way = self._way()
        seconds = self.rng.uniform(1, 20)
        self.history.note(f"cut {name} for {seconds:.1f} s")
        way.down()
        self._wait(seconds)
        if not way.is_up:
            way.up()

    def _hang(self) -> None:
        name, way = self._way()
        seconds = self.rng.uniform(1, 20)
        self.history.note(f"{name} hangs for {seconds:.1f} s")
        with way.frozen():
            self._wait(seconds)

    def _slow(self) -> None:
        name, way = self._way()
        seconds, delay = self.rng.uniform(5, 15), self.rng.uniform(0.05, 0.6)
        self.history.note(f"{name} is slow by {delay:.2f} s for {seconds:.1f} s")
        way.refuse = lambda _verb, _path: time.sleep(delay)
        self._wait(seconds)
        way.refuse = lambda _verb, _path: None

    def _lose_answers(self) -> None:
        name, way = self._way()
        seconds, share = self.rng.uniform(2, 10), self.rng.uniform(0.2, 1)
        drawn = self.rng.getrandbits(32)
        self.history.note(f"{name} loses {share:.0%} of the answers to writes for {seconds:.1f} s")

        def lose(verb: str, path: str, status: int) -> bool:
            return verb != "GET" and hash((drawn, path, status)) % 1000 < share * 1000

        way.lose = lose
        self._wait(seconds)
        way.lose = lambda _verb, _path, _status: False

    def _fill(self) -> None:
        ways = {site.name: site.bucket for site in self.place.sites}
        ways["the pods"] = self.place.pods_bucket
        name, seconds = self.rng.choice(sorted(ways)), self.rng.uniform(1, 15)
        self.history.note(f"bucket full for {name} for {seconds:.1f} s")
        ways[name].refuse = proxies.full
        self._wait(seconds)
        ways[name].refuse = lambda _verb, _path: None
