"""A run as lists show it, and the additional fields of a single run: REST's fields, once.

Pure. Stored rows of finished runs are validated with these types (``storage.summaries``).
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic supports no other before Python 3.12

from jupyter_kueue.domain.page import Page
from jupyter_kueue.domain.parsing import Kind
from jupyter_kueue.domain.run_record import LeftBehind
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.stored_types import (
    Count,
    Flag,
    ImageName,
    Line,
    Moment,
    RunId,
    Said,
    ShortText,
    StatusText,
)

State = Literal["queued", "starting", "running", "stopping", "stopped", "succeeded", "failed"]
STATES: tuple[State, ...] = (
    "queued",
    "starting",
    "running",
    "stopping",
    "stopped",
    "succeeded",
    "failed",
)
FINISHED_STATES: frozenset[State] = frozenset({"stopped", "succeeded", "failed"})
# How many warnings about missing parts of a run a row contains.
MAX_WARNINGS = 5
MAX_TAGS_SHOWN = 50


class Position(TypedDict):
    """Where a waiting run stands."""

    local_queue: Annotated[
        int | None, Field(ge=0, description="Runs before it in its queue, from 0.")
    ]
    cluster_queue: Annotated[
        int | None,
        Field(ge=0, description="The same among all teams' runs of its ClusterQueue."),
    ]
    approximate: bool


class Wait(TypedDict):
    """How long a run is expected to wait."""

    low_seconds: float
    high_seconds: float
    because: str


class ShownLeftBehind(LeftBehind):
    """What of the notebook's folder was not uploaded, with a sentence about it."""

    message: Annotated[str, Field(description="The same as a sentence, with what to do.")]
    sentence: Annotated[Said | None, Field(description="Of `message`.")]


class RunRow(TypedDict):
    """A run in a list."""

    run_id: RunId
    name: Line
    owner: ShortText
    state: State
    reason: Annotated[Line | None, Field(description="A code for why it is in this state.")]
    message: Annotated[
        StatusText | None, Field(description="The same as a sentence, with what to do.")
    ]
    sentence: Annotated[Said | None, Field(description="Of `message`.")]
    detail: Annotated[StatusText | None, Field(description="What the cluster said, untouched.")]
    local_queue: Line
    priority_class: Line | None
    position: Position | None
    wait: Wait | None
    created_at: Moment
    admitted_at: Moment | None
    started_at: Moment | None
    attempt_started_at: Annotated[
        Moment | None, Field(description="When its latest attempt began; null before the first.")
    ]
    finished_at: Moment | None
    updated_at: Annotated[
        Moment | None,
        Field(
            description="When its name, tags, queue or priority were last changed; null if never."
        ),
    ]
    resources: Resources
    image: ImageName
    schedule_id: Line | None
    rerun_of: Annotated[Line | None, Field(description="The run whose input it has.")]
    left_behind: ShownLeftBehind | None
    warnings: Annotated[
        list[StatusText],
        Field(
            max_length=MAX_WARNINGS,
            description="What was asked for or written and is not among its files, in sentences; "
            "the first of them.",
        ),
    ]
    warning_sentences: Annotated[
        list[Said | None],
        Field(max_length=MAX_WARNINGS, description="Of each of `warnings`."),
    ]
    tags: Annotated[list[Line], Field(max_length=MAX_TAGS_SHOWN)]
    request: Annotated[RunRequest, Field(description="The request as it was sent.")]


class RunList(Page):
    """A page of runs."""

    items: Sequence[RunRow]


class Progress(TypedDict):
    """How far a run is."""

    cell: Annotated[
        Count | None,
        Field(description="The number of the cell that runs, as Jupyter counts: 1 is In [1]."),
    ]
    cells_done: Count | None
    cells: Annotated[
        Count | None, Field(description="How many cells run: code cells that are not empty.")
    ]
    since: Moment | None


class ShownAttempt(TypedDict):
    """An attempt that reached a machine."""

    number: Annotated[int, Field(ge=1)]
    started_at: Moment | None
    ended_at: Moment | None
    reason: Line | None
    message: StatusText | None
    sentence: Annotated[Said | None, Field(description="Of `message`.")]
    cells_done: Count | None


Role = Literal["notebook", "export", "side-effect", "input", "log"]


class RunFile(TypedDict):
    """A file of a run."""

    path: str
    size_bytes: Count
    sha256: str | None
    role: Role
    executable: Flag
    modified_at: Moment | None
    format: NotRequired[
        Annotated[
            str, Field(description="Of an exported document: the output format that was asked for.")
        ]
    ]


class FileList(Page):
    """The files of a run."""

    items: Sequence[RunFile]


class LocatedFile(RunFile):
    """A file of a run, and where it is."""

    url: Annotated[str, Field(description="Its place in the bucket.")]


class CellError(TypedDict):
    """What a failing cell raised."""

    name: str | None
    value: str | None
    cell: Annotated[
        Count | None, Field(description="The cell's number, as Jupyter counts: 1 is In [1].")
    ]
    cell_index: Annotated[
        Count | None, Field(description="Where it stands among all cells, from 0.")
    ]
    cell_source: str | None
    traceback: list[str] | None


class Run(RunRow):
    """Everything there is to say of a run."""

    progress: Progress | None
    attempts: Annotated[list[ShownAttempt], Field(description="Oldest first.")]
    files: Annotated[
        list[RunFile], Field(description="What it wrote, the executed notebook first.")
    ]
    inputs: Annotated[
        list[RunFile],
        Field(
            description="What was uploaded for it, the notebook first. Its paths are a namespace "
            "of their own."
        ),
    ]
    error: CellError | None
    format_errors: Annotated[
        dict[str, str],
        Field(description="The output formats that could not be made, and why."),
    ]
    format_error_sentences: Annotated[
        dict[str, Said | None], Field(description="Of each of `format_errors`.")
    ]
    file_errors: Annotated[
        dict[str, str],
        Field(max_length=100, description="The files that were not kept, and why."),
    ]
    file_error_sentences: Annotated[
        dict[str, Said | None], Field(max_length=100, description="Of each of `file_errors`.")
    ]


ROW = Kind(RunRow, absent_is_null=True)
