"""Exports of the executed notebook to the formats that the user asked for.

Exporting runs code of the notebook's author, so ``export`` does it in a container without
credentials that shares two folders with this one: one for the request, one for the files. A format
that fails or takes too long is left out and reported; it never prevents the run's result.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.contract.sentences import Sentence, say
from jupyter_kueue.runner.shared import control
from jupyter_kueue.storage.untrusted_folder import FoundFile, UntrustedFolder

MAX_NOTEBOOK_BYTES = 512 * 2**20
# Limits of all formats together.
MAX_FILES = 1_000
MAX_BYTES = 2**30
MAX_REPLY_BYTES = 2**18
MAX_PROBLEM_LENGTH = 1_000
# More than the export container's own limits: it may have to restart.
MARGIN_SECONDS = 30.0
POLL_SECONDS = 0.02

NO_CONTAINER = say(
    "no-export-container",
    "The run's pod has no container that exports. Submit the run, or save its schedule, again.",
)


@dataclass
class Exports:
    """The files exported from a notebook.

    Attributes:
        folder: the folder of the files; None if there are none.
        files: path relative to the notebook's folder -> path below ``folder``.
        formats: the path of each format's document -> the format; other files, such as images, are
            not listed.
        errors: format -> why it failed.
    """

    folder: Path | None = None
    files: dict[str, str] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    errors: dict[str, Sentence] = field(default_factory=dict)


async def export(control_folder: Path, name: str, formats: list[str]) -> Exports:
    """Export the control folder's notebook, whose original name is ``name``, to ``formats``."""
    wanted = [one for one in dict.fromkeys(formats) if one != pod_contract.NOTEBOOK_FORMAT]
    if not wanted:
        return Exports()
    requests = os.environ.get(pod_contract.ENV_EXPORT_REQUEST_DIR)
    made = os.environ.get(pod_contract.ENV_EXPORT_DIR)
    if not requests or not made:
        return Exports(errors=dict.fromkeys(wanted, NO_CONTAINER))
    try:
        await asyncio.to_thread(request, control_folder, Path(requests), name, wanted)
    except OSError as error:
        why = say(
            "export-not-requested",
            "The notebook could not be handed over to be exported: {why}.",
            why=str(error.strerror),
        )
        return Exports(errors=dict.fromkeys(wanted, why))
    rounds = -(-len(wanted) // pod_contract.EXPORTS_AT_ONCE)
    deadline = time.monotonic() + rounds * pod_contract.EXPORT_SECONDS + MARGIN_SECONDS
    folder = Path(made)
    while (reply := reported_problems(folder)) is None and time.monotonic() < deadline:  # noqa: ASYNC110 - another container's doing
        await asyncio.sleep(POLL_SECONDS)
    if reply is None:
        why = say(
            "export-silent",
            "The container {container} did not answer in time; its log says why.",
            container=pod_contract.EXPORT,
        )
        return Exports(errors=dict.fromkeys(wanted, why))
    return await asyncio.to_thread(collect, folder, wanted, reply)


def request(control_folder: Path, requests: Path, name: str, wanted: list[str]) -> None:
    """Write the request and a copy of the notebook, whose name determines the exports' names."""
    copy = requests / pod_contract.EXPORT_NOTEBOOK_FOLDER / name
    copy.parent.mkdir(exist_ok=True)
    with (
        UntrustedFolder(control_folder) as folder,
        folder.open_file(pod_contract.NOTEBOOK_FILE, max_bytes=MAX_NOTEBOOK_BYTES) as source,
        copy.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)
    control.write(requests / pod_contract.EXPORT_REQUEST_FILE, {"name": name, "formats": wanted})


def reported_problems(folder: Path) -> dict[str, Sentence] | None:
    """Return the number of each failed format -> why, as the container says; None before that."""
    try:
        with UntrustedFolder(folder) as opened:
            data = opened.read_bytes(pod_contract.EXPORT_REPLY_FILE, max_bytes=MAX_REPLY_BYTES)
    except OSError:
        return None
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError, AttributeError):
        reply = json.loads(data)
        codes = reply.get("sentences") or {}
        return {
            number: _shown(problem, codes.get(number))
            for number, problem in reply["errors"].items()
        }
    return {}


def collect(folder: Path, wanted: list[str], problems: dict[str, Sentence]) -> Exports:
    """Take what lies in each format's folder, within limits."""
    exports = Exports(folder)
    for number, output_format in enumerate(wanted):
        if str(number) in problems:
            exports.errors[output_format] = problems[str(number)]
    with UntrustedFolder(folder) as opened:
        found = {number: list[FoundFile]() for number in range(len(wanted))}
        numbers = {str(number) for number in found}
        count = size_bytes = 0
        for file in opened.walk(max_entries=10 * MAX_FILES):
            first, _, rest = file.path.partition("/")
            if not rest or first not in numbers:
                continue
            count += 1
            size_bytes += file.size_bytes
            if count > MAX_FILES or size_bytes > MAX_BYTES:
                why = say(
                    "export-too-large",
                    "It made more than {files} files or {mebibytes} MiB.",
                    files=MAX_FILES,
                    mebibytes=MAX_BYTES // 2**20,
                )
                return Exports(errors=dict.fromkeys(wanted, why))
            found[int(first)].append(file)
    for number, output_format in enumerate(wanted):
        if output_format in exports.errors:
            continue
        if not found[number]:
            exports.errors[output_format] = say(
                "export-made-nothing",
                "The export to {format} made no file.",
                format=output_format,
            )
        for file in sorted(found[number], key=lambda file: file.path):
            _add(exports, file, output_format)
    return exports


def _add(exports: Exports, file: FoundFile, output_format: str) -> None:
    """Add one file; if a document's name is taken, insert the format into it."""
    path = PurePosixPath(file.path.partition("/")[2])
    name = path.as_posix()
    if len(path.parts) == 1:
        if name in exports.files:
            name = f"{path.stem}-{output_format}{path.suffix}"
        exports.formats[name] = output_format
    exports.files.setdefault(name, file.real_path)


def _shown(problem: Any, said: Any) -> Sentence:
    """Return a text of the container's; whether its code and values are any, the server looks."""
    text = str(problem)[:MAX_PROBLEM_LENGTH].encode("utf-8", "backslashreplace").decode()
    is_said = isinstance(said, dict) and said.keys() == {"code", "values"}
    return sentences.restored(text, said if is_said else None)
