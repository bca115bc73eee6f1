"""Checks of the cluster's objects: their expected shapes as data, and the first difference.

Pure. Anybody with write access to the namespace can create malformed Jobs or pods, and one such
object must not affect others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.domain import text_rules

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

# None matches itself, a type its instances, a tuple one of several shapes, a list a list of that
# shape, a dict an object with at least these fields (a missing one counts as None), a function the
# values for which it is true, and a Kind its shape.
Shape = Any


class Kind:
    """A compiled shape: a server's start checks thousands of rows.

    Attributes:
        shape: the shape as given.
        fits: returns whether a value has the shape.
        complete: returns a matching value with None for each missing field of an object.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.fits = checker(shape)
        self.complete: Callable[[Any], Any] = _completer(shape) or (lambda value: value)

    def difference(self, value: Any) -> str | None:
        """Return the first difference of ``value``, in words; None if it matches."""
        return None if self.fits(value) else _difference(value, self.shape, "")


def _difference(value: Any, shape: Shape, path: str) -> str | None:
    if isinstance(shape, Kind):
        return _difference(value, shape.shape, path)
    if checker(shape)(value):
        return None
    if isinstance(shape, tuple):
        return _difference(value, shape[0], path)
    if isinstance(shape, dict) and isinstance(value, dict):
        fields = (_difference(value.get(key), one, f"{path}.{key}") for key, one in shape.items())
        return next(filter(None, fields))
    if isinstance(shape, list) and isinstance(value, list):
        items = (_difference(item, shape[0], f"{path}[{at}]") for at, item in enumerate(value))
        return next(filter(None, items))
    return f"{path.lstrip('.') or 'it'} is {_shown(value)}"


def checker(shape: Shape) -> Callable[[Any], bool]:
    """Return a function that checks whether a value has the shape."""
    if isinstance(shape, Kind):
        return shape.fits
    if shape is None:
        return lambda value: value is None
    if isinstance(shape, type):
        return lambda value: isinstance(value, shape)
    if isinstance(shape, dict):
        return _object_checker([(name, checker(one)) for name, one in shape.items()])
    if isinstance(shape, list):
        item = checker(shape[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if isinstance(shape, tuple):
        checkers = [checker(one) for one in shape if one is not None]
        if len(checkers) == 1:
            [only] = checkers
            return lambda value: value is None or only(value)
        takes_none = None in shape
        return lambda value: any(one(value) for one in checkers) or (takes_none and value is None)
    # A function.
    return lambda value: bool(shape(value))


def _object_checker(fields: list[tuple[str, Callable[[Any], bool]]]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        get = value.get
        return all(one(get(name)) for name, one in fields)

    return check


def _completer(shape: Shape) -> Callable[[Any], Any] | None:
    """Return a function that completes a matching value, None if nothing can be missing."""
    if isinstance(shape, Kind):
        return _completer(shape.shape)
    if isinstance(shape, tuple):
        only = _completer(shape[0])
        return None if only is None else lambda value: None if value is None else only(value)
    if isinstance(shape, list):
        item = _completer(shape[0])
        return None if item is None else lambda value: [item(one) for one in value]
    if not isinstance(shape, dict):
        return None
    nested = [(name, inner) for name, one in shape.items() if (inner := _completer(one))]

    def complete(value: Any) -> Any:
        missing = shape.keys() - value.keys()
        whole = {**value, **dict.fromkeys(missing)}
        for name, one in nested:
            if name not in missing:
                whole[name] = one(whole[name])
        return whole

    return complete


_MAX_WHOLE = 2**63 - 1


def number(value: Any) -> bool:
    """Return whether a value is a 64-bit integer; true and false are not."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and -_MAX_WHOLE <= value <= _MAX_WHOLE


def count(value: Any) -> bool:
    """Return whether a value is such an integer and not negative."""
    return number(value) and value >= 0


def mapping(name: Shape, content: Shape) -> Callable[[Any], bool]:
    """Return the shape of an object with the given shapes of its names and values."""
    is_name, is_content = checker(name), checker(content)
    return lambda value: (
        isinstance(value, dict)
        and all(map(is_name, value))
        and all(map(is_content, value.values()))
    )


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict | list):
        return f"an {type(value).__name__} that is no such one"
    return text_rules.shown_line(repr(value[:60] if isinstance(value, str) else value), 60)
