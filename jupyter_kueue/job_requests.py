"""Read a user's JSON as a JobRequest, and say of every field that is wrong what is wrong with it.

Pure: it checks what needs no file, cluster or bucket; ``service.submission`` checks the rest.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields
from decimal import Decimal
from typing import Any

from jupyter_kueue import (
    errors,
    names,
    parameter_languages,
    parameter_literals,
    quantities,
    texts,
)
from jupyter_kueue.models import (
    MAX_ANNOTATION_LENGTH,
    MAX_ANNOTATIONS,
    MAX_NAME_LENGTH,
    MAX_TAGS,
    JobRequest,
    Json,
    Resources,
)
from jupyter_kueue.shapes import MAX_PATH_LENGTH

# Bounds of a request. More than a team's quota is accepted and shown as blocked; more than this is
# a slip of the finger.
MAX_GPUS = 1024
MAX_CPUS = Decimal(1024)
MAX_MEMORY_BYTES = Decimal(2) ** 50
MIN_MEMORY_BYTES = Decimal(2) ** 20
MAX_PARAMETERS_BYTES = 1 << 20
MAX_PARAMETER_DEPTH = 32  # of lists and objects within each other
MAX_RETRIES = 100
MAX_TIMEOUT_SECONDS = 366 * 24 * 3600
OUTPUT_FORMAT_WORD = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def parse_job_request(body: Any) -> JobRequest:
    """Read a JSON body as a JobRequest.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    if not isinstance(body, dict):
        raise errors.InvalidRequestError({"body": "send a JSON object with at least input_path"})
    wrong: dict[str, str] = {}
    known = {item.name for item in fields(JobRequest)}
    for unknown in sorted(set(body) - known, key=str):
        wrong[_shown(unknown)] = f"is not a field; the fields are {', '.join(sorted(known))}"
    given = {key: value for key, value in body.items() if key in known and value is not None}
    if "input_path" not in given:
        wrong["input_path"] = "is required: the notebook's path below the server's root"
    values: Json = {}
    for key, value in given.items():
        try:
            values[key] = _PARSERS[key](value)
        except ValueError as error:
            wrong[key] = str(error)
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
    if "profile" in values and "resources" in values:
        wrong["profile"] = "give either a profile or resources, not both"
    if wrong:
        raise errors.InvalidRequestError(wrong)
    return JobRequest(**values)


def check_parameters(
    parameters: Json, kernel_name: str | None, notebooks_kernel: str | None, stated: str
) -> None:
    """Refuse parameters that cannot be written for the kernel they are for.

    Their pod writes them by the same rules. It takes as long as they are many: call it in a thread.

    Args:
        parameters: those of the request.
        kernel_name: the kernel that the request names.
        notebooks_kernel: the one that the notebook names.
        stated: the language that the notebook states, empty if none.

    Raises:
        InvalidRequestError: naming ``parameters``, or each bad one as ``parameters.<name>``.
    """
    if not parameters:
        return
    language = parameter_languages.find_language(kernel_name, notebooks_kernel, stated)
    if language is None:
        said = parameter_languages.unknown_language(kernel_name or notebooks_kernel, stated)
        raise errors.InvalidRequestError({"parameters": said})
    parameter_literals.write_cell(parameters, language)


def parse_resources(value: Any) -> Resources:
    """Read ``{"cpu": "2", "memory": "4Gi", "gpus": 1}``; each may be left out.

    Raises:
        InvalidRequestError: naming each bad amount as ``resources.<name>``.
    """
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"cpu": "2", "memory": "4Gi", "gpus": 1}')
    wrong: dict[str, str] = {}
    default = Resources()
    values: Json = {}
    for key, amount in value.items():
        if key not in ("cpu", "memory", "gpus"):
            wrong[f"resources.{_shown(key)}"] = "is not a resource; use cpu, memory or gpus"
            continue
        if amount is None:
            continue
        try:
            values[key] = _RESOURCE_PARSERS[key](amount)
        except ValueError as error:
            wrong[f"resources.{key}"] = str(error)
    if wrong:
        raise errors.InvalidRequestError(wrong)
    return Resources(
        cpu=values.get("cpu", default.cpu),
        memory=values.get("memory", default.memory),
        gpus=values.get("gpus", default.gpus),
    )


def parse_name(value: Any) -> str:
    """Read a display name: 1 to 255 characters of any text without control characters."""
    text = _text(value)
    if not text.strip() or len(text) > MAX_NAME_LENGTH:
        raise ValueError(
            f"must have 1 to {MAX_NAME_LENGTH} characters (it has {len(text)}, blanks included)"
        )
    if problem := texts.problem(text, MAX_NAME_LENGTH):
        raise ValueError(problem)
    return text


def parse_tags(value: Any) -> tuple[str, ...]:
    """Read a list of at most 50 tags, each with the rules of a name."""
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise ValueError(f"must be a list of at most {MAX_TAGS} short texts")
    return tuple(parse_name(tag) for tag in value)


