"""Import nbformat without what only slows it down.

Used by each program of the runner before it imports nbformat, papermill or nbconvert. It changes
what those do in nothing that concerns notebooks.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# jsonschema imports these, where installed, to check formats (IRIs, durations) that no notebook
# schema uses, and does without where they are missing. The first builds a grammar for two seconds.
SLOW_AND_UNUSED = ("rfc3987_syntax", "isoduration")


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
