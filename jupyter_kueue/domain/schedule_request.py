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
    EnvironmentParameter,
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
            description="A cron expression with five fields, in Kubernetes' syntax, such as "
            "`0 9 * * 1-5` or `@daily`; runs only on demand if left out."
        ),
    ] = None
    timezone: Annotated[
        TimeZone | None,
        Field(description="The name of a time zone, such as `Europe/Berlin`; UTC if left out."),
    ] = None
    active: Annotated[Flag, Field(description="`false`: it does not fire until it is resumed.")] = (
        True
    )
    concurrency_policy: Annotated[
        Policy,
        EnvironmentParameter("concurrency_policy"),
        Field(
            description="What happens when a run is due and the previous one has not ended: "
            "`Forbid` skips the new one, `Allow` starts both, `Replace` stops the old one."
        ),
    ] = "Forbid"
    starting_deadline_seconds: Annotated[
        StartingDeadline | None,
        EnvironmentParameter("starting_deadline_seconds"),
        Field(
            description="How late a missed run may still start; any time until the next run if "
            "left out."
        ),
    ] = None
    end_date: Annotated[
        EndDate | None,
        EnvironmentParameter("end_date"),
        Field(description="No run is due after this time."),
    ] = None
    max_runs: Annotated[
        MaxRuns | None,
        EnvironmentParameter("max_runs"),
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
