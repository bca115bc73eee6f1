"""A run as requested and with its defaults resolved: ``record.json``, immutable. Pure."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict  # pydantic supports no other before Python 3.12

from jupyter_kueue.domain.json_documents import json_of
from jupyter_kueue.domain.names import MAX_NAME_LENGTH
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.parsing import Kind, read_back
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.stored_types import (
    Count,
    Flag,
    ImageName,
    Line,
    Moment,
    Path,
    PathText,
    RunId,
    is_line,
    is_text,
)

MAX_LEFT_BEHIND = 20


def _bounded(owner: Owner) -> Owner:
    if not (is_text(owner.name, MAX_NAME_LENGTH) and is_line(owner.slug)):
        raise ValueError("does not fit")
    return owner


StoredOwner = Annotated[Owner, AfterValidator(_bounded)]


class UploadedFile(TypedDict):
    """A file that was uploaded for a run; its path is relative to ``input/``."""

    path: Path
    size_bytes: Count
    sha256: Line | None
    executable: Flag
    modified_at: Moment | None


_Some = Annotated[list[PathText], Field(max_length=MAX_LEFT_BEHIND)]


class LeftBehind(TypedDict):
    """What was not uploaded of a notebook's folder: the number of files, and the first of them."""

    count: Annotated[Count, Field(description="How many files and folders are hidden.")]
    paths: Annotated[
        _Some,
        Field(
            description="The first of them, below the notebook's folder; folders end in a slash."
        ),
    ]
    ignored_count: Annotated[Count, Field(description="How many a file .jupyterkueueignore names.")]
    ignored_paths: Annotated[_Some, Field(description="The first of them.")]


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What runs: a request with its defaults resolved. A schedule holds one for its runs.

    Attributes:
        request: as the user sent it.
        local_queue, resources, priority_class, image, ...: the resolved values.
        notebook: the notebook's path relative to ``input/``.
        kernel_name: the requested kernel, or the notebook's own; None if neither is known.
        input: what was uploaded.
        empty_folders: folders without files, which a bucket cannot represent.
        left_behind: None if everything was uploaded.
        schedule_id: None for a run that a user submitted.
    """

    name: Line
    owner: StoredOwner
    namespace: Line
    request: RunRequest
    local_queue: Line
    resources: Resources
    image: ImageName
    notebook: Path
    input: tuple[UploadedFile, ...]
    kernel_name: Line | None = None
    priority_class: Line | None = None
    empty_folders: tuple[Path, ...] = ()
    left_behind: LeftBehind | None = None
    schedule_id: Line | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord(RunSpec):
    """What one run is created from.

    Attributes:
        schedule_revision: the revision of the schedule that a CronJob's run was created from.
        rerun_of: the run whose input this one uses.
    """

    run_id: RunId
    created_at: Moment
    schedule_revision: Line | None = None
    rerun_of: Line | None = None

    @classmethod
    def of(
        cls,
        spec: RunSpec,
        run_id: str,
        created_at: str,
        *,
        schedule_revision: str | None = None,
        rerun_of: str | None = None,
    ) -> Self:
        """Return the record of a run of ``spec``."""
        return cls(
            **{item.name: getattr(spec, item.name) for item in dataclasses.fields(RunSpec)},
            run_id=run_id,
            created_at=created_at,
            schedule_revision=schedule_revision,
            rerun_of=rerun_of,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the content of record.json."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Any) -> "RunRecord":
        """Read a stored record.json; fields of later versions are ignored.

        Raises:
            UnreadableError: it is invalid.
        """
        return read_back(KIND, "run", body)


KIND = Kind(RunRecord)
