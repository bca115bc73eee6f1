"""Export one notebook to one format with nbconvert: a program of its own, ended with its memory.

Started by ``exporting`` as ``python -m jupyter_kueue.runner.export_notebook NOTEBOOK FORMAT FOLDER
BYTES``. It writes the files below FOLDER and says on its error output why it could not.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

from jupyter_kueue.runner import slow_imports


def main(notebook: str, output_format: str, folder: str, memory_bytes: int) -> None:
    """Export ``notebook`` with at most ``memory_bytes`` of address space."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with slow_imports.left_out():
        from nbconvert.exporters import ExporterNameError, get_exporter  # noqa: PLC0415 - limit first
    path, target = Path(notebook), Path(folder)
    try:
        exporter: Any = get_exporter(output_format)()
        resources: dict[str, Any] = {
            "metadata": {"name": path.stem, "path": str(path.parent)},
            "output_files_dir": f"{path.stem}_files",
        }
        body, resources = exporter.from_filename(str(path), resources=resources)
    except ExporterNameError:
        sys.exit(f"nbconvert has no format {output_format!r}.")
    except MemoryError:
        sys.exit(f"it needs more than {memory_bytes // 2**20} MiB of memory.")
    except Exception as error:  # noqa: BLE001 - exporters raise anything; the user is told
        sys.exit(f"{type(error).__name__}: {error}")
    files: dict[str, bytes] = dict(resources.get("outputs") or {})
    extension = resources.get("output_extension") or exporter.file_extension or ""
    files[f"{path.stem}{extension}"] = body.encode() if isinstance(body, str) else body
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
