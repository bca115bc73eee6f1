"""The folder of modules that carries ``execute`` into a user's image.

It contains the source of everything that ``execute`` imports, because the image may have another
version of Python, and compiled files for the case that it has the same. A run waits for it, so it
is written first, without slow imports.
"""

from __future__ import annotations

import os
import sys

# Besides these files, every module in these folders is copied.
_PACKAGE_FILES = ("__init__.py", "_version.py", "runner/__init__.py")
FOLDERS = ("contract", "runner/shared", "runner/notebook")
PACKAGE = "jupyter_kueue"


def modules() -> list[str]:
    """Return the modules to copy, as paths below this package's folder."""
    package = _package_folder()
    return [
        *_PACKAGE_FILES,
        *(
            f"{folder}/{name}"
            for folder in FOLDERS
            for name in sorted(os.listdir(os.path.join(package, folder)))  # noqa: PTH118, PTH208
            if name.endswith(".py")
        ),
    ]


def _package_folder() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120


def write(target: str) -> None:
    """Create the folder ``target``, from which ``execute`` can be imported, atomically.

    Does nothing if it exists: a killed sidecar is restarted.
    """
    if os.path.exists(target):  # noqa: PTH110 - pathlib is slow to import
        return
    package = _package_folder()
    new = f"{target}.{os.getpid()}"
    for module in modules():
        folder, name = os.path.split(module)
        source = os.path.join(package, folder)  # noqa: PTH118
        copy = os.path.join(new, PACKAGE, folder)  # noqa: PTH118
        _copy(os.path.join(source, name), os.path.join(copy, name))  # noqa: PTH118
        # PEP 3147's name, as in importlib.util.cache_from_source, which is slow to import.
        compiled = os.path.join(  # noqa: PTH118
            "__pycache__", f"{name[:-3]}.{sys.implementation.cache_tag}.pyc"
        )
        if os.path.exists(os.path.join(source, compiled)):  # noqa: PTH110, PTH118
            _copy(os.path.join(source, compiled), os.path.join(copy, compiled))  # noqa: PTH118
    os.rename(new, target)  # noqa: PTH104


def _copy(source: str, target: str) -> None:
    """Copy a file with its modification time, by which Python validates a compiled module."""
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    with open(source, "rb") as original, open(target, "wb") as copy:  # noqa: PTH123
        copy.write(original.read())
        times = os.fstat(original.fileno())
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
