"""Builds a wheel of this repository, for tests of what is in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import BytesParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path


def build_wheel(project: Path, folder: Path) -> zipfile.ZipFile:
    """Build the distribution whose pyproject.toml is in ``project``."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def sources_of(package: Path) -> set[str]:
    """Return the files of a package that its wheel has to carry, relative to its parent."""
    return {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and not {"__pycache__", "labextension"} & {*path.parts}
    }


def metadata_of(wheel: zipfile.ZipFile) -> Message:
    """Return what the wheel says of itself: version, requirements and so on."""
    return BytesParser().parsebytes(wheel.read(file_of(wheel, ".dist-info/METADATA")))


def entry_points_of(wheel: zipfile.ZipFile) -> str:
    """Return the text that declares the wheel's commands and plugins."""
    return wheel.read(file_of(wheel, ".dist-info/entry_points.txt")).decode()


def file_of(wheel: zipfile.ZipFile, end: str) -> str:
    """Return the name of the file in the wheel whose path ends so."""
    return next(name for name in wheel.namelist() if name.endswith(end))
