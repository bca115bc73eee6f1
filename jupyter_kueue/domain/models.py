"""The data that travels between the layers: what a user asks for, and what is known of a run.

Pure. ``run_requests`` reads a RunRequest from what a user sends.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.contract.sentences import Sentence, say
from jupyter_kueue.domain import errors, json_shapes, names, quantities, text_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from jupyter_kueue.contract.sentences import Sentence

Json = dict[str, Any]

CONCURRENCY_POLICIES = ("Forbid", "Allow", "Replace")

# Bounds of what a request and a record hold; ``run_requests`` refuses more, and so does whoever
# reads a record.
MAX_NAME_LENGTH = 255
MAX_TAGS = 50
MAX_ANNOTATIONS = 20
MAX_ANNOTATION_LENGTH = 1000
MAX_LEFT_BEHIND = 20
# Of what is missing of a run, a row says so much.
MAX_WARNINGS = 5
# Of what a list says of a run: the whole error is in the notebook.
MAX_STATUS_LENGTH = 1000

STATES = ("queued", "starting", "running", "stopping", "stopped", "succeeded", "failed")
FINISHED_STATES = frozenset({"stopped", "succeeded", "failed"})


@dataclass(frozen=True)
class Resources:
    """What the notebook container asks for, as Kubernetes quantities."""

    cpu: str = "1"
    memory: str = "2Gi"
    gpus: int = 0


@dataclass(frozen=True)
class RunRequest:
    """What a user asks for. ``None`` stands for the configured default.

    ``input_path`` is relative to the server's root, with ``/`` between its parts.
    """

    input_path: str
    name: str | None = None
    local_queue: str | None = None
    profile: str | None = None
    resources: Resources | None = None
    environment: str | None = None
    kernel_name: str | None = None
    parameters: Json = field(default_factory=dict)
    output_formats: tuple[str, ...] = ("ipynb",)
    include_folder: bool = False
    priority_class: str | None = None
    timeout_seconds: int | None = None
    cell_timeout_seconds: int | None = None
    max_retries: int = 0
    tags: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None

    def as_json(self) -> Json:
        """Return the request as it is stored and shown."""
        return json_of(self)


@dataclass(frozen=True)
class ScheduleRequest(RunRequest):
    """What a user asks to be run again and again, or on demand; each run is its RunRequest.

    Attributes:
        schedule: a cron expression of five fields as Kubernetes reads it; None: on demand only.
        timezone: the time zone's name in the IANA database that ``schedule`` is meant in; None
            stands for UTC.
        active: false for one that does not fire until it is resumed.
        concurrency_policy: what happens when a run is due and the one before goes on: one of
            CONCURRENCY_POLICIES, as Kubernetes spells them.
        starting_deadline_seconds: how late a missed run may still start; None: as late as it takes.
        end_date: RFC 3339; no run is due after it.
        max_runs: how often the schedule fires, runs on demand not counted.
    """

    schedule: str | None = None
    timezone: str | None = None
    active: bool = True
    concurrency_policy: str = "Forbid"
    starting_deadline_seconds: int | None = None
    end_date: str | None = None
    max_runs: int | None = None

    def run_request(self) -> RunRequest:
        """Return what each run is asked for."""
        values = {item.name: getattr(self, item.name) for item in fields(RunRequest)}
        return RunRequest(**{**values, "idempotency_key": None})


def json_of(value: Any) -> Json:
    """Return a dataclass as plain JSON: tuples become lists, nested ones objects."""
    plain: Json = json.loads(json.dumps(asdict(value)))
    return plain


@dataclass(frozen=True)
class Owner:
    """Whose runs these are: the name as people write it, and its form for labels and keys."""

    name: str
    slug: str

    @classmethod
    def of(cls, name: str) -> Owner:
        """Return the owner of that user name."""
        return cls(text_rules.shown_line(name, MAX_NAME_LENGTH), names.owner_slug(name))


@dataclass(frozen=True)
class RunRecord:
    """A run as it was asked for and what its defaults became: ``record.json``, immutable.

    Attributes:
        request: the RunRequest as JSON, as the user sent it.
        local_queue, resources, priority_class, image, ...: what the defaults became.
        notebook: the notebook's path relative to ``input/``.
        kernel_name: the kernel asked for, or else the notebook's own; None where neither says.
        input: ``[{"path", "size_bytes", "sha256"}]``, what was staged.
        empty_folders: folders that go along with nothing in them, which a bucket cannot hold.
        left_behind: hidden files and folders of the notebook's folder that did not go along: the
            first MAX_LEFT_BEHIND, and how many there were. None where there were none.
        schedule_revision: the revision of the schedule that a CronJob's run was made from.
    """

    run_id: str
    name: str
    owner: Owner
    namespace: str
    created_at: str
    request: Json
    local_queue: str
    resources: Resources
    image: str
    notebook: str
    input: tuple[Json, ...]
    kernel_name: str | None = None
    priority_class: str | None = None
    schedule_id: str | None = None
    schedule_revision: str | None = None
    rerun_of: str | None = None
    empty_folders: tuple[str, ...] = ()
    left_behind: Json | None = None

    def as_json(self) -> Json:
        """Return what is stored as record.json."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Json) -> RunRecord:
        """Read a stored record.json; fields of later versions are passed over.

        Raises:
            UnreadableError: it is none.
        """
        _check("job", body, RUN_RECORD)
        return read_run_record(body)


