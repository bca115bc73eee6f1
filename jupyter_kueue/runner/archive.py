"""The zip file that carries ``execute`` into a user's image.

Written by ``stage_in``. It holds the few modules that ``execute`` imports, as plain source, because
the image's Python may be another than ours.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import jupyter_kueue

MODULES = (
    "__init__.py",
    "_version.py",
    "contract.py",
    "runner/__init__.py",
    "runner/control.py",
    "runner/saving.py",
    "runner/slow_imports.py",
    "runner/stopping.py",
    "runner/kernel_client.py",
    "runner/launching.py",
    "runner/cells.py",
    "runner/execute.py",
)
MAIN = "from jupyter_kueue.runner.execute import main\n\nmain()\n"


def build() -> bytes:
    """Return the zip file's bytes; ``python FILE`` runs ``execute``."""
    package = Path(jupyter_kueue.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", MAIN)
        for module in MODULES:
            archive.writestr(f"jupyter_kueue/{module}", (package / module).read_bytes())
    return buffer.getvalue()
