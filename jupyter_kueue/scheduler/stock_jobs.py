"""Jobs of jupyter-scheduler's own backend as finished runs. Pure.

A job that ran in a server's process had no queue, image or quota: these show ``RAN_IN``.
``literals`` parses its parameters.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import names, run_status, times
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Limits, Status
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.scheduler import job_models, literals
from jupyter_kueue.scheduler.output_formats import NOTEBOOK
from jupyter_kueue.storage.stock_database import COMPLETED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Collection

    from jupyter_kueue.domain.owner import Owner
    from jupyter_kueue.domain.run_documents import Error, Result, ResultFile
    from jupyter_kueue.domain.run_record import UploadedFile

Json = dict[str, Any]

# Shown as the queue and the image of a job that had none.
RAN_IN = "jupyter-scheduler"
# The job's environment there, if this package does not know it.
ENVIRONMENT = "jupyter-scheduler/environment"
_KEY = "jupyter-scheduler/"
_TEXT_LIMIT = 500
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# nbclient's (exceptions.py, CellExecutionError).
_CELL_FAILED = re.compile(r"executing the following cell:\n-{18}\n(.*?)\n-{18}\n", re.DOTALL)
_ERROR_LINE = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?")


@dataclass(frozen=True)
class StockJob:
    """A finished job or a job definition from its row; times are aware datetimes.

    ``runtime_environment_parameters`` are left out: the stock backend stores but ignores them.
    """

    stock_id: str
    name: str
    input_filename: str
    output_formats: tuple[str, ...]
    parameters: dict[str, str]
    tags: tuple[str, ...]
    environment: str | None
    compute_type: str | None
    template: str | None
    with_folder: bool
    created: dt.datetime
    updated: dt.datetime
    row: Json

    @classmethod
    def read(cls, row: Json, stock_id: str) -> StockJob:
        """Parse a row of the table of jobs or of definitions.

        Raises:
            ValueError: naming the column with an invalid value.
        """
        filename = row["input_filename"]
        if not isinstance(filename, str) or not filename or "/" in filename:
            raise ValueError(f"its input_filename {str(filename)[:80]!r} is not a file name")
        created = _moment(row, "create_time")
        if created is None:
            raise ValueError("it has no create_time")
        return cls(
            stock_id=stock_id,
            name=row["name"] or filename.removesuffix(".ipynb"),
            input_filename=filename,
            output_formats=tuple(map(str, _json(row, "output_formats", list))),
            parameters={
                str(key): str(value) for key, value in _json(row, "parameters", dict).items()
            },
            tags=tuple(map(str, _json(row, "tags", list))),
            environment=row["runtime_environment_name"] or None,
            compute_type=row["compute_type"] or None,
            template=row["output_filename_template"],
            with_folder=bool(row["package_input_folder"]),
            created=created,
            updated=_moment(row, "update_time") or created,
            row=row,
        )

    @property
    def started_at(self) -> str | None:
        """When it started, RFC 3339; None if it never did."""
        started = _moment(self.row, "start_time")
        return None if started is None else times.rfc3339(started)

    @property
    def finished_at(self) -> str:
        """When it ended. The stock backend stores no end for failed and stopped jobs."""
        return times.rfc3339(_moment(self.row, "end_time") or self.updated)


@dataclass(frozen=True)
class Uploaded:
    """What the bucket contains of a job.

    Attributes:
        inputs, outputs: as in a record and a result.
        formats: the output formats among the outputs.
        left_out: path -> why it is missing.
    """

    inputs: tuple[UploadedFile, ...]
    outputs: tuple[ResultFile, ...]
    formats: frozenset[str]
    left_out: dict[str, str]


def run_id(owner: Owner, stock_id: str) -> str:
    """Return the id of an imported job: its own, if that is a valid run id."""
    if names.is_run_id(stock_id):
        return stock_id
    return names.run_id_of_key(owner.slug, f"{_KEY}{stock_id}")


def schedule_key(stock_id: str) -> str:
    """Return the idempotency key of a definition, from which its id here is derived."""
    return f"{_KEY}{stock_id}"


def schedule_id(owner: Owner, stock_id: str) -> str:
    """Return the id of a definition here."""
    return names.schedule_id_of_key(owner.slug, schedule_key(stock_id))


def has_result(job: StockJob, formats: Collection[str]) -> bool:
    """Return whether a job's notebook ran to its end, so that it has outputs."""
    if job.row["status"] == COMPLETED:
        return True
    return job.row["status"] != STOPPED and bool(formats)


