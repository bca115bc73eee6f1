"""The folder of modules that carries ``execute`` into a user's image.

Written by ``stage_out``. It holds the few modules that ``execute`` imports as plain source, because
the image's Python may be another than ours, and what Python keeps of them compiled, for where it is
the same. A run waits for it, so it is written first of all and imports nothing slow.
"""

from __future__ import annotations

import os
import sys

MODULES = (
    "__init__.py",
    "_version.py",
    "contract.py",
    "nesting.py",
    "notebook_document.py",
    "notebook_upgrade.py",
    "sentences.py",
    "runner/__init__.py",
    "runner/limit_keeper.py",
    "runner/control.py",
    "runner/disk_use.py",
    "runner/early_kernel.py",
    "runner/elsewhere.py",
    "runner/home.py",
    "runner/background_writing.py",
    "runner/bounds.py",
    "runner/keeper_link.py",
    "runner/last_word.py",
    "runner/notebook_text.py",
    "runner/output_budget.py",
    "runner/output_widget.py",
    "runner/saving.py",
    "runner/slow_imports.py",
    "runner/stage_in_lock.py",
    "runner/stopping.py",
    "runner/streams.py",
    "runner/kernel_client.py",
    "runner/kernel_messages.py",
    "runner/launching.py",
    "runner/cells.py",
    "runner/execute.py",
    "runner/running.py",
)
PACKAGE = "jupyter_kueue"


def write(target: str) -> None:
    """Make ``target`` a folder to import ``execute`` from; it appears as a whole.

    Nothing is done where it is there already: a sidecar that was killed is started again.
    """
    if os.path.exists(target):  # noqa: PTH110 - pathlib is slow to import
        return
    package = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    new = f"{target}.{os.getpid()}"
    for module in MODULES:
        folder, name = os.path.split(module)
        source = os.path.join(package, folder)  # noqa: PTH118
        copy = os.path.join(new, PACKAGE, folder)  # noqa: PTH118
        _copy(os.path.join(source, name), os.path.join(copy, name))  # noqa: PTH118
        # PEP 3147's name, as importlib.util.cache_from_source has it, which is slow to import.
        compiled = os.path.join(  # noqa: PTH118
            "__pycache__", f"{name[:-3]}.{sys.implementation.cache_tag}.pyc"
        )
        if os.path.exists(os.path.join(source, compiled)):  # noqa: PTH110, PTH118
            _copy(os.path.join(source, compiled), os.path.join(copy, compiled))  # noqa: PTH118
    os.rename(new, target)  # noqa: PTH104


def _copy(source: str, target: str) -> None:
    """Copy a file with its time, by which Python knows what a compiled module was compiled from."""
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    with open(source, "rb") as original, open(target, "wb") as copy:  # noqa: PTH123
        copy.write(original.read())
        times = os.fstat(original.fileno())
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
