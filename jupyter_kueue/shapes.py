"""What stored JSON must look like to be believed: shapes as data, and where a document differs.

Pure. ``models`` and ``storage`` hold what they read from the bucket against them, because anybody
who may write there may have written something else, and one such object must not stop the rest.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from jupyter_kueue import texts

if TYPE_CHECKING:
    from collections.abc import Callable

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


def complete(value: Any, shape: Shape) -> Any:
    """Return a value that fits, with None for each field of an object that is not there."""
    if isinstance(shape, tuple):
        return value if value is None else complete(value, shape[0])
    if isinstance(shape, dict) and isinstance(value, dict):
        named = {name: complete(value.get(name), one) for name, one in shape.items()}
        return {**value, **named}
    if isinstance(shape, list) and isinstance(value, list):
        return [complete(item, shape[0]) for item in value]
    return value


# Times outside are nobody's, and arithmetic with them has no end in sight.
OLDEST_YEAR, LATEST_YEAR = 1970, 9000
MAX_PATH_LENGTH = 4096  # Linux' PATH_MAX
_MAX_WHOLE = 2**63 - 1


def moment(value: Any) -> bool:
    """Tell whether a value is a time with its offset from UTC, as RFC 3339 has it.

    One between OLDEST_YEAR and LATEST_YEAR, which any calendar can count with.
    """
    try:
        found = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return found.tzinfo is not None and OLDEST_YEAR <= found.year <= LATEST_YEAR


def number(value: Any) -> bool:
    """Tell whether a value is a whole number of 64 bits; JSON's true and false are none."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and -_MAX_WHOLE <= value <= _MAX_WHOLE


def count(value: Any) -> bool:
    """Tell whether a value is such a number from 0 on."""
    return number(value) and value >= 0


def line(max_length: int) -> Callable[[Any], bool]:
    """Return the shape of a text of one line, by the rules for what users send (``texts``)."""
    return lambda value: isinstance(value, str) and texts.problem(value, max_length) is None


def text(max_length: int) -> Callable[[Any], bool]:
    """Return the shape of a text of any number of lines."""
    return lambda value: (
        isinstance(value, str) and texts.problem(value, max_length, lines=True) is None
    )


def path(value: Any) -> bool:
    """Tell whether a value is a path that stays below where it begins, with / between its parts."""
    is_text = isinstance(value, str) and texts.problem(value, MAX_PATH_LENGTH, lines=True) is None
    return is_text and not {"", ".", ".."} & set(value.split("/"))


def mapping(name: Shape, content: Shape) -> Callable[[Any], bool]:
    """Return the shape of an object whose names and values have a shape each."""
    return lambda value: (
        isinstance(value, dict)
        and all(fits(key, name) and fits(item, content) for key, item in value.items())
    )


def at_most(length: int, item: Shape) -> Callable[[Any], bool]:
    """Return the shape of a list of at most so many items of a shape."""
    return lambda value: (
        isinstance(value, list) and len(value) <= length and all(fits(one, item) for one in value)
    )


def one_of(*known: str) -> Shape:
    """Return the shape of a text that is one of these."""
    return lambda value: isinstance(value, str) and value in known


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict | list):
        return f"an {type(value).__name__} that is no such one"
    return texts.shown_line(repr(value[:60] if isinstance(value, str) else value), 60)
