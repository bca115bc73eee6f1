"""What ``execute`` reports, as far as staging containers may trust it.

Progress and end are in a folder where a notebook's code can write, too. A notebook may lie about
its own run, but it must not block, crash or bloat the reader. Only the fields below are read, with
these types and limits: a longer text is cut, a field of another type counts as missing, and
anything but a regular file counts as absent.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import times
from jupyter_kueue.domain.stored_types import is_sentence, is_whole
from jupyter_kueue.runner.shared import control
from jupyter_kueue.storage.untrusted_folder import RefusedFileError, UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 2**20
MAX_TEXT_LENGTH = 20_000
MAX_LINES = 500
ILLEGIBLE_SECONDS = 10.0
_MAX_NUMBER = 2**53  # what every JSON reader represents exactly


class IllegibleReportError(ValueError):
    """A report exists but is unusable."""


def read_progress(folder: Path) -> control.Json | None:
    """Return PROGRESS, None if it cannot be read."""
    try:
        found = _read(folder, pod_contract.PROGRESS_FILE)
    except IllegibleReportError:
        return None
    if found is None:
        return None
    return {
        "pod_uid": control.pod_uid(),
        "cell": _number(found.get("cell")),
        "cell_index": _number(found.get("cell_index")),
        "since": _moment(found.get("since")),
        "cells_done": _number(found.get("cells_done")) or 0,
        "cells": _number(found.get("cells")),
        "updated_at": _moment(found.get("updated_at")) or control.now(),
    }


def read_ended(folder: Path) -> control.Json | None:
    """Return ENDED, None until it exists.

    Raises:
        IllegibleReportError: the file is not such a report.
    """
    found = _read(folder, pod_contract.ENDED_FILE)
    if found is None:
        return None
    outcome = found.get("outcome")
    if not isinstance(outcome, str) or outcome not in pod_contract.OUTCOMES:
        raise IllegibleReportError("it names no outcome")
    return {
        "pod_uid": control.pod_uid(),
        "outcome": outcome,
        "error": _error(found.get("error")),
        "message": _text(found.get("message")) or "",
        "sentence": _sentence(found.get("sentence")),
        "started_at": _moment(found.get("started_at")),
        "ended_at": _moment(found.get("ended_at")) or control.now(),
        "cells": _number(found.get("cells")),
        "cells_done": _number(found.get("cells_done")) or 0,
        "peak_memory_bytes": _number(found.get("peak_memory_bytes")),
        "elsewhere": _names(found.get("elsewhere")),
    }


class End:
    """Reads repeatedly whether ``execute`` has reported its end.

    An unusable report may come from a notebook, and ``execute`` replaces it at its end. If it stays
    for ILLEGIBLE_SECONDS, it counts as the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._illegible: tuple[int, int, int] | None = None
        self._why = ""
        self._since = 0.0

    def read(self) -> control.Json | None:
        """Return ENDED, None until it exists. An unusable report is read only once."""
        try:
            status = os.lstat(self._folder / pod_contract.ENDED_FILE)
        except OSError:
            return None
        now = time.monotonic()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._illegible:
            is_final = now - self._since >= ILLEGIBLE_SECONDS
            return _illegible_end(self._why) if is_final else None
        try:
            return read_ended(self._folder)
        except IllegibleReportError as error:
            self._illegible, self._why, self._since = seen, str(error), now
            return None


def _illegible_end(why: str) -> control.Json:
    """Return ENDED for an ``execute`` whose own report is unusable."""
    message = say(
        "end-illegible",
        "The report on how the notebook ended cannot be read ({file}: "
        "{problem}). Check that no cell writes to the run's control folder, "
        "and run it again.",
        file=pod_contract.ENDED_FILE,
        problem=why,
    )
    return {
        "pod_uid": control.pod_uid(),
        "outcome": pod_contract.KERNEL_DIED,
        "error": None,
        "message": message,
        "sentence": sentences.as_json(message),
        "started_at": None,
        "ended_at": control.now(),
        "cells": None,
        "cells_done": 0,
        "peak_memory_bytes": None,
        "elsewhere": [],
    }


def _read(folder: Path, name: str) -> control.Json | None:
    try:
        with UntrustedFolder(folder) as opened:
            data = opened.read_bytes(name, max_bytes=MAX_FILE_BYTES)
    except RefusedFileError as error:
        if error.is_too_large:
            raise IllegibleReportError(error.strerror) from error
        return None
    except OSError:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IllegibleReportError("it is not JSON") from error
    if not isinstance(value, dict):
        raise IllegibleReportError("it is not an object")
    return value


def _error(value: Any) -> control.Json | None:
    if not isinstance(value, dict):
        return None
    lines = value.get("traceback")
    return {
        "name": _text(value.get("name")) or "",
        "value": _text(value.get("value")) or "",
        "cell": _number(value.get("cell")),
        "cell_index": _number(value.get("cell_index")),
        "cell_source": _text(value.get("cell_source")) or "",
        "traceback": [text for line in lines[:MAX_LINES] if (text := _text(line)) is not None]
        if isinstance(lines, list)
        else [],
    }


def _sentence(value: Any) -> control.Json | None:
    """Return a sentence's code and values; None for anything else."""
    return value if is_sentence(value, pod_contract.MAX_MESSAGE_LENGTH) else None


def _names(value: Any) -> list[str]:
    items = value[: pod_contract.MAX_ELSEWHERE] if isinstance(value, list) else []
    return [text[: pod_contract.MAX_ELSEWHERE_LENGTH] for item in items if (text := _text(item))]


def _text(value: Any) -> str | None:
    """Return a text as valid UTF-8, with a note if it was cut; None for anything else."""
    if not isinstance(value, str):
        return None
    if len(value) > MAX_TEXT_LENGTH:
        value = f"{value[:MAX_TEXT_LENGTH]}… ({len(value) - MAX_TEXT_LENGTH} characters left out)"
    text: str = value.encode("utf-8", "backslashreplace").decode()
    return text


def _number(value: Any) -> int | None:
    return value if is_whole(value) and 0 <= value <= _MAX_NUMBER else None


def _moment(value: Any) -> str | None:
    is_short = isinstance(value, str) and len(value) < 64  # noqa: PLR2004 - RFC 3339 needs 35
    return str(value) if is_short and times.is_moment(value) else None
