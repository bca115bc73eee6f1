"""What another request has otherwise: a rerun, a schedule from its next run on, a run of it now.

Pure. Only what the new values are by themselves is checked here as they arrive; what does not fit
the rest of the request shows when they are applied to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, run_request, schedule_request
from jupyter_kueue.domain.field_types import Parameters
from jupyter_kueue.domain.parsing import Kind, check_part, parse
from jupyter_kueue.domain.run_request import RunRequest
from jupyter_kueue.domain.schedule_request import ScheduleRequest

# A run starts from the files it was submitted with, and a key stands for one request.
_FIXED_IN_RERUN = ("input_path", "include_folder", "idempotency_key")


@dataclass(frozen=True)
class RunChanges:
    """Fields of the request to change.

    Attributes:
        values: as sent, by field; None resets a field to its default.
    """

    values: Mapping[str, Any]

    def applied_to(self, request: RunRequest) -> RunRequest:
        """Return the request of the new run.

        Raises:
            InvalidRequestError: naming each field that does not fit the others.
        """
        before = {**request.as_json(), "idempotency_key": None}
        return run_request.parse_run_request(_merged(before, self.values))


@dataclass(frozen=True)
class ScheduleChanges:
    """Fields to change; null resets a field to its default.

    The uploaded files stay as they are unless `input_path` or `include_folder` is given.

    Attributes:
        values: as sent, by field; None resets a field to its default.
    """

    values: Mapping[str, Any]

    def applied_to(self, request: ScheduleRequest) -> ScheduleRequest:
        """Return the schedule's new request.

        Raises:
            InvalidRequestError: naming each field that does not fit the others.
        """
        before = request.as_json()
        if self.values.get("schedule", request.schedule) is None:
            before.update(dict.fromkeys(schedule_request.OF_A_CLOCK))
        return schedule_request.parse_schedule_request(_merged(before, self.values))


@dataclass(frozen=True)
class RunNow:
    """What one run of a schedule has otherwise."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    parameters: Annotated[
        Parameters | None, Field(description="Used instead of those of the schedule.")
    ] = None


_RUN_NOW = Kind(RunNow)


def parse_run_changes(body: Any) -> RunChanges:
    """Read a JSON body as RunChanges.

    Raises:
        InvalidRequestError: naming every field that is unknown, wrong or cannot be changed.
    """
    given = _object(body)
    fixed = say(
        "cannot-be-changed-same-files",
        "cannot be changed: the run starts from the same files",
    )
    wrong = {key: fixed for key in _FIXED_IN_RERUN if key in given}
    wrong |= run_request.wrong_together(given)
    check_part(run_request.KIND, given, unknown=run_request.UNKNOWN, wrong=wrong)
    return RunChanges(given)


def parse_schedule_changes(body: Any) -> ScheduleChanges:
    """Read a JSON body as ScheduleChanges.

    Raises:
        InvalidRequestError: naming every field that is unknown, wrong or cannot be changed.
    """
    given = _object(body)
    if not given:
        raise _no_object()
    wrong = run_request.wrong_together(given)
    if "idempotency_key" in given:
        wrong["idempotency_key"] = say(
            "key-cannot-be-changed",
            "cannot be changed: it identifies the request that created the schedule",
        )
    check_part(schedule_request.KIND, given, unknown=run_request.UNKNOWN, wrong=wrong)
    return ScheduleChanges(given)


def parse_run_now(body: Any) -> RunNow:
    """Read a JSON body as RunNow.

    Raises:
        InvalidRequestError: naming every field that is unknown or wrong.
    """
    alone = say("parameters-alone", "is not allowed here; only parameters can be given")
    return parse(_RUN_NOW, _object(body), unknown={"": alone})


def _merged(before: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with changes; a new size replaces the former one, however it was given."""
    if "resources" in changes:
        before["profile"] = None
    if "profile" in changes:
        before["resources"] = None
    return {**before, **changes}


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise _no_object()
    return body


def _no_object() -> errors.InvalidRequestError:
    return errors.InvalidRequestError(
        {"body": say("send-object-with-changes", "send a JSON object with the fields to change")}
    )
