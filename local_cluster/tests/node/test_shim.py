"""The shim as the process it is, without an agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue_local.node import shim
from jupyter_kueue_local.node.container_logs import LogReader
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_kueue_local.node.container_logs import Record

pytestmark = pytest.mark.programs

DEADLINE_SECONDS = 20


class RunningShim:
    def __init__(self, folder: Path, command: list[str], memory_limit: int) -> None:
        self.folder = folder
        (folder / "command").write_bytes(b"".join(os.fsencode(w) + b"\0" for w in command))
        (folder / "environment").write_bytes(
            f"PATH={Path(sys.executable).parent}:/usr/bin:/bin\0GREETING=hello\0".encode()
        )
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", shim.__file__, str(folder), str(memory_limit)],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )

    def end(self) -> dict[str, Any]:
        assert self.process.wait(DEADLINE_SECONDS) == 0
        ended: dict[str, Any] = json.loads((self.folder / "exit").read_text())
        return ended

    def output(self) -> bytes:
        return b"".join(record.output for record in self.records())

    def records(self) -> list[Record]:
        with closing(LogReader(self.folder / "log")) as reader:
            return reader.read()

    def wait_for(self, text: bytes) -> None:
        until(lambda: text in self.output())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., RunningShim]]:
    shims: list[RunningShim] = []

    def start(*command: str, memory_limit: int = 0) -> RunningShim:
        shims.append(RunningShim(tmp_path, list(command), memory_limit))
        return shims[-1]

    yield start
    for one in shims:
        one.process.kill()
        one.process.wait()


def test_exit_code_and_both_outputs_are_kept(run: Callable[..., RunningShim]) -> None:
    one = run("sh", "-c", "echo $GREETING; echo oops >&2; printf end; exit 7")
    end = one.end()
    assert end["exit_code"] == 7
    assert not end["out_of_memory"]
    assert end["finished_ns"] >= end["started_ns"] > 0
    assert {(r.stream, r.output) for r in one.records()} == {
        ("stdout", b"hello\n"),
        ("stderr", b"oops\n"),
        ("stdout", b"end"),
    }


def test_what_held_credentials_is_removed(run: Callable[..., RunningShim]) -> None:
    one = run("true")
    one.end()
    assert not (one.folder / "environment").exists()


def test_a_command_that_is_not_there_is_named(run: Callable[..., RunningShim]) -> None:
    end = run("no-such-program").end()
    assert end["exit_code"] == 128
    assert "no-such-program" in end["start_error"]


def test_a_long_line_is_cut_and_comes_out_whole(run: Callable[..., RunningShim]) -> None:
    one = run("python", "-c", "print('x' * 100_000); print('y')")
    one.end()
    assert one.output() == b"x" * 100_000 + b"\ny\n"
    assert max(len(line) for line in (one.folder / "log").read_bytes().split(b"\n")) < 17_000


def test_a_log_that_has_grown_large_begins_anew(run: Callable[..., RunningShim]) -> None:
    one = run("sh", "-c", "yes $(printf %0200d 0) | head -n 60000; echo end")
    assert one.end()["exit_code"] == 0
    assert one.output().endswith(b"0\nend\n")
    sizes = [(one.folder / name).stat().st_size for name in ("log", "log.1")]
    assert 0 < max(sizes) < 11 * 2**20
    assert sum(sizes) > 12 * 2**20


def test_sigterm_reaches_the_process(run: Callable[..., RunningShim]) -> None:
    one = run("sh", "-c", "trap 'echo told; exit 5' TERM; echo up; while :; do sleep 0.05; done")
    one.wait_for(b"up")
    one.process.send_signal(signal.SIGTERM)
    assert one.end()["exit_code"] == 5
    assert b"told" in one.output()


def test_killing_takes_the_whole_tree_along(run: Callable[..., RunningShim]) -> None:
    one = run("sh", "-c", "trap '' TERM; (setsid sleep 1000 & echo child $!) ; echo up; sleep 1000")
    one.wait_for(b"up")
    child = int(one.output().split()[1])
    assert is_running(child)
    one.process.send_signal(signal.SIGUSR1)
    assert one.end()["exit_code"] == 137
    assert not is_running(child)


def test_children_left_behind_do_not_outlive_the_container(
    run: Callable[..., RunningShim],
) -> None:
    one = run("sh", "-c", "(setsid sleep 1000 & echo child $!); exit 0")
    assert one.end()["exit_code"] == 0
    assert not is_running(int(one.output().split()[1]))


def test_memory_of_the_whole_tree_counts(run: Callable[..., RunningShim]) -> None:
    hog = "b = bytearray(60_000_000); print('full', flush=True); import time; time.sleep(1000)"
    one = run("sh", "-c", f'python -c "{hog}" & python -c "{hog}" & wait', memory_limit=100_000_000)
    end = one.end()
    assert end["out_of_memory"]
    assert end["exit_code"] == 137


def test_memory_below_the_limit_is_left_alone(run: Callable[..., RunningShim]) -> None:
    one = run(
        "python",
        "-c",
        "b = bytearray(30_000_000); import time; time.sleep(0.8); print(len(b))",
        memory_limit=200_000_000,
    )
    assert one.end()["exit_code"] == 0


def test_the_process_dies_with_its_shim(run: Callable[..., RunningShim]) -> None:
    one = run("sh", "-c", "echo pid $$; exec sleep 1000")
    one.wait_for(b"pid")
    pid = int(one.output().split()[1])
    one.process.kill()
    until(lambda: not is_running(pid))
    assert not (one.folder / "exit").exists()
