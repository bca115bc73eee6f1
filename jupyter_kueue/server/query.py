"""Reads query parameters as a declared type. Loaded by the first request: it imports pydantic."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.parsing import said_of_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jupyter_kueue.contract.sentences import Sentence

# Jupyter's own query parameters, which any request may carry.
_JUPYTER_PARAMETERS = frozenset({"token", "_xsrf", "no_track_activity"})


def read_query(declared: type | None, given: Mapping[str, Sequence[str]]) -> Any:
    """Return the query parameters as ``declared``, None for None.

    Args:
        declared: a dataclass; what is a tuple there may be repeated.
        given: the values of each parameter.

    Raises:
        InvalidRequestError: naming each parameter that is unknown, wrong or given too often, so
            that a slip is not taken for a filter.
    """
    schema = {} if declared is None else schema_of(declared)
    known = {name: field.get("type") == "array" for name, field in schema.items()}
    wrong: dict[str, Sentence] = {}
    values: dict[str, Any] = {name: () for name, repeats in known.items() if repeats}
    for name, texts in given.items():
        # JupyterLab appends the time, as a name without value, to get past caches.
        is_time = name.isdigit() and not any(texts)
        if name in _JUPYTER_PARAMETERS or is_time:
            continue
        if name not in known:
            wrong[name[:100]] = _unknown(tuple(known))
        elif known[name]:
            values[name] = tuple(texts)
        elif len(texts) > 1:
            wrong[name] = say(
                "query-given-often",
                "is given {count} times; give it only once",
                count=len(texts),
            )
        else:
            values[name] = texts[0]
    read = None
    if declared is not None:
        try:
            read = _adapter(declared).validate_python(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                for field, said in said_of_field(detail, {}, {}).items():
                    wrong.setdefault(field, said)
    if wrong:
        raise errors.InvalidRequestError(wrong)
    return read


@functools.cache
def schema_of(declared: type) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each query parameter, by its name."""
    properties: dict[str, dict[str, Any]] = _adapter(declared).json_schema()["properties"]
    return properties


@functools.cache
def _adapter(declared: type) -> TypeAdapter[Any]:
    return TypeAdapter(declared)


def _unknown(known: tuple[str, ...]) -> Sentence:
    if not known:
        return say("query-takes-none", "is an unknown query parameter; this route takes none")
    return say(
        "query-unknown",
        "is an unknown query parameter; known parameters: {known}",
        known=known,
    )
