"""The output formats that nbconvert can produce in the runner image.

The runner image has the same version of this package, so that nbconvert behaves the same there.
Some exporters need other programs; their formats are offered if these programs exist here.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTEBOOK = "ipynb"

_LABELS = {
    "ipynb": "Notebook",
    "html": "HTML",
    "pdf": "PDF (LaTeX)",
    "webpdf": "PDF (browser)",
    "qtpdf": "PDF (Qt)",
    "qtpng": "PNG (Qt)",
    "slides": "Slides",
    "markdown": "Markdown",
    "latex": "LaTeX",
    "rst": "reStructuredText",
    "asciidoc": "AsciiDoc",
    "python": "Python",
    "script": "Script",
}
# Exporters that produce nothing alone, and other names of listed formats.
_LEFT_OUT = frozenset({"custom", "notebook"})


@functools.cache
def labels() -> Mapping[str, str]:
    """Return every known format and its display name, the usual ones first."""
    known = _exporters()
    usual = {name: label for name, label in _LABELS.items() if name == NOTEBOOK or name in known}
    return usual | {name: name for name in sorted(known) if name not in usual}


@functools.cache
def offered() -> tuple[str, ...]:
    """Return the formats that can be produced, the usual ones first."""
    return tuple(name for name in labels() if name not in _LEFT_OUT and _works(name))


@functools.cache
def _exporters() -> frozenset[str]:
    return frozenset(
        entry.name for entry in importlib.metadata.entry_points(group="nbconvert.exporters")
    )


def _works(name: str) -> bool:
    match name:
        case "pdf":
            return shutil.which("xelatex") is not None and shutil.which("pandoc") is not None
        case "latex" | "rst" | "asciidoc":
            return shutil.which("pandoc") is not None
        case "webpdf":
            return _has_browser()
        case "qtpdf" | "qtpng":
            return importlib.util.find_spec("PyQt5") is not None
        case _:
            return True


def _has_browser() -> bool:
    """Return whether Playwright has its own Chromium: nbconvert uses no other."""
    if importlib.util.find_spec("playwright") is None:
        return False
    caches = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or caches / "ms-playwright")
    return any(folder.glob("chromium*"))
