"""Conversion between jupyter-scheduler's jobs and runs. Pure, except for the server's time zone.

Every field of a DescribeJob is derived from the run's list row. Fields that only upstream has are
stored as the run's annotations.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_scheduler.models import OUTPUT_FILENAME_TEMPLATE, DescribeJob, Status
from jupyter_scheduler.pydantic_v1 import PrivateAttr

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, names, text_rules, times
from jupyter_kueue.scheduler import literals
from jupyter_kueue.scheduler.environment_parameters import AMOUNTS, RUN_FIELDS, RUN_KEYS, TEXTS
from jupyter_kueue.scheduler.output_formats import NOTEBOOK
from jupyter_kueue.service.environments import DEFAULT_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_scheduler.models import CreateJob, CreateJobDefinition

    from jupyter_kueue.domain.run_request import RunRequest
    from jupyter_kueue.domain.run_row import RunRow

Json = dict[str, Any]

STATUSES = {
    "queued": Status.QUEUED,
    "starting": Status.IN_PROGRESS,
    "running": Status.IN_PROGRESS,
    "stopping": Status.STOPPING,
    "stopped": Status.STOPPED,
    "succeeded": Status.COMPLETED,
    "failed": Status.FAILED,
}

# Annotations of runs that were created through jupyter-scheduler.
_PREFIX = "jupyter-scheduler/"
UTC_OFFSET = f"{_PREFIX}utc-offset"
ROOT = f"{_PREFIX}root"
_TEMPLATE = f"{_PREFIX}output-filename-template"
_INPUT_FILENAME = f"{_PREFIX}input-filename"

_RESULT = re.compile(
    r"kueue:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/.+\.ipynb", re.IGNORECASE
)
_STEM_BYTES = 200
_NO_NAME = "notebook.ipynb"

_PARAMETERS = DescribeJob.__fields__["runtime_environment_parameters"]
# The fields of upstream's job that make up a request, except its files and its token.
REQUEST_FIELDS = (
    *("name", "environment", "profile", "resources", "parameters", "output_formats", "tags"),
    *("annotations", *RUN_FIELDS.values()),
)


class KueueJob(DescribeJob):
    """A DescribeJob that knows the time zone in its output files' names."""

    _utc_offset: str | None = PrivateAttr(None)

    def dict(self, *, exclude_none: bool = False, **options: Any) -> Json:
        """Return the same as pydantic does, but share the lists and dicts.

        Pydantic checks the type of each value in them, which took a third of a list's time.
        """
        if any(options.values()):
            whole: Json = super().dict(exclude_none=exclude_none, **options)
            return whole

        def told(values: Json) -> Json:
            return {key: value for key, value in values.items() if value is not None or keeps_none}

        keeps_none = not exclude_none
        return told({**self.__dict__, "job_files": [told(vars(file)) for file in self.job_files]})

    def output_filename(self, output_format: str) -> str:
        """Return the name of an output file in upstream's pattern."""
        # Without an offset, in the server's time zone.
        created = dt.datetime.fromtimestamp(self.create_time / 1000, _zone(self._utc_offset))
        at = created.strftime("%Y-%m-%d-%I-%M-%S-%p")
        return f"{stem(self.input_filename)}-{at}.{output_format}"


@functools.lru_cache(maxsize=256)
def _zone(utc_offset: str | None) -> dt.tzinfo | None:
    try:
        return dt.datetime.strptime(utc_offset, "%z").tzinfo if utc_offset else None
    except ValueError:
        # Users can set any annotations through REST, including these.
        return None


def run_of_result(input_uri: str) -> str | None:
    """Return the id of the run whose result a notebook is; None for one of the user's files.

    JupyterLab names it ``kueue:<run_id>/<path>`` (``labextension/src/models/drive.ts``).
    """
    match = _RESULT.fullmatch(input_uri)
    return None if match is None else match[1]


