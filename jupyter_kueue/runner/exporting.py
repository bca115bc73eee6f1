"""Export the executed notebook to the formats the user asked for, each in a process of its own.

Called by ``outputs``. A format that fails, or takes too long, is left out and told; it never keeps
a run from being committed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The format that needs no export.
NOTEBOOK_FORMAT = "ipynb"
EXPORT_SECONDS = 120.0
EXPORT_MEMORY_BYTES = 2 * 2**30
EXPORTS_AT_ONCE = 2


@dataclass
class Exports:
    """What was made of a notebook.

    Attributes:
        files: path relative to the notebook's folder -> file.
        formats: the path of each format's document -> the format; pictures beside it have none.
        errors: format -> why it was not made.
    """

    files: dict[str, Path] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


async def export(notebook: Path, formats: list[str], folder: Path) -> Exports:
    """Export ``notebook`` into ``folder``, which is used for nothing else."""
    exports = Exports()
    slots = asyncio.Semaphore(EXPORTS_AT_ONCE)

    async def one(output_format: str) -> None:
        target = folder / output_format
        async with slots:
            problem = await _run(notebook, output_format, target)
        if problem is not None:
            exports.errors[output_format] = problem
            return

    wanted = [name for name in formats if name != NOTEBOOK_FORMAT]
    await asyncio.gather(*(one(name) for name in wanted))
    for output_format in wanted:
        _collect(exports, folder / output_format, output_format)
    return exports


def _collect(exports: Exports, made: Path, output_format: str) -> None:
    """Add the files of one format; a document whose name is taken gets the format into it."""
    for path in sorted(made.rglob("*")):
        if not path.is_file() or output_format in exports.errors:
            continue
        name = path.relative_to(made).as_posix()
        if path.parent == made:
            if name in exports.files:
                name = f"{path.stem}-{output_format}{path.suffix}"
            exports.formats[name] = output_format
        exports.files.setdefault(name, path)


async def _run(notebook: Path, output_format: str, target: Path) -> str | None:
    """Return why a format could not be made, None if it was."""
    os.makedirs(target)  # noqa: PTH103 - pathlib's is taken for slow here; this is a local folder
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jupyter_kueue.runner.export_notebook",
        str(notebook),
        output_format,
        str(target),
        str(EXPORT_MEMORY_BYTES),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), EXPORT_SECONDS)
    except TimeoutError:
        return f"The export to {output_format} took longer than {EXPORT_SECONDS:g} s."
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return None
    last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it was killed"]
    return f"The export to {output_format} failed: {last[0][:500]}"
