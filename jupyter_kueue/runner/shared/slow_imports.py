"""Imports of nbformat and nbconvert without slow dependencies that notebooks do not need."""

from __future__ import annotations

import contextlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# If these are installed, jsonschema imports them to check formats (IRIs, durations) that no
# notebook schema uses; it works without them. The first takes two seconds to build a grammar.
SLOW_AND_UNUSED = ("rfc3987_syntax", "isoduration", "rfc3986_validator")


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Make these modules appear uninstalled inside the context."""
    blocked = [name for name in SLOW_AND_UNUSED if name not in sys.modules]
    for name in blocked:
        # None makes an import fail (Python reference, "The module cache").
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


class _NoErrors(Exception):  # noqa: N818 - stands in for a class of errors too
    """Replaces each class of jsonschema for nbformat."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def evolve(self, **_: Any) -> _NoErrors:
        return self

    def iter_errors(self, *_: Any) -> Iterator[Any]:
        return iter(())


@contextlib.contextmanager
def jsonschema_left_out() -> Iterator[None]:
    """Replace jsonschema by a module of empty classes inside the context, to import nbformat.

    ``execute`` also runs notebooks that are not quite valid. nbformat validates with
    fastjsonschema, and uses jsonschema only to describe errors; it then gets no description.
    Importing jsonschema would delay the first cell by a tenth of a second.
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
