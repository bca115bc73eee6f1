"""Export one notebook to one format with nbconvert, as a program with resource limits.

``python -I -m jupyter_kueue.runner.export.export_notebook NOTEBOOK FORMAT FOLDER BYTES SECONDS``
writes files below FOLDER, or the reason for its failure to standard error.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_kueue.runner.shared import slow_imports

MAX_FILE_BYTES = 512 * 2**20
MAX_FILES = 1_000


def main(notebook: str, output_format: str, folder: str, memory_bytes: int, seconds: int) -> None:
    """Export ``notebook`` with limited address space and processor time."""
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(limit)
        allowed = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (allowed, allowed))
    try:
        files = _export(Path(notebook), output_format)
        for name, data in files.items():
            _write(Path(folder), name, data)
    except MemoryError:
        sys.exit(f"it needs more than {memory_bytes // 2**20} MiB of memory.")
    except Exception as error:  # noqa: BLE001 - exporters raise anything; the user is told
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))


def _export(path: Path, output_format: str) -> dict[str, bytes]:
    """Return the content of each file by its name, which the notebook's author may have chosen."""
    with slow_imports.left_out():
        from nbconvert.exporters import ExporterNameError, get_exporter  # noqa: PLC0415 - limits first
    try:
        exporter: Any = get_exporter(output_format)()
    except ExporterNameError:
        sys.exit(f"nbconvert has no format {output_format!r}.")
    resources: dict[str, Any] = {
        "metadata": {"name": path.stem, "path": str(path.parent)},
        "output_files_dir": f"{path.stem}_files",
    }
    body, resources = exporter.from_filename(str(path), resources=resources)
    files: dict[str, bytes] = dict(resources.get("outputs") or {})
    extension = resources.get("output_extension") or exporter.file_extension or ""
    files[f"{path.stem}{extension}"] = (
        body.encode("utf-8", "backslashreplace") if isinstance(body, str) else body
    )
    if len(files) > MAX_FILES:
        sys.exit(f"it makes more than {MAX_FILES} files.")
    return files


def _write(folder: Path, name: str, data: bytes) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        sys.exit(f"it would write to {name[:100]!r}, which is outside its folder.")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        file.write(data)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:6]))  # type: ignore[arg-type]
