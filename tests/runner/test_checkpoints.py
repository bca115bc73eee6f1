"""Checkpoints under odd names, and of files that became folders: the next attempt finds them."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job, Pod

# A path that is too long to be kept, so that a look at the folder does not see all of it.
LEAVE_OUT = """
import os
os.chdir(os.environ["CHECKPOINT_DIR"])
os.makedirs("/".join(["d" * 200] * 5))
"""
FILE = "open('m', 'w').write('a file')\n"
FOLDER = "os.mkdir('m'); open('m/x', 'w').write('in a folder')\n"
NO_FILE = "os.unlink('m')\n"
NO_FOLDER = "os.unlink('m/x'); os.rmdir('m')\n"


def test_names_that_a_listing_cannot_carry_are_left_out(new_run: Callable[..., Job]) -> None:
    text = "for n in ('\\ufffe', 'a\\uffffb', 'good'): open(n, 'w').write('x')\n"
    again = interrupted_and_staged(new_run, text)
    assert [path.name for path in (again.folder / "checkpoints").iterdir()] == ["good"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (FILE + "time.sleep(5)\n" + NO_FILE + FOLDER, {"m/x": "in a folder"}),
        (FOLDER + "time.sleep(5)\n" + NO_FOLDER + FILE, {"m": "a file"}),
    ],
)
def test_a_file_that_becomes_a_folder_and_the_reverse(
    new_run: Callable[..., Job], text: str, kept: dict[str, str]
) -> None:
    again = interrupted_and_staged(new_run, text)
    assert checkpoints_of(again) == kept


def test_what_is_gone_is_deleted_though_something_is_left_out(new_run: Callable[..., Job]) -> None:
    text = FILE + "time.sleep(5)\nos.rename('m', 'n')\n"
    again = interrupted_and_staged(new_run, text)
    assert checkpoints_of(again) == {"n": "a file"}


@pytest.mark.parametrize("newer", ["m", "m/x"])
def test_of_a_file_and_a_folder_of_one_name_the_newer_counts(
    new_run: Callable[..., Job], newer: str
) -> None:
    run = new_run("1")
    for path in sorted(["m", "m/x", "other"], key=lambda path: path == newer):
        key = f"{run.prefix}{pod_contract.CHECKPOINTS_PREFIX}{path}"
        # A second, which is what S3's times are in.
        asyncio.run(put_after_a_second(run, key))
    pod = run.pod()
    assert pod.stage_in() == 0, pod.said
    assert set(checkpoints_of(pod)) == {newer, "other"}


async def put_after_a_second(run: Job, key: str) -> None:
    async def now() -> Any:
        await run.bucket.put_bytes(f"{run.prefix}clock", b"")
        found = await run.bucket.head(f"{run.prefix}clock")
        assert found is not None
        return found.last_modified

    first = await now()
    while await now() == first:
        pass
    await run.bucket.put_bytes(key, b"x")


def interrupted_and_staged(new_run: Callable[..., Job], text: str) -> Pod:
    """Return a second attempt with its inputs, after a first that was stopped behind ``text``."""
    code = f"import os, time\nhere = os.getcwd()\n{LEAVE_OUT}{text}"
    run = new_run(f"{code}open(here + '/running', 'w').close()\ntime.sleep(600)")
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until((pod.folder / "workspace" / "running").exists, "the cell runs")
    pod.notebook.send_signal(signal.SIGTERM)
    assert pod.wait() == pod_contract.EXIT_INTERRUPTED
    pod.stop_sidecar()
    again = run.pod()
    assert again.stage_in() == 0, again.said
    return again


def checkpoints_of(pod: Pod) -> dict[str, str]:
    folder = pod.folder / "checkpoints"
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
