"""The types of the fields that users send: values, limits, and messages that say what to do.

Pure. Every type is declared once: ``domain.parsing`` validates requests and stored documents with
it, and the OpenAPI document and the documentation are generated from it. A validator raises
ValueError with a sentence that follows the field's name.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo, WithJsonSchema

from jupyter_kueue.contract.sentences import Sentence, say
from jupyter_kueue.domain import names, quantities, text_rules, times
from jupyter_kueue.domain.names import MAX_NAME_LENGTH


@dataclass(frozen=True)
class EnvironmentParameter:
    """A mark of a field: its key in jupyter-scheduler's ``runtime_environment_parameters``."""

    key: str


# Limits of a request. A request above a team's quota is accepted and shown as blocked; one above
# these limits is a mistake.
MAX_PATH_LENGTH = 4096  # Linux' PATH_MAX
MAX_TAGS = 50
MAX_ANNOTATIONS = 20
MAX_ANNOTATION_LENGTH = 1000
MAX_GPUS = 1024
MAX_CPUS = Decimal(1024)
MAX_MEMORY_BYTES = Decimal(2) ** 50
MIN_MEMORY_BYTES = Decimal(2) ** 20
MAX_PARAMETERS_BYTES = 1 << 20
MAX_PARAMETER_DEPTH = 32  # levels of nested lists and objects
MAX_RETRIES = 100
MAX_TIMEOUT_SECONDS = 366 * 24 * 3600
MAX_EXPRESSION_LENGTH = 256
MIN_STARTING_DEADLINE_SECONDS = 10  # the CronJob controller runs every ten seconds
MAX_STARTING_DEADLINE_SECONDS = 366 * 24 * 3600
MAX_RUNS = 10_000
OUTPUT_FORMAT_WORD = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def kind_of(value: Any) -> Sentence | str:
    """Return the type of a JSON value, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return say("true-or-false", "true or false")
    if isinstance(value, int | float):
        return say("a-number", "a number")
    if isinstance(value, list):
        return say("a-list", "a list")
    return say("an-object", "an object") if isinstance(value, dict) else type(value).__name__


def shown_key(text: Any) -> str:
    """Return a field's name as sent, shortened and printable, for messages."""
    return str(text)[:100].encode("utf-8", "backslashreplace").decode()


def text(value: Any) -> str:
    """Validate any text that JSON, files and keys can hold."""
    if not isinstance(value, str):
        raise ValueError(say("field-no-text-but", "must be text, not {kind}", kind=kind_of(value)))
    # JSON can escape a lone surrogate; no file, key or label can contain one.
    if problem := text_rules.problem(value, len(value), lines=True):
        raise ValueError(problem)
    return value


def name(value: Any) -> str:
    """Validate a display name: 1 to 255 characters without control characters."""
    read = text(value)
    if not read.strip() or len(read) > MAX_NAME_LENGTH:
        raise ValueError(
            say(
                "field-length",
                "must have 1 to {most} characters, not only blanks (it has {count})",
                most=MAX_NAME_LENGTH,
                count=len(read),
            )
        )
    if problem := text_rules.problem(read, MAX_NAME_LENGTH):
        raise ValueError(problem)
    return read


def dns_label(value: Any) -> str:
    """Validate the name of a LocalQueue."""
    read = text(value)
    if not names.is_dns_label(read):
        raise ValueError(
            say(
                "queue-name-invalid",
                "{name} is not a valid queue name: use lower-case letters, digits and -",
                name=repr(read[:80]),
            )
        )
    return read


def dns_subdomain(value: Any) -> str:
    """Validate the name of a WorkloadPriorityClass."""
    read = text(value)
    if not names.is_dns_subdomain(read):
        raise ValueError(
            say(
                "cluster-name-invalid",
                "{name} is not a valid name in the cluster",
                name=repr(read[:80]),
            )
        )
    return read


def path(value: Any) -> str:
    """Validate a notebook's path below the server's root."""
    read = text(value)
    if not read or len(read) > MAX_PATH_LENGTH:
        raise ValueError(
            say(
                "input-path-invalid",
                "must be a path inside the server's root folder, such as reports/weekly.ipynb",
            )
        )
    return read


def flag(value: Any) -> bool:
    """Validate true or false."""
    if not isinstance(value, bool):
        raise ValueError(
            say("field-no-flag", "must be true or false, not {value}", value=repr(str(value)[:40]))
        )
    return value


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Return the validator of an integer within bounds."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(
                say(
                    "field-no-whole-number",
                    "must be a whole number from {low} to {high}, not {value}",
                    low=low,
                    high=high,
                    value=repr(str(value)[:40]),
                )
            )
        if not low <= value <= high:
            raise ValueError(
                say(
                    "field-out-of-range",
                    "must be between {low} and {high}, not {value}",
                    low=low,
                    high=high,
                    value=str(value)[:40],
                )
            )
        return value

    return read