@dataclass(frozen=True)
class ScheduleRecord:
    """A schedule as it stands: ``definition.json``, replaced by each edit.

    Attributes:
        request: the ScheduleRequest as JSON, edits included.
        revision: which revision its next runs are made from.
        input_id: where the inputs of that revision lie.
        local_queue: what the default became.
        left_behind: as in RunRecord.
    """

    schedule_id: str
    name: str
    owner: Owner
    namespace: str
    created_at: str
    updated_at: str
    request: Json
    revision: str
    input_id: str
    local_queue: str
    left_behind: Json | None = None

    def as_json(self) -> Json:
        """Return what is stored as definition.json."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Json) -> ScheduleRecord:
        """Read a stored definition.json; fields of later versions are passed over.

        Raises:
            UnreadableError: it is none.
        """
        _check("schedule", body, _SCHEDULE_RECORD)
        values = _known_fields(cls, _SCHEDULE_RECORD.complete(body))
        values["owner"] = Owner(**_known_fields(Owner, body["owner"]))
        return cls(**values)

    @property
    def digest(self) -> str:
        """A digest of all that a CronJob is built from."""
        return _digest(json_of(self))


@dataclass(frozen=True)
class ScheduleRevision:
    """What a schedule's runs are made from: ``revisions/<id>.json``, immutable.

    Attributes:
        record: the runs' record, without run id and time of creation.
        input_id: their inputs lie below ``inputs/<input_id>/``.
        end_date, max_runs: as in ScheduleRequest; whoever takes a run in heeds them.
        concurrency_policy: the same; a run that is replaced has its Job deleted.
    """

    record: RunRecord
    input_id: str
    concurrency_policy: str
    end_date: str | None = None
    max_runs: int | None = None

    @property
    def revision(self) -> str:
        """The revision's id: the same content has the same one."""
        return _digest(json_of(self))

    def as_json(self) -> Json:
        """Return what is stored."""
        return {"version": 1, **json_of(self)}

    @classmethod
    def from_json(cls, body: Json) -> ScheduleRevision:
        """Read a stored revision; fields of later versions are passed over.

        Raises:
            UnreadableError: it is none.
        """
        _check("schedule's revision", body, _SCHEDULE_REVISION)
        values = _known_fields(cls, body)
        values["record"] = read_run_record(body["record"])
        return cls(**values)


def read_run_record(body: Json) -> RunRecord:
    """Read a document that was found to have the shape RUN_RECORD."""
    body = _RECORD.complete(body)
    values = _known_fields(RunRecord, body)
    values["owner"] = Owner(**_known_fields(Owner, body["owner"]))
    values["resources"] = Resources(**_known_fields(Resources, body["resources"]))
    values["input"] = tuple(body["input"])
    values["empty_folders"] = tuple(body.get("empty_folders") or ())
    return RunRecord(**values)


