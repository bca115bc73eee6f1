"""Processes that a test has killed: forked from one that has imported everything already.

A server's imports take longer than all that it does until it is killed, and it is killed at every
step in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

from jupyter_kueue.service import connected  # noqa: F401 - what a server imports when it connects

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path


def serve(main: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` in a process of its own for each list of arguments on standard input.

    Prints how each ended: 0, or the negative number of the signal that killed it.
    """
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _run(main, json.loads(line))
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - for the test


def _run(main: Callable[..., Coroutine[Any, Any, None]], arguments: list[Any]) -> None:
    try:
        asyncio.run(main(*arguments))
    except BaseException:  # noqa: BLE001 - nothing of the parent may run in this process
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@contextlib.contextmanager
def running(program: Path, environment: Mapping[str, str]) -> Iterator[Callable[..., int]]:
    """Run a program that calls ``serve``; yields what runs its ``main`` and returns its end."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.service.{program.stem}"],
        cwd=program.parents[2],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(*arguments: Any) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(arguments), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run
    assert process.returncode == 0
