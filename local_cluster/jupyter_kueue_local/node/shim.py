"""Runs one container: starts its process, writes its log, measures its memory, records its end.

This file runs as a program of its own (``python -I -S shim.py``) for each started container. It
outlives the agent, so it imports nothing from this package and only what starts quickly. SIGTERM is
passed on to the container's process; SIGUSR1 kills the whole process tree. It never talks to the
cluster and never decides about restarts.

Files in its working directory:

    command environment   what to run, parts separated by NUL; removed once read
    shim                  pid, start time in clock ticks, boot id: written first
    started               nanoseconds since the epoch, and the process's pid
    log                   lines ``<RFC 3339 time> stdout|stderr F|P <text>`` (CRI's log format,
                          https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/logs)
    exit                  a JSON object, written last: the container has ended

Disk space for ``shim``, ``started`` and ``exit`` may be reserved as ``.<name>``, so that they can
be written even if the container fills the disk.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_POLL_SECONDS = 0.25
_LOG_LINE_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024
# As on a real node (kubelet: containerLogMaxSize): then the log starts again.
_LOG_BYTES = 10 * 2**20
# If more new processes appear between two checks, all of /proc is read instead.
_FEW_NEW_PIDS = 256
_MAX_WAIT_FOR_KILLED_SECONDS = 10.0


def main() -> None:
    """Run the container of the current folder; argv: working directory, memory limit or 0."""
    working_dir, memory_limit = sys.argv[1], int(sys.argv[2])
    command = _take("command")
    environment = dict(part.split(b"=", 1) for part in _take("environment"))
    # Orphaned processes of the container become children of this one, so that none is lost.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    boot_id = _read("/proc/sys/kernel/random/boot_id").strip().decode()
    _write("shim", f"{os.getpid()} {_start_ticks(os.getpid())} {boot_id}")
    container = _Container(command, environment, working_dir, memory_limit)
    container.run()
    os._exit(0)


class _Container:
    """The process tree of one container and its log."""

    def __init__(
        self,
        command: list[bytes],
        environment: dict[bytes, bytes],
        working_dir: str,
        memory_limit: int,
    ) -> None:
        self._command = command
        self._environment = environment
        self._working_dir = working_dir
        self._memory_limit = memory_limit
        self._memory = _TreeMemory()
        self._log = _Log()
        self._streams: dict[int, _Stream] = {}
        self._wake, wake_write = os.pipe()
        for end in (self._wake, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._pid = 0
        self._started_ns = 0
        self._status: int | None = None
        self._out_of_memory = False

    def run(self) -> None:
        """Start the process and stay until it and all its descendants have ended."""
        error = self._start()
        if error:
            self._write_exit(128, error)
            return
        _write("started", f"{self._started_ns} {self._pid}")
        _tell_agent(b"started\n")
        poll = select.poll()
        for descriptor in (self._wake, *self._streams):
            poll.register(descriptor, select.POLLIN)
        timeout = int(_POLL_SECONDS * 1000) if self._memory_limit else None
        look_at = 0.0
        while self._status is None:
            for descriptor, _ in poll.poll(timeout):
                if descriptor == self._wake:
                    self._on_signals(os.read(self._wake, 64))
                else:
                    self._streams[descriptor].copy()
                    if self._streams[descriptor].ended:
                        poll.unregister(descriptor)
            if self._memory_limit and time.monotonic() >= look_at:
                look_at = time.monotonic() + _POLL_SECONDS
                if self._memory.read() > self._memory_limit:
                    self._out_of_memory = True
                    self._kill_tree()
        self._kill_tree()
        for stream in self._streams.values():
            while stream.copy():
                pass
            stream.finish()
        code = os.waitstatus_to_exitcode(self._status)
        self._write_exit(code if code >= 0 else 128 - code, "")

    def _start(self) -> str:
        """Fork and exec; return what went wrong, or an empty text."""
        out, out_write = os.pipe()
        err, err_write = os.pipe()
        failed, failed_write = os.pipe()
        self._started_ns = time.time_ns()
        shim = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.setsid()
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != shim:
                    os._exit(137)
                for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
                    signal.signal(number, signal.SIG_DFL)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out_write, 1)
                os.dup2(err_write, 2)
                # As container runtimes do; the agent's own umask is narrower.
                os.umask(0o022)
                os.chdir(self._working_dir)
                os.execvpe(self._command[0], self._command, self._environment)  # noqa: S606 - no shell is wanted
            except OSError as error:
                # chdir is the only call here whose error names the folder
                where = error.filename if error.filename == self._working_dir else ""
                what = (
                    f"chdir to cwd ({where!r})" if where else f"exec: {_text(self._command[0])!r}"
                )
                os.write(failed_write, f"{what}: {error.strerror}".encode())
            os._exit(128)
        for end in (out_write, err_write, failed_write):
            os.close(end)
        error_text = os.read(failed, 4096)
        os.close(failed)
        if error_text:
            os.waitpid(self._pid, 0)
            return error_text.decode(errors="replace")
        for descriptor, name in ((out, b"stdout"), (err, b"stderr")):
            os.set_blocking(descriptor, False)
            self._streams[descriptor] = _Stream(descriptor, name, self._log)
        return ""

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers:
            _signal(self._pid, signal.SIGTERM)
        if signal.SIGUSR1 in numbers:
            self._kill_tree()
        self._reap()

    def _reap(self) -> bool:
        """Collect the exit statuses of all ended children; return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._pid:
                self._status = status

    def _kill_tree(self) -> None:
        """Send SIGKILL to every descendant, including new ones, and wait for their end."""
        deadline = time.monotonic() + _MAX_WAIT_FOR_KILLED_SECONDS
        pause = 0.001
        while self._reap() and time.monotonic() < deadline:
            for pid in _descendants():
                _signal(pid, signal.SIGKILL)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _write_exit(self, code: int, error: str) -> None:
        import json  # noqa: PLC0415 - not needed for a quick start

        ended = {
            "exit_code": code,
            "started_ns": self._started_ns,
            "finished_ns": time.time_ns(),
            "out_of_memory": self._out_of_memory,
            "start_error": error,
        }
        _write("exit", json.dumps(ended))