def read_environment_parameters(values: Json | None, known: tuple[str, ...] = RUN_KEYS) -> Json:
    """Return ``runtime_environment_parameters`` as fields of a request.

    Args:
        values: as they arrived.
        known: the supported keys, for messages.

    Raises:
        InvalidRequestError: a key is not in RUN_KEYS.
    """
    given = {key: value for key, value in (values or {}).items() if value not in ("", None)}
    unknown = [key for key in given if key not in RUN_KEYS]
    if unknown:
        raise errors.InvalidRequestError(
            {
                f"runtime_environment_parameters.{unknown[0][:60]}": say(
                    "environment-parameter-unknown",
                    "is not a known parameter; known parameters: {known}",
                    known=list(known),
                )
            }
        )
    if given.get("cpu") == 0:
        # jupyter-scheduler's model converts all numbers to integers: 0.5 arrives as 0.
        raise errors.InvalidRequestError(
            {
                "cpu": say(
                    "cpu-arrived-as-zero",
                    "arrived as 0: write a fraction of a CPU as text with a unit, such as 500m",
                )
            }
        )
    # It also converts texts that look like numbers, but a queue may be called 7.
    fields: Json = {
        field: str(given[key]) if key in TEXTS else given[key]
        for key, field in RUN_FIELDS.items()
        if key in given
    }
    amounts = {key: given[key] for key in AMOUNTS if key in given}
    if amounts:
        fields["resources"] = amounts
    return fields


def request_body(
    model: CreateJob | CreateJobDefinition,
    root_dir: str,
    read: Callable[[Json | None], Json] = read_environment_parameters,
) -> Json:
    """Return a job as the JSON of a RunRequest.

    Args:
        model: the job or the job definition.
        root_dir: the root folder of the server.
        read: converts ``runtime_environment_parameters`` to fields of the request.

    Raises:
        InvalidRequestError: naming each field that is not supported.
    """
    body: Json = {
        "input_path": model.input_uri,
        "name": model.name,
        "environment": model.runtime_environment_name or None,
        "profile": model.compute_type or None,
        "parameters": literals.read_all(model.parameters),
        "output_formats": model.output_formats or None,
        "include_folder": bool(model.package_input_folder),
        "tags": model.tags or None,
        "annotations": _annotations(model, root_dir),
        **read(model.runtime_environment_parameters),
    }
    return {key: value for key, value in body.items() if value is not None}


def write_environment_parameters(request: RunRequest) -> Json | None:
    """Return the ``runtime_environment_parameters`` that correspond to a request."""
    values: Json = {key: getattr(request, field) for key, field in RUN_FIELDS.items()}
    values |= {} if request.resources is None else request.resources.as_json()
    # Zero retries are the default.
    return {key: value for key, value in values.items() if value} or None


def _status_message(row: RunRow) -> str | None:
    """Return why a run failed, and what is missing from one that ended."""
    why = row["message"] if row["state"] == "failed" else None
    return " ".join(filter(None, (why, *row["warnings"]))) or None


def describe(row: RunRow) -> KueueJob:
    """Return a run's list row as jupyter-scheduler's job, without its files."""
    request = row["request"]
    annotations = request.annotations
    times = {
        "create_time": milliseconds(row["created_at"]),
        "start_time": milliseconds(row["started_at"]),
        "end_time": milliseconds(row["finished_at"]),
    }
    # Not validated: that takes half of a list's time, and rows have valid types.
    fields = shared_fields(request)
    fields["runtime_environment_parameters"] = as_upstream(fields["runtime_environment_parameters"])
    job: KueueJob = KueueJob.construct(
        job_id=row["run_id"],
        job_definition_id=row["schedule_id"],
        name=row["name"],
        status=STATUSES[row["state"]],
        # Upstream's page shows it as an error, whatever the status.
        status_message=_status_message(row),
        update_time=max(moment for moment in times.values() if moment is not None),
        url=f"/jobs/{row['run_id']}",
        tags=list(row["tags"]),
        idempotency_token=request.idempotency_key,
        **times,
        **fields,
    )
    job._utc_offset = annotations.get(UTC_OFFSET)  # noqa: SLF001 - pydantic's private field, ours
    return job


def as_upstream(parameters: Json | None) -> Json | None:
    """Return ``runtime_environment_parameters`` as upstream's models convert them.

    They convert texts that look like numbers. A queue called ``nan`` or ``infinity`` becomes a
    number that JSON lacks, so that no browser could read the list.
    """
    if not parameters:
        return None
    validated, _ = _PARAMETERS.validate(parameters, {}, loc="row")
    return {
        key: parameters[key] if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in validated.items()
    }