def _annotations(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_ANNOTATIONS:
        raise ValueError(f"must be an object of at most {MAX_ANNOTATIONS} texts")
    for key, text in value.items():
        parse_name(key)
        if len(_text(text)) > MAX_ANNOTATION_LENGTH:
            raise ValueError(
                f"holds {len(text)} characters in {_shown(key)}; the limit is "
                f"{MAX_ANNOTATION_LENGTH}"
            )
        if problem := texts.problem(text, MAX_ANNOTATION_LENGTH, lines=True):
            raise ValueError(f"{problem}, in {_shown(key)}")
    return value


def parse_dns_label(value: Any) -> str:
    """Read the name of a LocalQueue."""
    text = _text(value)
    if not names.is_dns_label(text):
        raise ValueError(
            f"{text[:80]!r} cannot be the name of a queue: use lower-case letters, digits and -"
        )
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {_kind(value)}")
    # JSON may escape half a character; no file, key or label can hold one.
    if problem := texts.problem(value, len(value), lines=True):
        raise ValueError(problem)
    return value


def _shown(text: Any) -> str:
    """Return a field's name as sent, short and fit for any encoding, to stand in a message."""
    return str(text)[:100].encode("utf-8", "backslashreplace").decode()


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object" if isinstance(value, dict) else type(value).__name__)


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number from {low} to {high}, not {str(value)[:40]!r}")
    if not low <= value <= high:
        raise ValueError(f"must be from {low} to {high}; {str(value)[:40]} is not")
    return value


def _path(value: Any) -> str:
    text = _text(value)
    if not text or len(text) > MAX_PATH_LENGTH:
        raise ValueError("must be a path below the server's root, such as reports/weekly.ipynb")
    return text


def parse_dns_subdomain(value: Any) -> str:
    """Read the name of a WorkloadPriorityClass."""
    text = _text(value)
    if not names.is_dns_subdomain(text):
        raise ValueError(f"{text[:80]!r} cannot be a name in the cluster")
    return text


def _formats(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError('must be a list with at least one format, such as ["ipynb", "html"]')
    for item in value:
        if not isinstance(item, str) or not OUTPUT_FORMAT_WORD.fullmatch(item):
            raise ValueError(f"{str(item)[:40]!r} is not a format; ipynb and html always work")
    return tuple(dict.fromkeys(value))


def _parameters(value: Any) -> Json:
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"alpha": 0.1}')
    wrong: dict[str, str] = {}
    for name, content in value.items():
        if not name.isidentifier() or len(name) > MAX_NAME_LENGTH:
            problem = "must be a valid variable name: letters, digits and _"
        else:
            problem = _problem_in(content)
        if problem:
            wrong[f"parameters.{_shown(name)}"] = problem
    if wrong:
        raise errors.InvalidRequestError(wrong)
    size = len(json.dumps(value))
    if size > MAX_PARAMETERS_BYTES:
        raise ValueError(
            f"hold {size} bytes; the limit is {MAX_PARAMETERS_BYTES}. Put data into a file"
        )
    return value


def _problem_in(value: Any, depth: int = 0) -> str:
    """Say why a parameter's value cannot travel as JSON; empty where it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"holds {value}, which JSON cannot carry; send null or a text such as 'inf'"
    if isinstance(value, str):
        return texts.half_character(value) or ""
    if isinstance(value, list | dict):
        if depth == MAX_PARAMETER_DEPTH:
            return f"is nested deeper than {MAX_PARAMETER_DEPTH} levels; put it into a file"
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next(filter(None, (_problem_in(part, depth + 1) for part in parts)), "")
    return ""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {str(value)[:40]!r}")
    return value


def _cpu(value: Any) -> str:
    return _quantity(value, Decimal("0.001"), MAX_CPUS, "0.001 to 1024 CPUs")


def _memory(value: Any) -> str:
    return _quantity(value, MIN_MEMORY_BYTES, MAX_MEMORY_BYTES, "1Mi to 1Pi")


def _quantity(value: Any, low: Decimal, high: Decimal, bounds: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be an amount such as 2, 500m or 4Gi, not {_kind(value)}")
    text = str(value).strip()
    amount = quantities.parse(text)
    if not low <= amount <= high:
        raise ValueError(f"must be from {bounds}; {text} is not")
    return text


_RESOURCE_PARSERS: dict[str, Any] = {
    "cpu": _cpu,
    "memory": _memory,
    "gpus": lambda value: _whole(value, 0, MAX_GPUS),
}
_PARSERS: dict[str, Any] = {
    "input_path": _path,
    "name": parse_name,
    "local_queue": parse_dns_label,
    "profile": parse_name,
    "resources": parse_resources,
    "environment": parse_name,
    "kernel_name": parse_name,
    "parameters": _parameters,
    "output_formats": _formats,
    "include_folder": _flag,
    "priority_class": parse_dns_subdomain,
    "timeout_seconds": lambda value: _whole(value, 1, MAX_TIMEOUT_SECONDS),
    "cell_timeout_seconds": lambda value: _whole(value, 1, MAX_TIMEOUT_SECONDS),
    "max_retries": lambda value: _whole(value, 0, MAX_RETRIES),
    "tags": parse_tags,
    "annotations": _annotations,
    "idempotency_key": parse_name,
}
