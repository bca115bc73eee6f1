"""A user's request for repeated runs, by the clock or on demand: the fields besides a run's own.

Pure. Only the API server decides whether Kubernetes accepts a cron expression.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from jupyter_kueue.contract.sentences import Sentence, say
from jupyter_kueue.domain import run_request
from jupyter_kueue.domain.field_types import (
    CronExpression,
    EndDate,
    Flag,
    MaxRuns,
    Policy,
    StartingDeadline,
    TimeZone,
)
from jupyter_kueue.domain.parsing import Kind, parse
from jupyter_kueue.domain.run_request import RunRequest


@dataclass(frozen=True)
class ScheduleRequest(RunRequest):
    """What a user asks of a schedule; each of its runs is its RunRequest."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    schedule: Annotated[
        CronExpression | None,
        Field(
            description="A cron expression of five fields as Kubernetes reads it, such as "
            "`0 9 * * 1-5`; null: on demand only."
        ),
    ] = None
    timezone: Annotated[
        TimeZone | None,
        Field(description="A time zone of the IANA database, such as `Europe/Berlin`; null: UTC."),
    ] = None
    active: Annotated[Flag, Field(description="false pauses it.")] = True
    concurrency_policy: Annotated[
        Policy, Field(description="What happens when a run is due and the one before goes on.")
    ] = "Forbid"
    starting_deadline_seconds: Annotated[
        StartingDeadline | None, Field(description="How late a missed run may still start.")
    ] = None
    end_date: Annotated[EndDate | None, Field(description="No run is due after it.")] = None
    max_runs: Annotated[
        MaxRuns | None,
        Field(description="How often it fires; runs on demand are not counted."),
    ] = None

    def run_request(self) -> RunRequest:
        """Return the request of each run."""
        values = {name: getattr(self, name) for name in run_request.FIELDS}
        return RunRequest(**{**values, "idempotency_key": None})


FIELDS = tuple(item.name for item in fields(ScheduleRequest))
KIND = Kind(ScheduleRequest)
# These need a cron expression.
OF_A_CLOCK = ("max_runs", "end_date", "starting_deadline_seconds")


def parse_schedule_request(body: Any) -> ScheduleRequest:
    """Parse a JSON body as a ScheduleRequest.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    given = run_request.check_object(body)
    return parse(
        KIND,
        given,
        missing=run_request.MISSING,
        unknown=run_request.UNKNOWN,
        wrong={**run_request.wrong_together(given), **_needs_schedule(given)},
    )


def _needs_schedule(body: Mapping[str, Any]) -> dict[str, Sentence]:
    if body.get("schedule") is not None:
        return {}
    said = say("needs-schedule", "needs a schedule; without one it runs only on demand")
    return {key: said for key in OF_A_CLOCK if body.get(key) is not None}
