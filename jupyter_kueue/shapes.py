"""What stored JSON must look like to be believed: shapes as data, and where a document differs.

Pure. ``models`` and ``storage`` hold what they read from the bucket against them, because anybody
who may write there may have written something else, and one such object must not stop the rest.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

Json = dict[str, Any]

# None stands for itself, a type for its values, a tuple for one of several shapes, a list for a
# list of that shape, a dict for an object with at least these fields (one that is not there counts
# as None), and a function for whatever it is true of.
Shape = Any


def difference(value: Any, shape: Shape, path: str = "") -> str | None:
    """Return where ``value`` first differs from ``shape``, in words; None where it fits."""
    if fits(value, shape):
        return None
    if isinstance(shape, tuple):
        return difference(value, shape[0], path)
    if isinstance(shape, dict) and isinstance(value, dict):
        fields = (difference(value.get(key), one, f"{path}.{key}") for key, one in shape.items())
        return next(filter(None, fields))
    if isinstance(shape, list) and isinstance(value, list):
        items = (difference(item, shape[0], f"{path}[{at}]") for at, item in enumerate(value))
        return next(filter(None, items))
    return f"{path.lstrip('.') or 'it'} is {_shown(value)}"


def fits(value: Any, shape: Shape) -> bool:
    """Tell whether ``value`` has the shape. Quick: a server's start asks it of thousands."""
    if isinstance(shape, type):
        return isinstance(value, shape)
    if shape is None:
        return value is None
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        return all(fits(value.get(name), one) for name, one in shape.items())
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    return bool(shape(value))


def moment(value: Any) -> bool:
    """Tell whether a value is a time with its offset from UTC, as RFC 3339 has it."""
    try:
        return dt.datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def number(value: Any) -> bool:
    """Tell whether a value is a whole number; JSON's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def one_of(*known: str) -> Shape:
    """Return the shape of a text that is one of these."""
    return lambda value: isinstance(value, str) and value in known


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    return f"an {type(value).__name__}" if isinstance(value, dict | list) else repr(value)[:60]
