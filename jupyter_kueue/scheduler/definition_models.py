"""Conversion between jupyter-scheduler's job definitions and schedules. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_scheduler.models import DescribeJobDefinition

from jupyter_kueue.domain import field_types
from jupyter_kueue.scheduler import job_models, literals
from jupyter_kueue.scheduler.environment_parameters import RUN_FIELDS, RUN_KEYS, SCHEDULE_KEYS

if TYPE_CHECKING:
    from jupyter_scheduler.models import CreateJobDefinition, UpdateJobDefinition

    from jupyter_kueue.domain.schedule_request import ScheduleRequest
    from jupyter_kueue.domain.schedule_row import ScheduleRow

Json = dict[str, Any]

_KEYS = (*RUN_KEYS, *SCHEDULE_KEYS)
_DEFAULT_POLICY = field_types.CONCURRENCY_POLICIES[0]


def request_body(model: CreateJobDefinition, root_dir: str) -> Json:
    """Return a job definition as the JSON of a ScheduleRequest.

    Raises:
        InvalidRequestError: naming each field that is not supported.
    """
    body = job_models.request_body(model, root_dir, _read)
    return {**body, "schedule": model.schedule or None, "timezone": model.timezone or None}


def changes(model: UpdateJobDefinition, request: ScheduleRequest) -> Json:
    """Return an update as changes to the ScheduleRequest ``request``.

    As upstream, a field that is missing or null does not change; ``runtime_environment_parameters``
    replaces all earlier ones.

    Raises:
        InvalidRequestError: naming each field that is not supported.
    """
    sent: Json = model.dict(exclude_unset=True, exclude_none=True)
    renamed = {
        "name": "name",
        "tags": "tags",
        "schedule": "schedule",
        "timezone": "timezone",
        "active": "active",
        "output_formats": "output_formats",
        "input_uri": "input_path",
        "runtime_environment_name": "environment",
    }
    changed = {ours: sent[theirs] for theirs, ours in renamed.items() if theirs in sent}
    if "parameters" in sent:
        changed["parameters"] = literals.read_all(sent["parameters"])
    given: Json = {}
    if "runtime_environment_parameters" in sent:
        given = _read(sent["runtime_environment_parameters"])
        changed |= dict.fromkeys((*RUN_FIELDS.values(), *SCHEDULE_KEYS)) | given
    if "runtime_environment_parameters" in sent or "compute_type" in sent:
        changed["profile"] = sent.get("compute_type", request.profile)
        changed["resources"] = given.get("resources")
    if "output_filename_template" in sent:
        changed["annotations"] = job_models.with_template(
            request.annotations, sent["output_filename_template"]
        )
    return changed


def describe(row: ScheduleRow) -> DescribeJobDefinition:
    """Return a schedule's list row as jupyter-scheduler's job definition."""
    request = row["request"]
    fields = job_models.shared_fields(request)
    given = {key: getattr(request, key) for key in SCHEDULE_KEYS}
    if given["concurrency_policy"] == _DEFAULT_POLICY:
        given["concurrency_policy"] = None
    own = {key: value for key, value in given.items() if value is not None}
    of_runs = fields.pop("runtime_environment_parameters") or {}
    definition = DescribeJobDefinition(
        job_definition_id=row["schedule_id"],
        name=row["name"],
        tags=row["tags"],
        schedule=row["schedule"],
        timezone=row["timezone"],
        active=row["active"],
        create_time=job_models.milliseconds(row["created_at"]),
        update_time=job_models.milliseconds(row["updated_at"]),
        **fields,
    )
    definition.runtime_environment_parameters = job_models.as_upstream({**of_runs, **own})
    return definition


def unreadable(row: ScheduleRow) -> DescribeJobDefinition:
    """Return a substitute for a schedule that ``describe`` fails on: its id, paused."""
    return DescribeJobDefinition(
        job_definition_id=row["schedule_id"],
        name=row["schedule_id"],
        active=False,
        input_filename="notebook.ipynb",
        runtime_environment_name="",
        create_time=0,
        update_time=0,
    )


def _read(values: Json | None) -> Json:
    own = {key: value for key, value in (values or {}).items() if key in SCHEDULE_KEYS and value}
    of_runs = {key: value for key, value in (values or {}).items() if key not in SCHEDULE_KEYS}
    return {**job_models.read_environment_parameters(of_runs, _KEYS), **own}
