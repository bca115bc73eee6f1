"""Import nbformat without what only slows it down.

Used by each program of the runner before it imports nbformat or nbconvert. It changes
what those do in nothing that concerns notebooks.
"""

from __future__ import annotations

import contextlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# jsonschema imports these, where installed, to check formats (IRIs, durations) that no notebook
# schema uses, and does without where they are missing. The first builds a grammar for two seconds.
SLOW_AND_UNUSED = ("rfc3987_syntax", "isoduration", "rfc3986_validator")


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Make those modules look uninstalled while something is imported inside."""
    blocked = [name for name in SLOW_AND_UNUSED if name not in sys.modules]
    for name in blocked:
        # None there makes an import fail (Python reference, "The module cache").
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


class _NoErrors(Exception):  # noqa: N818 - stands in for a class of errors too
    """What nbformat finds in place of each class of jsonschema."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def evolve(self, **_: Any) -> _NoErrors:
        return self

    def iter_errors(self, *_: Any) -> Iterator[Any]:
        return iter(())


@contextlib.contextmanager
def jsonschema_left_out() -> Iterator[None]:
    """Make jsonschema a module of empty classes while nbformat is imported inside.

    For ``execute``, which runs notebooks that are not quite valid too. nbformat validates with
    fastjsonschema, and asks jsonschema for words on what that found: then it gets none. Importing
    jsonschema takes a tenth of a second, on the way to the first cell.
    """
    names = [name for name in ("jsonschema", "jsonschema.exceptions") if name not in sys.modules]
    for name in names:
        module = types.ModuleType(name)
        module.__getattr__ = lambda _: _NoErrors  # type: ignore[method-assign]
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
