"""``export``: exports the executed notebook to other formats, in its own container.

The pod has this container only if a requested format needs it. It has no bucket, no credential and
none of the notebook's volumes: it reads the request that ``stage_out`` writes, runs each format in
a limited process (``export_notebook``), and leaves the files for ``export_requests`` to collect.
Exports run code and follow references of the notebook's author, so their results are not trusted.
The container idles until the notebook has ended, so it imports little.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import as_json, say
from jupyter_kueue.runner.shared import control, home

if TYPE_CHECKING:
    import subprocess

    from jupyter_kueue.contract.sentences import Sentence

MEMORY_BYTES = 2 * 2**30
WAIT_SECONDS = 0.05
POLL_SECONDS = 0.01
MAX_SAID_BYTES = 500

# The variables that the image's programs need to find their own parts. An export gets nothing else
# from this container's environment.
PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "PLAYWRIGHT_BROWSERS_PATH",
    "TEXMFROOT",
)


def main() -> None:
    """Serve one request, wait for the pod's end and exit."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: os._exit(pod_contract.EXIT_SUCCEEDED))
    home.ensure()
    os.nice(pod_contract.STAGING_NICENESS)
    requests = control.folder(pod_contract.ENV_EXPORT_REQUEST_DIR)
    made = control.folder(pod_contract.ENV_EXPORT_DIR)
    while not (request := control.read(requests / pod_contract.EXPORT_REQUEST_FILE)):
        time.sleep(WAIT_SECONDS)
    if not (made / pod_contract.EXPORT_REPLY_FILE).exists():
        notebook = requests / pod_contract.EXPORT_NOTEBOOK_FOLDER / request["name"]
        problems = export(notebook, request["formats"], made)
        reply = {
            "errors": {number: str(why) for number, why in problems.items()},
            "sentences": {number: as_json(why) for number, why in problems.items()},
        }
        control.write(made / pod_contract.EXPORT_REPLY_FILE, reply)
    while True:
        signal.pause()


@dataclass
class Running:
    """The process of one export, the folder that it owns, and its deadline."""

    output_format: str
    process: subprocess.Popen[bytes]
    home: Path
    deadline: float


def export(notebook: Path, formats: list[str], made: Path) -> dict[str, Sentence]:
    """Export ``notebook`` to each format, into a folder of ``made`` named by the format's number.

    Returns the reason for each failed format, by its index.
    """
    problems: dict[str, Sentence] = {}
    waiting = list(enumerate(formats))
    running: dict[int, Running] = {}
    while waiting or running:
        while waiting and len(running) < pod_contract.EXPORTS_AT_ONCE:
            number, output_format = waiting.pop(0)
            target = made / str(number)
            try:
                target.mkdir()
            except FileExistsError:
                problems[str(number)] = say(
                    "export-killed",
                    "The export to {format} was killed. The usual cause is memory: an admin can "
                    "raise staging_memory_limit.",
                    format=output_format,
                )
                continue
            running[number] = _start(notebook, output_format, target)
        for number, one in list(running.items()):
            problem = _problem(one)
            if one.process.returncode is not None:
                del running[number]
                _remove(one)
                if problem:
                    problems[str(number)] = problem
        time.sleep(POLL_SECONDS)
    return problems


def _start(notebook: Path, output_format: str, target: Path) -> Running:
    import subprocess  # noqa: PLC0415 - not needed while it waits
    import tempfile  # noqa: PLC0415 - the same

    home = Path(tempfile.mkdtemp(prefix="export-"))
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            command(notebook, output_format, target),
            env=environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
    return Running(output_format, process, home, time.monotonic() + pod_contract.EXPORT_SECONDS)


def command(notebook: Path, output_format: str, target: Path) -> list[str]:
    """Return the command of one export, isolated from folder, environment and user site."""
    return [
        sys.executable,
        "-I",
        "-m",
        "jupyter_kueue.runner.export.export_notebook",
        str(notebook),
        output_format,
        str(target),
        str(MEMORY_BYTES),
        str(int(pod_contract.EXPORT_SECONDS)),
    ]


def environment(home: Path) -> dict[str, str]:
    """Return the environment of one export, with the empty folder ``home`` as its home."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "HOME": str(home), "TMPDIR": str(home), "JUPYTER_NO_CONFIG": "1"}


def _problem(one: Running) -> Sentence | None:
    """Return why an export has failed, None while it runs or if it ended well."""
    code = one.process.poll()
    if code is None:
        if time.monotonic() < one.deadline:
            return None
        _kill(one)
        return say(
            "export-took-too-long",
            "The export to {format} took longer than {seconds} s.",
            format=one.output_format,
            seconds=f"{pod_contract.EXPORT_SECONDS:g}",
        )
    _kill(one)  # processes that it left running
    if code == 0:
        return None
    with (one.home / "said").open("rb") as said:
        said.seek(max(0, said.seek(0, os.SEEK_END) - 8 * MAX_SAID_BYTES))
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
    last = lines[-1][:MAX_SAID_BYTES] if lines else say("export-was-killed", "it was killed")
    return say(
        "export-failed",
        "The export to {format} failed: {why}",
        format=one.output_format,
        why=last,
    )


def _kill(one: Running) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.process.pid, signal.SIGKILL)
    one.process.wait()


def _remove(one: Running) -> None:
    import shutil  # noqa: PLC0415 - not needed while it waits

    shutil.rmtree(one.home, ignore_errors=True)