# The validation context for stored documents: an imported run, or one created with kubectl, may
# request less than users may.
STORED = "stored"


def _amount(low: Decimal, high: Decimal, bounds: Sentence) -> Callable[[Any, ValidationInfo], str]:
    def read(value: Any, info: ValidationInfo) -> str:
        if info.context == STORED and quantities.is_amount(value):
            return str(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(
                say(
                    "amount-no-text",
                    "must be an amount such as 2, 500m or 4Gi, not {kind}",
                    kind=kind_of(value),
                )
            )
        written = str(value).strip()
        if not low <= quantities.parse(written) <= high:
            raise ValueError(
                say(
                    "amount-out-of-range",
                    "must be between {bounds}, not {value}",
                    bounds=bounds,
                    value=written,
                )
            )
        return written

    return read


def _tags(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) > MAX_TAGS:
        raise ValueError(
            say("tags-no-list", "must be a list of at most {most} short texts", most=MAX_TAGS)
        )
    return tuple(name(tag) for tag in value)


def _formats(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(
            say(
                "formats-no-list",
                'must be a list of at least one format, such as ["ipynb", "html"]',
            )
        )
    for item in value:
        if not isinstance(item, str) or not OUTPUT_FORMAT_WORD.fullmatch(item):
            raise ValueError(
                say(
                    "format-invalid",
                    "{format} is not a valid format; ipynb and html always work",
                    format=repr(str(item)[:40]),
                )
            )
    return tuple(dict.fromkeys(value))


def _annotations(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) > MAX_ANNOTATIONS:
        raise ValueError(
            say(
                "annotations-no-object",
                "must be an object with at most {most} text values",
                most=MAX_ANNOTATIONS,
            )
        )
    for key, content in value.items():
        name(key)
        if len(text(content)) > MAX_ANNOTATION_LENGTH:
            raise ValueError(
                say(
                    "annotation-too-long",
                    "has {count} characters in {key}; the limit is {most}",
                    count=len(content),
                    key=shown_key(key),
                    most=MAX_ANNOTATION_LENGTH,
                )
            )
        if problem := text_rules.problem(content, MAX_ANNOTATION_LENGTH, lines=True):
            raise ValueError(
                say(
                    "annotation-problem", "{problem}, in {key}", problem=problem, key=shown_key(key)
                )
            )
    return value


class FieldsError(ValueError):
    """Several problems inside one field.

    Attributes:
        fields: the problems by the name below the field, such as ``alpha`` of ``parameters``.
    """

    def __init__(self, fields: dict[str, Sentence]) -> None:
        super().__init__("; ".join(f"{key}: {said}" for key, said in fields.items()))
        self.fields = fields


def _parameters(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(say("parameters-no-object", 'must be an object such as {{"alpha": 0.1}}'))
    wrong: dict[str, Sentence] = {}
    for key, content in value.items():
        if not key.isidentifier() or len(key) > MAX_NAME_LENGTH:
            wrong[shown_key(key)] = say(
                "parameter-name-invalid",
                "must be a valid variable name: letters, "
                "digits and _, without a digit at the "
                "beginning",
            )
        elif problem := _problem_in(content):
            wrong[shown_key(key)] = problem
    if wrong:
        raise FieldsError(wrong)
    return value


def _problem_in(value: Any, depth: int = 0) -> Sentence | None:
    """Return why JSON cannot hold a parameter's value; None if it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return say(
            "parameter-not-json",
            "contains {value}, which JSON cannot represent; send null or a text such as 'inf'",
            value=str(value),
        )
    if isinstance(value, str):
        return text_rules.half_character(value)
    if isinstance(value, list | dict):
        if depth == MAX_PARAMETER_DEPTH:
            return say(
                "parameter-too-deep",
                "is nested deeper than {most} levels; put it in a file",
                most=MAX_PARAMETER_DEPTH,
            )
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next(filter(None, (_problem_in(part, depth + 1) for part in parts)), None)
    return None


def _not_too_large(value: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(value))
    if size > MAX_PARAMETERS_BYTES:
        raise ValueError(
            say(
                "parameters-too-large",
                "have {bytes} bytes; the limit is {most}. Put large data into a file",
                bytes=size,
                most=MAX_PARAMETERS_BYTES,
            )
        )
    return value


def _single_spaced(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(
            say("field-no-text-not", "must be text, not {value}", value=repr(str(value)[:40]))
        )
    return " ".join(value.split())


def _expression(value: Any) -> str:
    read = _single_spaced(value)
    if not read or len(read) > MAX_EXPRESSION_LENGTH:
        raise ValueError(
            say(
                "cron-expression-invalid",
                "must be a cron expression of five fields, such as 0 9 * * 1-5",
            )
        )
    if "TZ=" in read:
        raise ValueError(
            say(
                "cron-expression-holds-time-zone",
                "cannot contain a time zone; use timezone instead",
            )
        )
    return read


def _timezone(value: Any) -> str:
    read = _single_spaced(value)
    if not read:
        raise ValueError(
            say("time-zone-invalid", "must be the name of a time zone, such as Europe/Berlin")
        )
    return read


def _policy(value: Any) -> Any:
    if value not in CONCURRENCY_POLICIES:
        raise ValueError(
            say("field-none-of", "must be one of {choices}", choices=CONCURRENCY_POLICIES)
        )
    return value


def _moment(value: Any) -> str:
    problem = say(
        "field-no-time",
        "must be a time with a UTC offset, such as 2030-01-31T18:00:00+01:00",
    )
    if not isinstance(value, str):
        raise ValueError(problem)
    try:
        moment = times.parse_time(value)
    except ValueError:
        raise ValueError(problem) from None
    if moment.tzinfo is None:
        raise ValueError(problem)
    try:
        return times.rfc3339(moment.astimezone(dt.UTC))
    except OverflowError:
        raise ValueError(say("field-too-far-away", "is too far in the future")) from None


ConcurrencyPolicy = Literal["Forbid", "Allow", "Replace"]
CONCURRENCY_POLICIES: tuple[ConcurrencyPolicy, ...] = ("Forbid", "Allow", "Replace")

InputPath = Annotated[str, Field(min_length=1, max_length=MAX_PATH_LENGTH), BeforeValidator(path)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH), BeforeValidator(name)]
LocalQueueName = Annotated[str, BeforeValidator(dns_label)]
PriorityClassName = Annotated[str, BeforeValidator(dns_subdomain)]
Flag = Annotated[bool, BeforeValidator(flag), Strict()]
Seconds = Annotated[
    int, Field(ge=1, le=MAX_TIMEOUT_SECONDS), BeforeValidator(whole(1, MAX_TIMEOUT_SECONDS))
]
Retries = Annotated[int, Field(ge=0, le=MAX_RETRIES), BeforeValidator(whole(0, MAX_RETRIES))]
Tags = Annotated[tuple[Name, ...], Field(max_length=MAX_TAGS), BeforeValidator(_tags)]
OutputFormats = Annotated[
    tuple[str, ...], Field(min_length=1, examples=[["ipynb", "html"]]), BeforeValidator(_formats)
]
Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=MAX_ANNOTATION_LENGTH)]],
    Field(max_length=MAX_ANNOTATIONS),
    BeforeValidator(_annotations),
]
Parameters = Annotated[
    dict[str, Any],
    BeforeValidator(_parameters),
    AfterValidator(_not_too_large),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]
Cpus = Annotated[
    str,
    BeforeValidator(
        _amount(Decimal("0.001"), MAX_CPUS, say("range-of-cpus", "0.001 and 1024 CPUs"))
    ),
    WithJsonSchema({"type": ["string", "number"], "examples": ["2", "500m"]}),
]
Memory = Annotated[
    str,
    BeforeValidator(
        _amount(MIN_MEMORY_BYTES, MAX_MEMORY_BYTES, say("range-of-memory", "1 MiB and 1 PiB"))
    ),
    WithJsonSchema({"type": ["string", "number"], "examples": ["4Gi"]}),
]
Gpus = Annotated[int, Field(ge=0, le=MAX_GPUS), BeforeValidator(whole(0, MAX_GPUS))]

CronExpression = Annotated[
    str,
    Field(min_length=1, max_length=MAX_EXPRESSION_LENGTH, examples=["0 9 * * 1-5"]),
    BeforeValidator(_expression),
]
TimeZone = Annotated[str, Field(examples=["Europe/Berlin"]), BeforeValidator(_timezone)]
Policy = Annotated[ConcurrencyPolicy, BeforeValidator(_policy)]
StartingDeadline = Annotated[
    int,
    Field(ge=MIN_STARTING_DEADLINE_SECONDS, le=MAX_STARTING_DEADLINE_SECONDS),
    BeforeValidator(whole(MIN_STARTING_DEADLINE_SECONDS, MAX_STARTING_DEADLINE_SECONDS)),
]
EndDate = Annotated[str, Field(json_schema_extra={"format": "date-time"}), BeforeValidator(_moment)]
MaxRuns = Annotated[int, Field(ge=1, le=MAX_RUNS), BeforeValidator(whole(1, MAX_RUNS))]
