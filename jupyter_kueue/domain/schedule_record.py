"""A schedule as it stands, and the revisions that its runs are made from. Pure."""

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
        request: as the user sent it, edits included.
        revision: which revision its next runs are made from.
        input_id: where the inputs of that revision are.
        local_queue: what the default became.
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
        """Return what is stored as definition.json."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Any) -> "ScheduleRecord":
        """Read a stored definition.json; fields of later versions are passed over.

        Raises:
            UnreadableError: it is none.
        """
        return read_back(_RECORD, "schedule", body)

    @property
    def digest(self) -> str:
        """A digest of all that a CronJob is built from."""
        return digest(self)


@dataclass(frozen=True)
class ScheduleRevision:
    """What a schedule's runs are made from: ``revisions/<id>.json``, immutable.

    Attributes:
        spec: what each run is.
        input_id: their inputs are below ``inputs/<input_id>/``.
        end_date, max_runs: as in ScheduleRequest; whoever takes a run in heeds them.
        concurrency_policy: the same; a run that is replaced has its Job deleted.
    """

    spec: RunSpec
    input_id: Line
    concurrency_policy: ConcurrencyPolicy
    end_date: Moment | None = None
    max_runs: Count | None = None

    @property
    def revision(self) -> str:
        """The revision's id: the same content has the same one."""
        return digest(self)

    def as_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Any) -> "ScheduleRevision":
        """Read a stored revision; fields of later versions are passed over.

        Raises:
            UnreadableError: it is none.
        """
        return read_back(_REVISION, "schedule's revision", body)


_RECORD = Kind(ScheduleRecord)
_REVISION = Kind(ScheduleRevision)
