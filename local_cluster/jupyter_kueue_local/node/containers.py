"""One container of a pod: starts it under a shim, notices its end, adopts it after a restart.

The container's folder holds its whole state (see ``shim``), so that an agent that was killed can
restore it. This module does not decide when to start or stop, and does not talk to the cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import py_compile
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jupyter_kueue.domain import quantities
from jupyter_kueue_local.node import container_logs, host_processes
from jupyter_kueue_local.node.path_mapping import PathMapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_kueue_local.node.environment import Launch
    from jupyter_kueue_local.node.pod_folder import PodFolder

Json = dict[str, Any]
Kind = Literal["init", "sidecar", "main"]

_SHIM = Path(__file__).with_name("shim.py")
_TERMINATION_LOG = "termination-log"
# The kubelet's limits (pkg/kubelet/kuberuntime/kuberuntime_container.go).
_MESSAGE_BYTES = 4096
_FALLBACK_BYTES = 2048
_FALLBACK_LINES = 80

# Files that the shim must be able to write on a full disk: file -> maximum length.
_ROOM_BYTES = {"shim": 128, "started": 64, "exit": 8192}

LOST_EXIT_CODE = 137
LOST_REASON = "ContainerStatusUnknown"
LOST_MESSAGE = "The container could not be located when the pod was terminated"


@dataclass(frozen=True)
class Running:
    """A container that has been running since ``started_ns`` (since the epoch)."""

    started_ns: int


@dataclass(frozen=True)
class Terminated:
    """How one start of a container ended; times are None if unknown."""

    exit_code: int
    reason: str
    message: str
    started_ns: int | None
    finished_ns: int | None
    attempt: int


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run (yet)."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Inside:
    """The environment inside a running container."""

    environment: dict[str, str]
    working_dir: str
    mapping: PathMapping


def compile_shim(target: Path) -> None:
    """Write the program that starts all containers, compiled by this Python.

    Compiling it each time would take a third of a container's start.
    """
    py_compile.compile(str(_SHIM), cfile=str(target), doraise=True)


class Container:
    """One container, over all its starts.

    Attributes:
        ended: set while no process of it is left.
        launched: cleared while a start is in progress.
        waiting, running, terminated: its state; all None before the first start. While it waits for
            a restart, ``terminated`` is how it ended.
        last_terminated: how the start before that one ended.
        started: its startup probe has passed, or it has none and runs.
        ready: it counts as ready, by its readiness probe if it has one.
    """

    def __init__(
        self, folder: PodFolder, spec: Json, kind: Kind, on_change: Callable[[], None]
    ) -> None:
        """``on_change`` is called when the container has ended."""
        self._folder = folder
        self.spec = spec
        self.kind: Kind = kind
        self.name: str = spec["name"]
        self._on_change = on_change
        self._pidfd = -1
        self._shim_pid = 0
        self.ended = asyncio.Event()
        self.ended.set()
        self.launched = asyncio.Event()
        self.launched.set()
        self.waiting: Waiting | None = None
        self.running: Running | None = None
        self.terminated: Terminated | None = None
        self.last_terminated: Terminated | None = None
        self.started = False
        self.ready = False

    @property
    def attempts(self) -> list[Path]:
        """The folders of all starts that left anything, oldest first."""
        return self._folder.attempts(self.name)

    @property
    def attempt(self) -> int:
        """The number of the latest start, from 0; -1 before the first."""
        attempts = self.attempts
        return int(attempts[-1].name) if attempts else -1

    @property
    def restart_count(self) -> int:
        """How often it was restarted."""
        return max(self.attempt, 0)

    @property
    def next_attempt(self) -> Path:
        """The folder of the next start."""
        return self._folder.container(self.name) / str(self.attempt + 1)

    def termination_log(self, attempt: Path) -> Path:
        """Return the path of a start's termination message."""
        return attempt / _TERMINATION_LOG

    def adopt(self) -> None:
        """Restore the state from the folder: running, or how it ended meanwhile."""
        for attempt in self.attempts:
            if not (attempt / "shim").exists() and not (attempt / "exit").exists():
                # The agent ended before the shim began: this start never happened.
                host_processes.remove_tree(attempt)
                continue
            self.last_terminated, self.terminated = self.terminated, None
            shim = None if (attempt / "exit").exists() else host_processes.find_shim(attempt)
            if shim is None:
                self.terminated = self._read_end(attempt)
            else:
                self._watch(shim.pidfd, shim.pid)
                self.running = Running(_started_ns(attempt))

    async def start(self, launch: Launch) -> None:
        """Start it. Afterwards it is running, or terminated with reason ``StartError``."""
        attempt = self.next_attempt
        try:
            pid, answer = self._start_shim(attempt, launch)
        except OSError:
            # It counts as a start only if a shim took over; the caller tries again.
            host_processes.remove_tree(attempt)
            raise
        self.waiting = None
        self.last_terminated, self.terminated = self.terminated, None
        self.launched.clear()
        self._watch(os.pidfd_open(pid), pid)
        if await _answer(answer) and not self.ended.is_set():
            self.running = Running(_started_ns(attempt))
        else:
            await self.ended.wait()
        self.launched.set()

    def _start_shim(self, attempt: Path, launch: Launch) -> tuple[int, int]:
        """Start the shim; return its pid and a pipe on which it reports that the container runs."""
        attempt.mkdir(parents=True, mode=0o700, exist_ok=True)
        with suppress(OSError):  # the shim reports why it cannot enter it
            Path(launch.working_dir).mkdir(parents=True, exist_ok=True)
        self.termination_log(attempt).touch()
        _write_parts(attempt / "command", launch.command)
        _write_parts(
            attempt / "environment",
            [f"{name}={value}" for name, value in launch.environment.items()],
        )
        (attempt / "mounts").write_text(json.dumps(launch.mapping.mounts))
        for name, room_bytes in _ROOM_BYTES.items():
            (attempt / f".{name}").write_bytes(b" " * room_bytes)
        limit = self.spec.get("resources", {}).get("limits", {}).get("memory")
        read, write = os.pipe()
        with (attempt / "shim-error").open("wb") as errors_of_shim, os.fdopen(write, "wb") as tell:
            process = subprocess.Popen(
                [
                    sys.executable,
                    *("-I", "-S", str(self._folder.shim_program)),
                    launch.working_dir,
                    str(int(quantities.parse(str(limit))) if limit else 0),
                ],
                cwd=attempt,
                env={host_processes.MARK: str(attempt)},
                stdin=subprocess.DEVNULL,
                stdout=tell,
                stderr=errors_of_shim,
                start_new_session=True,
            )
        # It may outlive this process, which waits for its pidfd, not for this object.
        process.returncode = 0
        return process.pid, read

    def terminate(self) -> None:
        """Send SIGTERM to the container's first process, as a container runtime does."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the whole process tree."""
        self._signal(signal.SIGUSR1)

    def inside(self) -> Inside | None:
        """Return what a command needs to run as if inside the container; None if it has ended."""
        try:
            attempt = self.attempts[-1]
            pid = int((attempt / "started").read_text().split()[1])
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            working_dir = str(Path(f"/proc/{pid}/cwd").readlink())
            mounts = json.loads((attempt / "mounts").read_text())
        except (OSError, IndexError):
            return None
        pairs = (os.fsdecode(variable).partition("=") for variable in variables if variable)
        return Inside({name: value for name, _, value in pairs}, working_dir, PathMapping(mounts))

    @property
    def alive(self) -> bool:
        """Whether any process of it may be left."""
        return not self.ended.is_set()

    def close(self) -> None:
        """Stop watching; the container keeps running."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _signal(self, number: signal.Signals) -> None:
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return  # it is just ending, and _on_end will be called

    def _watch(self, pidfd: int, pid: int) -> None:
        self._pidfd, self._shim_pid = pidfd, pid
        self.ended.clear()
        asyncio.get_running_loop().add_reader(pidfd, self._on_end)

    def _on_end(self) -> None:
        """Note the end of the shim, which is the end of the container."""
        self.close()
        host_processes.reap(self._shim_pid)
        self.running = None
        self.started = self.ready = False
        self.terminated = self._read_end(self.attempts[-1])
        self.ended.set()
        self._on_change()

    def _read_end(self, attempt: Path) -> Terminated:
        number = int(attempt.name)
        try:
            end = json.loads((attempt / "exit").read_text())
        except (FileNotFoundError, ValueError):
            # The shim was killed, or the machine was restarted while it wrote.
            host_processes.kill_marked(attempt)
            started = _started_ns(attempt) or None
            fault = _read_fault(attempt)
            message = f"{LOST_MESSAGE}: its shim failed: {fault}" if fault else LOST_MESSAGE
            return Terminated(LOST_EXIT_CODE, LOST_REASON, message, started, None, number)
        if end["start_error"]:
            message = f"failed to start container process: {end['start_error']}"
            return Terminated(
                end["exit_code"], "StartError", message, 0, end["finished_ns"], number
            )
        reason = "Completed" if end["exit_code"] == 0 else "Error"
        return Terminated(
            exit_code=end["exit_code"],
            reason="OOMKilled" if end["out_of_memory"] else reason,
            message=self._message(attempt, end["exit_code"]),
            started_ns=end["started_ns"],
            finished_ns=end["finished_ns"],
            attempt=number,
        )

    def _message(self, attempt: Path, exit_code: int) -> str:
        try:
            with self.termination_log(attempt).open("rb") as file:
                message = file.read(_MESSAGE_BYTES)
        except FileNotFoundError:  # the container may remove it
            message = b""
        policy = self.spec.get("terminationMessagePolicy", "File")
        if not message and exit_code and policy == "FallbackToLogsOnError":
            records = container_logs.read_tail(attempt / "log", _FALLBACK_LINES)
            message = b"".join(record.output for record in records)[-_FALLBACK_BYTES:]
        return message.decode(errors="replace")


def _read_fault(attempt: Path) -> str:
    try:
        return (attempt / "shim-error").read_text(errors="replace")[-_FALLBACK_BYTES:]
    except FileNotFoundError:  # the machine stopped before it was written
        return ""


def _started_ns(attempt: Path) -> int:
    try:
        return int((attempt / "started").read_text().split()[0])
    except (FileNotFoundError, IndexError):  # just starting, or interrupted by a crash
        return 0


def _write_parts(path: Path, parts: list[str]) -> None:
    path.touch(mode=0o600)
    path.write_bytes(b"".join(os.fsencode(part) + b"\0" for part in parts))


async def _answer(read: int) -> bool:
    """Wait for the shim's report that the container runs, or for its end; close the pipe."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(read, readable.set)
    try:
        await readable.wait()
        return bool(os.read(read, 64))
    finally:
        loop.remove_reader(read)
        os.close(read)
