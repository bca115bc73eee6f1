"""The events of the stream ``changes``: one type for each. Pure."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.run_row import RunRow
from jupyter_kueue.domain.schedule_row import ScheduleRow

Cursor = Annotated[str, Field(description="Where the stream continues after this event.")]


class StreamStarted(TypedDict):
    """The first event of a new stream, which starts at this cursor."""

    type: Literal["hello"]
    cursor: Cursor


class RunChanged(TypedDict):
    """A run is new or has changed; `run` is its list row."""

    type: Literal["run"]
    cursor: Cursor
    run_id: str
    run: RunRow


class RunDeleted(TypedDict):
    """A run is gone."""

    type: Literal["run-deleted"]
    cursor: Cursor
    run_id: str
    run: None


class ScheduleChanged(TypedDict):
    """A schedule is new or has changed; `schedule` contains it."""

    type: Literal["schedule"]
    cursor: Cursor
    run_id: None
    run: None
    schedule_id: str
    schedule: ScheduleRow


class ScheduleDeleted(TypedDict):
    """A schedule is gone."""

    type: Literal["schedule-deleted"]
    cursor: Cursor
    run_id: None
    run: None
    schedule_id: str
    schedule: None


class QueuesChanged(TypedDict):
    """The queues changed: fetch them again."""

    type: Literal["local-queues"]
    cursor: Cursor
    run_id: None
    run: None


class ChangesMissed(TypedDict):
    """Changes were missed: fetch everything you show again."""

    type: Literal["gap"]
    cursor: Cursor


class Heartbeat(TypedDict):
    """Nothing happened for a while. The stream sends it as a comment."""

    type: Literal["heartbeat"]
    cursor: Cursor


Published = RunChanged | RunDeleted | ScheduleChanged | ScheduleDeleted | QueuesChanged
Change = Annotated[StreamStarted | Published | ChangesMissed, Field(discriminator="type")]
