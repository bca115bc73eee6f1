"""The small documents of a run in the bucket besides its record: marks, attempts, ends. Pure."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic supports no other before Python 3.12

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain.field_types import MAX_TAGS
from jupyter_kueue.domain.parsing import Kind
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.stored_types import Count, Flag, Line, Moment, ObjectName, Path, ShortText


class Accepted(TypedDict, total=False):
    """``accepted.json``: the one decision about a submit: accepted, with its Job, or cleared."""

    job_name: ObjectName
    uid: Line | None
    concurrency_policy: Line | None
    submit: Line | None
    cleared_at: Moment
    by: ShortText | None
    why: Line | None


class Meta(TypedDict, total=False):
    """``meta.json``: changes of a run after its submit."""

    name: Line | None
    tags: Annotated[list[Line], Field(max_length=MAX_TAGS)] | None
    local_queue: Line | None
    priority_class: Line | None
    updated_at: Moment | None


class Stop(TypedDict, total=False):
    """``stop.json``: a stop was asked for."""

    at: Moment | None
    by: ShortText | None


class Error(TypedDict, total=False):
    """The error of a failing cell; ``traceback`` is checked where it is shown."""

    name: str | None
    value: str | None
    cell: Count | None
    cell_index: Count | None
    cell_source: str | None
    traceback: Any


class ResultFile(TypedDict):
    """A file that a run wrote."""

    path: Path
    size_bytes: Count
    role: Literal["notebook", "export", "side-effect", "log"]
    sha256: NotRequired[Line | None]
    format: NotRequired[Line | None]
    executable: NotRequired[Flag | None]
    modified_at: NotRequired[Moment | None]


class Result(TypedDict):
    """``result.json``: the notebook ran to its end; its presence commits the outputs."""

    outcome: Literal["succeeded", "notebook-failed", "time-limit", "disk-full"]
    message: NotRequired[str | None]
    # Checked where it is shown: if it is invalid, only the code is lost.
    sentence: NotRequired[Any]
    error: NotRequired[Error | None]
    pod_uid: NotRequired[Any]
    attempt_uids: NotRequired[Any]
    peak_memory_bytes: NotRequired[Any]
    started_at: NotRequired[Moment | None]
    ended_at: NotRequired[Moment | None]
    cells: NotRequired[Count | None]
    cells_done: NotRequired[Count | None]
    files: NotRequired[list[ResultFile] | None]
    format_errors: NotRequired[dict[Line, str] | None]
    file_errors: NotRequired[dict[str, str] | None]
    format_error_sentences: NotRequired[Any]
    file_error_sentences: NotRequired[Any]
    elsewhere: NotRequired[
        Annotated[list[str], Field(max_length=pod_contract.MAX_ELSEWHERE)] | None
    ]


class Final(TypedDict):
    """``final.json``: the final status of a run."""

    state: Literal["stopped", "succeeded", "failed"]
    reason: NotRequired[Line | None]
    # Cut where it is shown.
    message: NotRequired[str | None]
    sentence: NotRequired[Any]
    detail: NotRequired[str | None]
    admitted_at: NotRequired[Moment | None]
    started_at: NotRequired[Moment | None]
    finished_at: NotRequired[Moment | None]


class Attempt(TypedDict, total=False):
    """``attempts/<pod_uid>.json``: one pod of a run."""

    pod_uid: Line | None
    pod_name: Any
    is_staged: Flag | None
    started_at: Moment | None
    ended_at: Moment | None
    reason: Line | None
    message: str | None
    sentence: Any
    cell: Count | None
    cells: Count | None
    cells_done: Count | None
    peak_memory_bytes: Any


class Claim(TypedDict):
    """``claim.json``: the request that an idempotency key belongs to."""

    digest: str
    submit: NotRequired[str]


class Tombstone(TypedDict, total=False):
    """``deleted``: the run was deleted, or its submit was undone."""

    at: Moment | None
    by: ShortText | None
    why: Line | None


class Progress(TypedDict, total=False):
    """``live/progress.json``."""

    cell: Count | None
    cells_done: Count | None
    cells: Count | None
    since: Moment | None


class OpenRun(TypedDict):
    """What never changes about a run that was open (``open/…``)."""

    record: RunRecord
    accepted: Accepted
    meta: Meta | None


class OpenRuns(TypedDict):
    """Several open runs; each is validated separately."""

    runs: list[Any]


class Segment(TypedDict):
    """Rows of finished runs (``index/…``); each is validated separately."""

    rows: list[Any]


class StockImports(TypedDict):
    """What was imported from jupyter-scheduler's own backend, by its ids."""

    jobs: list[str]
    definitions: list[str]


def _decided(accepted: Accepted) -> Accepted:
    if not accepted.keys() & {"job_name", "cleared_at"}:
        raise ValueError("it says neither which Job nor that it was cleared")
    return accepted


ACCEPTED = Kind(Accepted, _decided)
META, STOP = Kind(Meta), Kind(Stop)
RESULT, FINAL, ATTEMPT = Kind(Result), Kind(Final), Kind(Attempt)
OPEN_RUN, OPEN_RUNS, SEGMENT = Kind(OpenRun), Kind(OpenRuns), Kind(Segment)
STOCK_IMPORTS = Kind(StockImports)
CLAIM, TOMBSTONE, PROGRESS = Kind(Claim), Kind(Tombstone), Kind(Progress)
