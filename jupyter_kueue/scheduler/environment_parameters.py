"""Keys of jupyter-scheduler's ``runtime_environment_parameters``, and the fields they stand for.

A request's field has a key if its declaration is marked with one (``EnvironmentParameter``).
"""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from jupyter_kueue.domain import run_request
from jupyter_kueue.domain.field_types import EnvironmentParameter
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.schedule_request import ScheduleRequest


def _fields_by_key(declared: type) -> dict[str, str]:
    hints = get_type_hints(declared, include_extras=True)
    return {
        mark.key: name
        for name, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, EnvironmentParameter)
    }


def _is_text(hint: Any) -> bool:
    return hint is str or any(map(_is_text, get_args(hint)))


# Fields of a run's request by their keys.
RUN_FIELDS = _fields_by_key(RunRequest)
_HINTS = get_type_hints(RunRequest)
# Those whose values are texts.
TEXTS = frozenset(key for key, name in RUN_FIELDS.items() if _is_text(_HINTS[name]))
# Amounts in ``resources``, which have their own names as keys.
AMOUNTS = tuple(_fields_by_key(Resources))
RUN_KEYS = (*RUN_FIELDS, *AMOUNTS)
# Fields that a schedule has in addition, which have their own names as keys.
SCHEDULE_KEYS = tuple(
    key for key, name in _fields_by_key(ScheduleRequest).items() if name not in run_request.FIELDS
)
