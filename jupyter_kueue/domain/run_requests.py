"""Read a user's JSON as a RunRequest, and say of every field that is wrong what is wrong with it.

Pure: it checks what needs no file, cluster or bucket; ``service.runs.submission`` checks the rest.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import (
    errors,
    names,
    parameter_languages,
    parameter_literals,
    quantities,
    text_rules,
)
from jupyter_kueue.domain.json_shapes import MAX_PATH_LENGTH
from jupyter_kueue.domain.models import (
    MAX_ANNOTATION_LENGTH,
    MAX_ANNOTATIONS,
    MAX_NAME_LENGTH,
    MAX_TAGS,
    Json,
    Resources,
    RunRequest,
)

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence

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


def parse_run_request(body: Any) -> RunRequest:
    """Read a JSON body as a RunRequest.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    if not isinstance(body, dict):
        raise errors.InvalidRequestError(
            {
                "body": say(
                    "send-object-with-input-path", "send a JSON object with at least input_path"
                )
            }
        )
    wrong: dict[str, Sentence] = {}
    known = {item.name for item in fields(RunRequest)}
    for unknown in sorted(set(body) - known, key=str):
        wrong[_shown(unknown)] = say(
            "field-unknown", "is an unknown field; known fields: {fields}", fields=sorted(known)
        )
    given = {key: value for key, value in body.items() if key in known and value is not None}
    if "input_path" not in given:
        wrong["input_path"] = say(
            "input-path-required",
            "is required: the notebook's path inside the server's root folder",
        )
    values: Json = {}
    for key, value in given.items():
        try:
            values[key] = _PARSERS[key](value)
        except ValueError as error:
            wrong[key] = sentences.of_error(error)
        except errors.InvalidRequestError as error:
            wrong.update(error.fields)
    if "profile" in values and "resources" in values:
        wrong["profile"] = say(
            "profile-or-resources", "give either a profile or resources, not both"
        )
    if wrong:
        raise errors.InvalidRequestError(wrong)
    return RunRequest(**values)


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
        raise ValueError(
            say(
                "resources-no-object",
                'must be an object such as {{"cpu": "2", "memory": "4Gi", "gpus": 1}}',
            )
        )
    wrong: dict[str, Sentence] = {}
    default = Resources()
    values: Json = {}
    for key, amount in value.items():
        if key not in ("cpu", "memory", "gpus"):
            wrong[f"resources.{_shown(key)}"] = say(
                "resource-unknown", "is not a resource; use cpu, memory or gpus"
            )
            continue
        if amount is None:
            continue
        try:
            values[key] = _RESOURCE_PARSERS[key](amount)
        except ValueError as error:
            wrong[f"resources.{key}"] = sentences.of_error(error)
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
            say(
                "field-length",
                "must have 1 to {most} characters, not only blanks (it has {count})",
                most=MAX_NAME_LENGTH,
                count=len(text),
            )
        )
    if problem := text_rules.problem(text, MAX_NAME_LENGTH):
        raise ValueError(problem)
    return text


def parse_tags(value: Any) -> tuple[str, ...]:
    """Read a list of at most 50 tags, each with the rules of a name."""
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise ValueError(
            say("tags-no-list", "must be a list of at most {most} short texts", most=MAX_TAGS)
        )
    return tuple(parse_name(tag) for tag in value)