_LINE = json_shapes.line(MAX_NAME_LENGTH)
_LINE_IF_ANY = (_LINE, None)
_NAMES = (json_shapes.at_most(MAX_TAGS, _LINE), None)
_NUMBER = (json_shapes.number, None)
_RESOURCES = {
    "cpu": quantities.is_amount,
    "memory": quantities.is_amount,
    "gpus": json_shapes.count,
}
RUN_REQUEST = {
    "input_path": json_shapes.text(json_shapes.MAX_PATH_LENGTH),
    "name": _LINE_IF_ANY,
    "local_queue": _LINE_IF_ANY,
    "profile": _LINE_IF_ANY,
    "resources": (_RESOURCES, None),
    "environment": _LINE_IF_ANY,
    "kernel_name": _LINE_IF_ANY,
    "parameters": json_shapes.mapping(_LINE, lambda _: True),
    "output_formats": [_LINE],
    "include_folder": bool,
    "priority_class": _LINE_IF_ANY,
    "timeout_seconds": _NUMBER,
    "cell_timeout_seconds": _NUMBER,
    "max_retries": _NUMBER,
    "tags": _NAMES,
    "annotations": (json_shapes.mapping(_LINE, json_shapes.text(MAX_ANNOTATION_LENGTH)), None),
    "idempotency_key": _LINE_IF_ANY,
}
_OWNER = {"name": json_shapes.text(MAX_NAME_LENGTH), "slug": _LINE}
_PATHS_LEFT_BEHIND = json_shapes.at_most(
    MAX_LEFT_BEHIND, json_shapes.text(json_shapes.MAX_PATH_LENGTH)
)
_TIME = (json_shapes.moment, None)
_LEFT_BEHIND = {
    "count": json_shapes.count,
    "paths": _PATHS_LEFT_BEHIND,
    "ignored_count": (json_shapes.count, None),
    "ignored_paths": (_PATHS_LEFT_BEHIND, None),
}
_RECORD_FIELDS = {
    "name": _LINE,
    "owner": _OWNER,
    "namespace": _LINE,
    "request": RUN_REQUEST,
    "local_queue": _LINE,
    "resources": _RESOURCES,
    "image": json_shapes.line(json_shapes.MAX_PATH_LENGTH),
    "notebook": json_shapes.path,
    "input": [
        {
            "path": json_shapes.path,
            "size_bytes": json_shapes.count,
            "sha256": _LINE_IF_ANY,
            "executable": (bool, None),
            "modified_at": _TIME,
        }
    ],
    "kernel_name": _LINE_IF_ANY,
    "priority_class": _LINE_IF_ANY,
    "schedule_id": _LINE_IF_ANY,
    "schedule_revision": _LINE_IF_ANY,
    "rerun_of": _LINE_IF_ANY,
    "empty_folders": ([json_shapes.path], None),
    "left_behind": (_LEFT_BEHIND, None),
}
_RECORD = json_shapes.Kind(_RECORD_FIELDS)
RUN_RECORD = json_shapes.Kind(
    {**_RECORD_FIELDS, "run_id": names.is_run_id_value, "created_at": json_shapes.moment}
)
# What ``accepted.json`` and ``meta.json`` hold.
ACCEPTED = json_shapes.Kind(
    {
        "job_name": names.is_dns_subdomain_value,
        "uid": _LINE_IF_ANY,
        "concurrency_policy": _LINE_IF_ANY,
    }
)
META = json_shapes.Kind(
    {
        "name": _LINE_IF_ANY,
        "tags": _NAMES,
        "local_queue": _LINE_IF_ANY,
        "priority_class": _LINE_IF_ANY,
        "updated_at": (json_shapes.moment, None),
    }
)
_STATUS_TEXT = (json_shapes.text(MAX_STATUS_LENGTH), None)
_SENTENCE = (json_shapes.sentence(MAX_STATUS_LENGTH), None)
_is_sentence = json_shapes.sentence(MAX_STATUS_LENGTH)
_MAX_LEFT_BEHIND_LENGTH = 3 * MAX_LEFT_BEHIND * json_shapes.MAX_PATH_LENGTH
# A list row as ``service.runs.run_view`` builds it and ``storage.summaries`` keeps it.
ROW = json_shapes.Kind(
    {
        "run_id": names.is_run_id_value,
        "name": _LINE,
        "owner": json_shapes.text(MAX_NAME_LENGTH),
        "state": json_shapes.one_of(*STATES),
        "reason": _LINE_IF_ANY,
        "message": _STATUS_TEXT,
        "sentence": _SENTENCE,
        "detail": _STATUS_TEXT,
        "local_queue": _LINE,
        "priority_class": _LINE_IF_ANY,
        "created_at": json_shapes.moment,
        "admitted_at": _TIME,
        "started_at": _TIME,
        "finished_at": _TIME,
        "updated_at": _TIME,
        "resources": _RESOURCES,
        "image": json_shapes.line(json_shapes.MAX_PATH_LENGTH),
        "schedule_id": _LINE_IF_ANY,
        "rerun_of": _LINE_IF_ANY,
        "left_behind": (
            {
                **_LEFT_BEHIND,
                "message": str,
                "sentence": (json_shapes.sentence(_MAX_LEFT_BEHIND_LENGTH), None),
            },
            None,
        ),
        "warnings": json_shapes.at_most(MAX_WARNINGS, json_shapes.text(MAX_STATUS_LENGTH)),
        "warning_sentences": (json_shapes.at_most(MAX_WARNINGS, _SENTENCE), None),
        "tags": json_shapes.at_most(MAX_TAGS, _LINE),
        "request": RUN_REQUEST,
    }
)
_BOUNDS = {
    "concurrency_policy": json_shapes.one_of(*CONCURRENCY_POLICIES),
    "end_date": (json_shapes.moment, None),
    "max_runs": _NUMBER,
}
_SCHEDULE_RECORD = json_shapes.Kind(
    {
        "schedule_id": names.is_run_id_value,
        "name": _LINE,
        "owner": _OWNER,
        "namespace": _LINE,
        "created_at": json_shapes.moment,
        "updated_at": json_shapes.moment,
        "request": {
            **RUN_REQUEST,
            **_BOUNDS,
            "schedule": _LINE_IF_ANY,
            "timezone": _LINE_IF_ANY,
            "active": bool,
            "starting_deadline_seconds": _NUMBER,
        },
        "revision": _LINE,
        "input_id": _LINE,
        "local_queue": _LINE,
        "left_behind": (_LEFT_BEHIND, None),
    }
)
# Its record has no run id and no time of creation yet.
_SCHEDULE_REVISION = json_shapes.Kind({**_BOUNDS, "record": _RECORD, "input_id": _LINE})