def shared_fields(request: RunRequest) -> Json:
    """Return the fields that jobs and job definitions share, from their request."""
    annotations = request.annotations
    return {
        "input_filename": input_filename(request),
        "runtime_environment_name": request.environment or DEFAULT_ENVIRONMENT,
        "runtime_environment_parameters": write_environment_parameters(request),
        "output_formats": list(request.output_formats),
        "parameters": {key: literals.write(value) for key, value in request.parameters.items()}
        or None,
        "output_filename_template": annotations.get(_TEMPLATE, OUTPUT_FILENAME_TEMPLATE),
        "compute_type": request.profile,
        "package_input_folder": request.include_folder,
    }


def expected_formats(row: RunRow) -> list[str]:
    """Return the output formats of a run that ended as its list row says."""
    formats = list(row["request"].output_formats)
    has_result = row["state"] == "succeeded" or row["reason"] in ("notebook-failed", "time-limit")
    return formats if has_result else [NOTEBOOK]


def input_filename(request: RunRequest) -> str:
    """Return the name of the input in its output folder."""
    kept = request.annotations.get(_INPUT_FILENAME)
    # Users can set any annotations through REST, and this one becomes part of a path.
    if isinstance(kept, str) and is_file_name(kept):
        return kept
    name = request.input_path.rpartition("/")[2]
    return name if is_file_name(name) else _NO_NAME


def is_file_name(name: str) -> bool:
    """Return whether a text can name a file directly in a folder."""
    is_plain = "/" not in name and "\\" not in name and name not in ("", ".", "..")
    return is_plain and text_rules.problem(name, names.MAX_NAME_LENGTH) is None


def stem(name: str) -> str:
    """Return a file's name without its extension, shortened so that more can be appended.

    File systems limit names to 255 bytes; a job's id, or its time and format, follow.
    """
    whole = os.path.splitext(name)[0]  # noqa: PTH122 - as upstream does
    return whole.encode()[:_STEM_BYTES].decode(errors="ignore")


def root_mark(root_dir: str) -> str:
    """Return the mark of runs that are requested in this root folder."""
    return hashlib.sha256(str(Path(root_dir).resolve()).encode()).hexdigest()[:16]


def with_template(annotations: dict[str, str], template: str | None) -> dict[str, str]:
    """Return annotations with a template for output files, which is stored but has no effect."""
    others = {key: value for key, value in annotations.items() if key != _TEMPLATE}
    is_default = template in (None, "", OUTPUT_FILENAME_TEMPLATE)
    return others if is_default else {**others, _TEMPLATE: str(template)}


def _annotations(model: CreateJob | CreateJobDefinition, root_dir: str) -> dict[str, str]:
    # The current time zone of this server: the names must not depend on later servers.
    offset = dt.datetime.now().astimezone().strftime("%z")
    kept = {UTC_OFFSET: offset, ROOT: root_mark(root_dir)}
    kept = with_template(kept, model.output_filename_template)
    name = model.input_filename
    if name and name != model.input_uri.rpartition("/")[2]:
        if not is_file_name(name):
            raise errors.InvalidRequestError(
                {
                    "input_filename": say(
                        "input-filename-with-folder", "must be a file name without a folder"
                    )
                }
            )
        kept[_INPUT_FILENAME] = name
    return kept


@functools.lru_cache(maxsize=2**15)
def milliseconds(moment: str | None) -> int | None:
    """Return a time as jupyter-scheduler does: milliseconds since 1970, in UTC."""
    return None if moment is None else round(times.parse_time(moment).timestamp() * 1000)


def unreadable(row: RunRow) -> KueueJob:
    """Return a substitute for a run that ``describe`` fails on: its id, as failed."""
    job: KueueJob = KueueJob.construct(
        job_id=row["run_id"],
        name=row["run_id"],
        status=Status.FAILED,
        status_message="What is stored of this run cannot be understood; see the server's log.",
        url=f"/jobs/{row['run_id']}",
        input_filename=_NO_NAME,
        runtime_environment_name=DEFAULT_ENVIRONMENT,
        output_formats=[],
        tags=[],
        create_time=0,
        update_time=0,
        package_input_folder=False,
    )
    return job