def _annotations(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_ANNOTATIONS:
        raise ValueError(
            say(
                "annotations-no-object",
                "must be an object with at most {most} text values",
                most=MAX_ANNOTATIONS,
            )
        )
    for key, text in value.items():
        parse_name(key)
        if len(_text(text)) > MAX_ANNOTATION_LENGTH:
            raise ValueError(
                say(
                    "annotation-too-long",
                    "has {count} characters in {key}; the limit is {most}",
                    count=len(text),
                    key=_shown(key),
                    most=MAX_ANNOTATION_LENGTH,
                )
            )
        if problem := text_rules.problem(text, MAX_ANNOTATION_LENGTH, lines=True):
            raise ValueError(
                say("annotation-problem", "{problem}, in {key}", problem=problem, key=_shown(key))
            )
    return value


def parse_dns_label(value: Any) -> str:
    """Read the name of a LocalQueue."""
    text = _text(value)
    if not names.is_dns_label(text):
        raise ValueError(
            say(
                "queue-name-invalid",
                "{name} is not a valid queue name: use lower-case letters, digits and -",
                name=repr(text[:80]),
            )
        )
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(say("field-no-text-but", "must be text, not {kind}", kind=_kind(value)))
    # JSON may escape half a character; no file, key or label can hold one.
    if problem := text_rules.problem(value, len(value), lines=True):
        raise ValueError(problem)
    return value


def _shown(text: Any) -> str:
    """Return a field's name as sent, short and fit for any encoding, to stand in a message."""
    return str(text)[:100].encode("utf-8", "backslashreplace").decode()


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {
        bool: say("true-or-false", "true or false"),
        int: say("a-number", "a number"),
        float: say("a-number", "a number"),
        list: say("a-list", "a list"),
    }
    return kinds.get(
        type(value),
        say("an-object", "an object") if isinstance(value, dict) else type(value).__name__,
    )


def _whole(value: Any, low: int, high: int) -> int:
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


def _path(value: Any) -> str:
    text = _text(value)
    if not text or len(text) > MAX_PATH_LENGTH:
        raise ValueError(
            say(
                "input-path-invalid",
                "must be a path inside the server's root folder, such as reports/weekly.ipynb",
            )
        )
    return text


def parse_dns_subdomain(value: Any) -> str:
    """Read the name of a WorkloadPriorityClass."""
    text = _text(value)
    if not names.is_dns_subdomain(text):
        raise ValueError(
            say(
                "cluster-name-invalid",
                "{name} is not a valid name in the cluster",
                name=repr(text[:80]),
            )
        )
    return text


def _formats(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
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


def _parameters(value: Any) -> Json:
    if not isinstance(value, dict):
        raise ValueError(say("parameters-no-object", 'must be an object such as {{"alpha": 0.1}}'))
    wrong: dict[str, Sentence] = {}
    for name, content in value.items():
        if not name.isidentifier() or len(name) > MAX_NAME_LENGTH:
            problem: Sentence | None = say(
                "parameter-name-invalid",
                "must be a valid variable name: letters, "
                "digits and _, without a digit at the "
                "beginning",
            )
        else:
            problem = _problem_in(content)
        if problem is not None:
            wrong[f"parameters.{_shown(name)}"] = problem
    if wrong:
        raise errors.InvalidRequestError(wrong)
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


def _problem_in(value: Any, depth: int = 0) -> Sentence | None:
    """Say why a parameter's value cannot travel as JSON; None where it can."""
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


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(
            say("field-no-flag", "must be true or false, not {value}", value=repr(str(value)[:40]))
        )
    return value


def _cpu(value: Any) -> str:
    return _quantity(value, Decimal("0.001"), MAX_CPUS, say("range-of-cpus", "0.001 and 1024 CPUs"))


def _memory(value: Any) -> str:
    return _quantity(
        value, MIN_MEMORY_BYTES, MAX_MEMORY_BYTES, say("range-of-memory", "1Mi and 1Pi")
    )


def _quantity(value: Any, low: Decimal, high: Decimal, bounds: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(
            say(
                "amount-no-text",
                "must be an amount such as 2, 500m or 4Gi, not {kind}",
                kind=_kind(value),
            )
        )
    text = str(value).strip()
    amount = quantities.parse(text)
    if not low <= amount <= high:
        raise ValueError(
            say(
                "amount-out-of-range",
                "must be between {bounds}, not {value}",
                bounds=bounds,
                value=text,
            )
        )
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
