"""Imports nbformat and nbconvert without jsonschema's optional format checkers."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# nbformat imports jsonschema, which imports these if they are installed, as they are next to
# Jupyter Server (``jsonschema[format-nongpl]``). They check IRIs, durations and URIs, formats that
# no notebook schema uses; jsonschema works without them. Without them, the imports of ``execute``
# take 0.30 s of processor time instead of 2.05 s (a median of ten starts): rfc3987_syntax, which
# compiles a grammar, takes 1.67 s of that, the other two 0.08 s.
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
