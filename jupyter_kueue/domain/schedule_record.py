"""A schedule's current definition, and the revisions that its runs are created from. Pure."""

from dataclasses import dataclass
from typing import Any

from jupyter_kueue.domain.field_types import ConcurrencyPolicy
from jupyter_kueue.domain.json_documents import digest, json_of
from jupyter_kueue.domain.parsing import Kind, read_back
from jupyter_kueue.domain.run_record import LeftBehind, RunSpec, StoredOwner
from jupyter_kueue.domain.schedule_request import ScheduleRequest
from jupyter_kueue.domain.stored_types import Count, Line, Moment, RunId


@dataclass(frozen=True, kw_only=True)
class ScheduleRecord:
    """A schedule: ``definition.json``, replaced by each edit.

    Attributes:
        request: as the user sent it, with edits.
        revision: the revision that its next runs are created from.
        input_id: the id of that revision's inputs.
        local_queue: the resolved queue.
        left_behind: as in RunSpec.
    """

    schedule_id: RunId
    name: Line
    owner: StoredOwner
    namespace: Line
    created_at: Moment
    updated_at: Moment
    request: ScheduleRequest
    revision: Line
    input_id: Line
    local_queue: Line
    left_behind: LeftBehind | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the content of definition.json."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Any) -> "ScheduleRecord":
        """Read a stored definition.json; fields of later versions are ignored.

        Raises:
            UnreadableError: it is invalid.
        """
        return read_back(_RECORD, "schedule", body)

    @property
    def digest(self) -> str:
        """A digest of everything that a CronJob is built from."""
        return digest(self)


@dataclass(frozen=True)
class ScheduleRevision:
    """What a schedule's runs are created from: ``revisions/<id>.json``, immutable.

    Attributes:
        spec: what each run is.
        input_id: their inputs are below ``inputs/<input_id>/``.
        end_date, max_runs: as in ScheduleRequest; applied when a run is taken in.
        concurrency_policy: as in ScheduleRequest; the Job of a replaced run is deleted.
    """

    spec: RunSpec
    input_id: Line
    concurrency_policy: ConcurrencyPolicy
    end_date: Moment | None = None
    max_runs: Count | None = None

    @property
    def revision(self) -> str:
        """The revision's id, a digest of its content."""
        return digest(self)

    def as_json(self) -> dict[str, Any]:
        """Return the stored content."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Any) -> "ScheduleRevision":
        """Read a stored revision; fields of later versions are ignored.

        Raises:
            UnreadableError: it is invalid.
        """
        return read_back(_REVISION, "schedule's revision", body)


_RECORD = Kind(ScheduleRecord)
_REVISION = Kind(ScheduleRevision)
