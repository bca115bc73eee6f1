"""How a run is shown: the list row, and what is added when one run is looked at.

The fields are REST's (``domain.run_row``, docs/rest.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.domain import text_rules
from jupyter_kueue.domain.run_facts import stored_sentence
from jupyter_kueue.domain.stored_types import MAX_STATUS_LENGTH
from jupyter_kueue.service.runs import files_not_uploaded, missing_outputs

if TYPE_CHECKING:
    from jupyter_kueue.domain.run_documents import Attempt, ResultFile
    from jupyter_kueue.domain.run_facts import BucketFacts, Status
    from jupyter_kueue.domain.run_record import UploadedFile
    from jupyter_kueue.domain.run_row import CellError, RunFile, RunRow, ShownAttempt


def build_row(facts: BucketFacts, status: Status) -> RunRow:
    """Return a run's list row. ``position`` is filled in when the row is shown."""
    record = facts.record
    meta = facts.meta or {}
    warnings = missing_outputs.in_row(facts)
    return {
        "run_id": record.run_id,
        "name": meta.get("name") or record.name,
        "owner": record.owner.name,
        "state": status.state,
        "reason": status.reason,
        "message": status.message,
        "sentence": sentences.as_json(status.message),
        "detail": status.detail,
        "local_queue": meta.get("local_queue") or record.local_queue,
        "priority_class": meta.get("priority_class") or record.priority_class,
        "position": None,
        "wait": None,
        "created_at": record.created_at,
        "admitted_at": status.admitted_at,
        "started_at": status.started_at,
        "attempt_started_at": facts.attempts[-1].get("started_at") if facts.attempts else None,
        "finished_at": status.finished_at,
        "updated_at": meta.get("updated_at"),
        "resources": record.resources,
        "image": record.image,
        "schedule_id": record.schedule_id,
        "rerun_of": record.rerun_of,
        "left_behind": files_not_uploaded.shown(record.left_behind),
        "warnings": [*warnings],
        "warning_sentences": [sentences.as_json(warning) for warning in warnings],
        "tags": list(meta.get("tags") or () if "tags" in meta else record.request.tags),
        "request": record.request,
    }


def build_attempts(facts: BucketFacts) -> list[ShownAttempt]:
    """Return the attempts that reached a machine, oldest first, numbered from 1."""
    return [_attempt(number, attempt) for number, attempt in enumerate(facts.attempts, 1)]


def _attempt(number: int, attempt: Attempt) -> ShownAttempt:
    said = stored_sentence(attempt.get("message"), attempt.get("sentence"))
    message = None if said is None else text_rules.said(said, MAX_STATUS_LENGTH)
    return {
        "number": number,
        "started_at": attempt.get("started_at"),
        "ended_at": attempt.get("ended_at"),
        "reason": attempt.get("reason"),
        "message": message,
        "sentence": sentences.as_json(message),
        "cells_done": attempt.get("cells_done"),
    }


def build_error(facts: BucketFacts) -> CellError | None:
    """Return the failing cell's error, None where no cell failed."""
    error = None if facts.result is None else facts.result.get("error")
    if not error:
        return None
    words = pod_contract.MAX_CUT_WORDS_LENGTH
    return {
        "name": _shown(error.get("name"), pod_contract.MAX_ERROR_NAME_LENGTH),
        "value": text_rules.said(
            error.get("value") or "", pod_contract.MAX_ERROR_VALUE_LENGTH + words
        ),
        "cell": error.get("cell"),
        "cell_index": error.get("cell_index"),
        "cell_source": _shown(
            error.get("cell_source"), pod_contract.MAX_CELL_SOURCE_LENGTH + words
        ),
        "traceback": _traceback(error.get("traceback")),
    }


def _traceback(entries: Any) -> list[str] | None:
    """Return the last entries of a traceback, which say most, within the bounds of its length."""
    if not isinstance(entries, list):
        return None
    shown: list[str] = []
    left = pod_contract.MAX_TRACEBACK_LENGTH + pod_contract.MAX_CUT_WORDS_LENGTH
    for entry in reversed(entries):
        if left <= 0 or len(shown) > pod_contract.MAX_TRACEBACK_LINES:
            shown.append(f"… ({len(entries) - len(shown)} more entries)")
            break
        shown.append(text_rules.shown(entry, left))
        left -= len(shown[-1])
    return shown[::-1]


def _shown(text: str | None, max_length: int) -> str | None:
    return None if text is None else text_rules.shown(text, max_length)


def build_files(facts: BucketFacts, live: list[ResultFile]) -> list[RunFile]:
    """Return what a run wrote (or what there is of it, ``live``), the executed notebook first."""
    result = facts.result
    files = list(result.get("files") or []) if result is not None else live
    return [_file(file) for file in files]


def build_inputs(facts: BucketFacts) -> list[RunFile]:
    """Return what was uploaded for a run, the notebook first; its paths are their own namespace."""
    return [input_file(item) for item in facts.record.input]


def input_file(item: UploadedFile) -> RunFile:
    """Return how a file is shown that was uploaded for a run."""
    return {
        "path": item["path"],
        "size_bytes": item["size_bytes"],
        "sha256": item["sha256"],
        "role": "input",
        "executable": item["executable"],
        "modified_at": item["modified_at"],
    }


def _file(item: ResultFile) -> RunFile:
    shown: RunFile = {
        "path": item["path"],
        "size_bytes": item["size_bytes"],
        "sha256": item.get("sha256"),
        "role": item["role"],
        "executable": bool(item.get("executable")),
        "modified_at": item.get("modified_at"),
    }
    if made_as := item.get("format"):
        shown["format"] = made_as
    return shown