class _Stream:
    """One of the container's two outputs, split into lines."""

    def __init__(self, descriptor: int, name: bytes, log: _Log) -> None:
        self._descriptor = descriptor
        self._name = name
        self._log = log
        self._pending = b""
        self.ended = False

    def copy(self) -> bool:
        """Copy what can be read now; return False at the end or if nothing is available."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.ended = True
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        records = []
        for line in lines:
            *parts, last = _pieces(line)
            records += [(b"P", part) for part in parts]
            records.append((b"F", last))
        if len(self._pending) >= _LOG_LINE_BYTES:
            *parts, self._pending = _pieces(self._pending)
            records += [(b"P", part) for part in parts]
        self._append(records)
        return True

    def finish(self) -> None:
        """Write the remaining line without an end."""
        if self._pending:
            self._append([(b"P", self._pending)])

    def _append(self, records: list[tuple[bytes, bytes]]) -> None:
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        head = f"{moment}.{nanoseconds:09d}Z ".encode() + self._name
        self._log.append(b"".join(b"%s %s %s\n" % (head, tag, text) for tag, text in records))


class _Log:
    """The log file, which starts again when it has grown large."""

    def __init__(self) -> None:
        self._file = self._open()
        self._size = 0

    def append(self, data: bytes) -> None:
        """Write whole lines. A full disk loses them, but must not end the container."""
        if self._size + len(data) > _LOG_BYTES:
            os.rename("log", "log.1")  # noqa: PTH104 - pathlib is slow to import
            os.close(self._file)
            self._file = self._open()
            self._size = 0
        self._size += len(data)
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except OSError:
                return

    def _open(self) -> int:
        return os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


class _TreeMemory:
    """The memory of this process's descendants, without reading all of /proc each time.

    The kernel numbers processes upwards and shows the latest number in /proc/loadavg, so that only
    numbers assigned since the last check can be new descendants.
    """

    def __init__(self) -> None:
        self._members: set[int] = set()
        self._latest = -1

    def read(self) -> int:
        """Return the anonymous and shared memory of all descendants, in bytes."""
        latest = int(_read("/proc/loadavg").rsplit(b" ", 1)[1])
        new = latest - self._latest
        if self._latest < 0 or not 0 <= new <= _FEW_NEW_PIDS:
            self._members = set(_descendants())
        elif new:
            family = self._members | {os.getpid()}
            for pid in range(self._latest + 1, latest + 1):
                if _parent(pid) in family:
                    self._members.add(pid)
                    family.add(pid)
        self._latest = latest
        total = 0
        for pid in list(self._members):
            used = _memory_bytes(pid)
            if used is None:
                self._members.discard(pid)
            else:
                total += used
        return total


def _pieces(line: bytes) -> list[bytes]:
    return [line[i : i + _LOG_LINE_BYTES] for i in range(0, len(line), _LOG_LINE_BYTES)] or [b""]


def _descendants() -> list[int]:
    """Return all descendants of this process that have not ended, from one pass over /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is slow to import
        if name.isdigit():
            children.setdefault(_parent(int(name)), []).append(int(name))
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        members = children.get(queue.pop(), [])
        found += members
        queue += members
    return found


def _stat_fields(pid: int) -> list[bytes]:
    """Return the fields of /proc/<pid>/stat from the state on, the third in proc(5)."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()


def _parent(pid: int) -> int:
    fields = _stat_fields(pid)
    # The number may be a thread's; only a process is its own thread group.
    return int(fields[1]) if fields else -1


def _start_ticks(pid: int) -> int:
    fields = _stat_fields(pid)
    return int(fields[19]) if fields else 0


def _memory_bytes(pid: int) -> int | None:
    """Return RssAnon + RssShmem, None for a process that has ended."""
    try:
        status = _read(f"/proc/{pid}/status")
    except OSError:
        return None
    total = 0
    thread_group = pid
    for line in status.split(b"\n"):
        if line.startswith(b"Tgid:"):
            thread_group = int(line.split()[1])
        elif line.startswith((b"RssAnon:", b"RssShmem:")):
            total += int(line.split()[1]) * 1024
    # A thread reports its whole process, which is already counted.
    return total if thread_group == pid else None


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _tell_agent(message: bytes) -> None:
    try:
        os.write(1, message)
    except OSError:  # the agent has ended; it reads the files after its restart
        return


def _take(name: str) -> list[bytes]:
    """Return the NUL-separated parts of a file, and remove it: it may contain credentials."""
    data = _read(name)
    os.unlink(name)  # noqa: PTH108 - pathlib is slow to import
    return data.split(b"\0")[:-1]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
        return file.read()


def _write(name: str, text: str) -> None:
    """Replace a file atomically, in the space reserved for it, padded with blanks."""
    descriptor = os.open(f".{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    data = text.encode()
    os.write(descriptor, data + b" " * (os.fstat(descriptor).st_size - len(data)))
    os.close(descriptor)
    os.rename(f".{name}", name)  # noqa: PTH104 - see _read


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


if __name__ == "__main__":
    main()