def _check(what: str, body: Json, kind: json_shapes.Kind) -> None:
    found = kind.difference(body)
    if found is not None:
        raise errors.UnreadableError(
            say(
                "record-not-understood",
                "The record of the {what} cannot be understood: {difference}.",
                what=what,
                difference=found,
            )
        )


def _digest(content: Json) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _known_fields(kind: type, body: Json) -> Json:
    known = {item.name for item in fields(kind)}
    return {key: value for key, value in body.items() if key in known}


@dataclass(frozen=True)
class BucketFacts:
    """What the bucket says of one run; ``None`` where the object is not there.

    Attributes:
        attempts: the attempts' documents in the order they began.
        is_recorded: false of a Job that has no record: what is known is the Job's own word.
        problem: why what the bucket holds of the run cannot be understood, None if it can.
    """

    record: RunRecord
    accepted: Json | None = None
    meta: Json | None = None
    stop: Json | None = None
    deleted: bool = False
    result: Json | None = None
    final: Json | None = None
    attempts: tuple[Json, ...] = ()
    is_recorded: bool = True
    problem: Sentence | None = None


@dataclass(frozen=True)
class ClusterFacts:
    """What the cluster says of one run, as raw objects; not ``known`` before the first list.

    Attributes:
        events: those about whatever keeps the run from starting: its Job where that gets no pod,
            else its newest pod; None where they were not asked for.
        most: how much of each resource a run could ever have in the run's queue, in base units;
            None where that is not known.
    """

    job: Json | None = None
    workload: Json | None = None
    pods: tuple[Json, ...] = ()
    known: bool = True
    events: tuple[Json, ...] | None = None
    most: Mapping[str, Decimal] | None = None


@dataclass(frozen=True)
class Limits:
    """What an admin lets pass before a run fails.

    Attributes:
        max_evictions: how often nodes may evict a run; the next eviction fails it.
        start_timeout: how long an admitted run may fail to start.
    """

    max_evictions: int = pod_contract.DEFAULT_MAX_EVICTIONS
    start_timeout: dt.timedelta = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Status:
    """Where a run stands. ``message`` is for users; ``detail`` is what the cluster said.

    Both quote what notebooks and the cluster said, and have at most MAX_STATUS_LENGTH characters.
    ``admitted_at``, ``started_at`` and ``finished_at`` are RFC 3339 in UTC or None.
    """

    state: str
    reason: str | None = None
    message: Sentence | None = None
    detail: str | None = None
    admitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    def __post_init__(self) -> None:
        """Cut the texts, and drop times that are none: the cluster's objects may hold any."""
        for field_name in ("reason", "message", "detail"):
            text = getattr(self, field_name)
            if text is not None:
                object.__setattr__(self, field_name, text_rules.said(text, MAX_STATUS_LENGTH))
        for field_name in ("admitted_at", "started_at", "finished_at"):
            if not json_shapes.moment(getattr(self, field_name)):
                object.__setattr__(self, field_name, None)

    def as_json(self) -> Json:
        """Return what is stored as final.json."""
        return {**asdict(self), "sentence": sentences.as_json(self.message)}


def stored_sentence(text: str | None, stored: Any) -> Sentence | None:
    """Return a text of the bucket with the code and values stored beside it, if these are any."""
    if text is None:
        return None
    return sentences.restored(text, stored if _is_sentence(stored) else None)


def now() -> str:
    """Return the present time as RFC 3339 in UTC with milliseconds."""
    return rfc3339(dt.datetime.now(dt.UTC))


def rfc3339(moment: dt.datetime) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds and ``Z``."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> dt.datetime:
    """Read an RFC 3339 time as an aware datetime.

    Raises:
        ValueError: it is none, or out of the bounds of ``shapes.moment``.
    """
    moment = dt.datetime.fromisoformat(text)
    if not json_shapes.OLDEST_YEAR <= moment.year <= json_shapes.LATEST_YEAR:
        raise ValueError(f"{text[:40]!r} is out of bounds")
    return moment
