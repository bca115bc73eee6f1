"""Job definitions of jupyter-scheduler's own backend as requests for schedules. Pure.

A note mentions whatever a schedule cannot keep unchanged. What makes a schedule impossible is left
for the service to refuse by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_scheduler.models import CreateJobDefinition
from jupyter_scheduler.pydantic_v1 import ValidationError

from jupyter_kueue.domain import schedule_request
from jupyter_kueue.scheduler import definition_models, literals, stock_jobs

if TYPE_CHECKING:
    from collections.abc import Collection

    from jupyter_kueue.domain.schedule_request import ScheduleRequest
    from jupyter_kueue.scheduler.stock_jobs import StockJob

Json = dict[str, Any]

_SHOWN = 60


def request(
    definition: StockJob, root_dir: str, environments: Collection[str], profiles: Collection[str]
) -> tuple[ScheduleRequest, list[str]]:
    """Return a request, and notes about what differs, a sentence each.

    Args:
        definition: the definition.
        root_dir: the root folder whose server downloads its runs' outputs.
        environments: the names of the available environments.
        profiles: the names of the available profiles.

    Raises:
        InvalidRequestError: naming each unsupported field.
        ValueError: jupyter-scheduler could not have created the definition.
    """
    row = definition.row
    notes: list[str] = []
    environment = definition.environment
    if environment is not None and environment not in environments:
        notes.append(f"There is no environment {environment} here: its runs use the default one.")
        environment = None
    size = definition.compute_type
    if size is not None and size not in profiles:
        notes.append(f"There is no size {size} here: its runs use the default one.")
        size = None
    if row["runtime_environment_parameters"] not in (None, "null", "{}"):
        notes.append("Its runtime_environment_parameters had no effect and are left out.")
    notes += [
        f"Its parameter {name} was code ({text[:_SHOWN]}) and is text now."
        for name, text in definition.parameters.items()
        if literals.read(text) == text
    ]
    body = definition_models.request_body(_model(definition, environment, size), root_dir)
    asked = {
        **body,
        "active": row["active"] is None or bool(row["active"]),
        "idempotency_key": stock_jobs.schedule_key(definition.stock_id),
    }
    return schedule_request.parse_schedule_request(asked), notes


def _model(definition: StockJob, environment: str | None, size: str | None) -> CreateJobDefinition:
    """Return the request that jupyter-scheduler's form would send for it."""
    try:
        return CreateJobDefinition(
            input_uri=definition.input_filename,
            input_filename=definition.input_filename,
            runtime_environment_name=environment or "",
            name=definition.name,
            output_formats=list(definition.output_formats),
            parameters=definition.parameters,
            tags=list(definition.tags),
            output_filename_template=definition.template,
            compute_type=size,
            schedule=definition.row["schedule"],
            timezone=definition.row["timezone"],
            package_input_folder=definition.with_folder,
        )
    except ValidationError as error:
        said = error.errors()[0]
        raise ValueError(f"its {said['loc'][0]}: {said['msg']}") from error