def build_facts(
    job: StockJob,
    owner: Owner,
    namespace: str,
    uploaded: Uploaded,
    *,
    environments: Collection[str],
    kernel_name: str | None,
    utc_offset: str,
) -> BucketFacts:
    """Return a job's record, its result if it has one, and its end, as stored in the bucket.

    Args:
        job: the job.
        owner: its new owner.
        namespace: the namespace of the owner's runs.
        uploaded: its files.
        environments: the names of the available environments.
        kernel_name: the notebook's.
        utc_offset: of the time zone in its documents' names.
    """
    is_known = job.environment in environments
    annotations = job_models.with_template({job_models.UTC_OFFSET: utc_offset}, job.template)
    if job.environment is not None and not is_known:
        annotations[ENVIRONMENT] = job.environment
    request = RunRequest(
        input_path=job.input_filename,
        name=job.name,
        environment=job.environment if is_known else None,
        parameters=literals.read_all(job.parameters),
        output_formats=job.output_formats or (NOTEBOOK,),
        include_folder=job.with_folder,
        tags=job.tags,
        annotations=annotations,
    )
    definition = job.row["job_definition_id"]
    record = RunRecord(
        run_id=run_id(owner, job.stock_id),
        name=job.name,
        owner=owner,
        namespace=namespace,
        created_at=times.rfc3339(job.created),
        request=request,
        local_queue=RAN_IN,
        resources=Resources("0", "0", 0),
        image=RAN_IN,
        notebook=job.input_filename,
        input=uploaded.inputs,
        kernel_name=kernel_name,
        schedule_id=schedule_id(owner, definition) if definition else None,
    )
    if not has_result(job, uploaded.formats):
        return BucketFacts(record, final=_end(job).final())
    facts = BucketFacts(record, result=_result(job, uploaded))
    ended = run_status.derive(facts, ClusterFacts(), dt.datetime.now(dt.UTC), Limits())
    return dataclasses.replace(facts, final=ended.final())


def _result(job: StockJob, uploaded: Uploaded) -> Result:
    """Return the result that the run's own pod would have written."""
    is_completed = job.row["status"] == COMPLETED
    message, error = (None, None) if is_completed else _failure(job)
    return {
        "outcome": "succeeded" if is_completed else "notebook-failed",
        "error": error,
        "message": message,
        "started_at": job.started_at,
        "ended_at": job.finished_at,
        "files": list(uploaded.outputs),
        "format_errors": {
            name: f"{name}: the file is no longer in jupyter-scheduler's staging area."
            for name in job.output_formats
            if name not in uploaded.formats
        },
        "file_errors": uploaded.left_out,
        "attempt_uids": [],
    }


def _end(job: StockJob) -> Status:
    """Return the end of a job without outputs."""
    times = {"started_at": job.started_at, "finished_at": job.finished_at}
    if job.row["status"] == STOPPED:
        return Status("stopped", "stopped", say("stopped", "Stopped."), **times)
    message, _ = _failure(job)
    return Status("failed", None, foreign(message), job.row["status_message"], **times)


def _failure(job: StockJob) -> tuple[str, Error | None]:
    """Return why a job failed in one line, and the failing cell's error if there is one."""
    text = _COLOUR.sub("", str(job.row["status_message"] or "")).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return say(
            "stock-failed-wordless", "It failed, and jupyter-scheduler did not record why."
        ), None
    cell = _CELL_FAILED.search(text)
    if cell is None:
        return lines[0][:_TEXT_LIMIT], None
    last = _ERROR_LINE.fullmatch(lines[-1])
    name, value = (last[1], last[2] or "") if last else (None, lines[-1])
    error: Error = {
        "name": name,
        "value": value[:_TEXT_LIMIT],
        "cell": None,
        "cell_index": None,
        "cell_source": cell[1],
        "traceback": text[cell.end() :].splitlines(),
    }
    message = ": ".join(filter(None, ("A cell failed", name, value.partition("\n")[0])))
    return message[:_TEXT_LIMIT], error


def _moment(row: Json, column: str) -> dt.datetime | None:
    value = row[column]
    if value is None:
        return None
    try:
        return dt.datetime.fromtimestamp(value / 1000, dt.UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError(f"its {column} {str(value)[:40]!r} is not a time in ms") from None


def _json(row: Json, column: str, kind: type) -> Any:
    text = row[column]
    try:
        value = kind() if text is None else json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"its {column} is not JSON: {str(text)[:40]!r}") from None
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ValueError(f"its {column} is not as jupyter-scheduler writes it: {str(text)[:40]!r}")
    return value
