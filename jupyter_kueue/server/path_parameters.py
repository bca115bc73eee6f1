"""The parameters of paths: what each looks like, and what it is read as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class PathParameter:
    """One parameter.

    Attributes:
        pattern: the part of a path that it may be, as tornado matches it.
        schema: the same as JSON Schema.
        read: returns its value, or raises NotFoundError where nothing can be there.
    """

    pattern: str
    description: str
    schema: Mapping[str, Any]
    read: Callable[[str], str]


def _run_id(text: str) -> str:
    run_id = names.plain_id(text)
    if not names.is_run_id(run_id):
        raise errors.NotFoundError(
            say("no-such-run", "There is no run {run}.", run=repr(text[:60]))
        )
    return run_id


def _schedule_id(text: str) -> str:
    schedule_id = names.plain_id(text)
    if not names.is_run_id(schedule_id):
        raise errors.NotFoundError(
            say("no-such-schedule", "There is no schedule {schedule}.", schedule=repr(text[:60]))
        )
    return schedule_id


def _file_path(text: str) -> str:
    if any(part in ("", ".", "..") for part in text.split("/")) or "\0" in text:
        raise errors.NotFoundError(
            say("no-such-file", "The run has no file {path}.", path=repr(text[:200]))
        )
    return text


# An id may be written as in jupyter-scheduler 3: `<backend>:<id>`.
PATH_PARAMETERS: Mapping[str, PathParameter] = {
    "run_id": PathParameter(
        "([^/]+)", "The run's id.", {"type": "string", "format": "uuid"}, _run_id
    ),
    "schedule_id": PathParameter(
        "([^/]+)", "The schedule's id.", {"type": "string", "format": "uuid"}, _schedule_id
    ),
    "path": PathParameter(
        "(.+)", "As in the list; it may contain slashes.", {"type": "string"}, _file_path
    ),
}


def names_in(path: str) -> tuple[str, ...]:
    """Return the names of a path's parameters, in their order."""
    return tuple(NAME.findall(path))


def pattern_of(path: str) -> str:
    """Return a path as the pattern that tornado matches, a group for each parameter."""
    return NAME.sub(
        lambda match: PATH_PARAMETERS[match[1]].pattern,
        path.replace(".", r"\."),
    )
