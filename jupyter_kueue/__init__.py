"""Queue notebook runs on a shared Kubernetes cluster with Kueue.

The package imports nothing else here, because Jupyter's start, the command line and pods all import
it.
"""

from __future__ import annotations

from jupyter_kueue._version import __version__

# typing itself is slow to import, and a run's first cell waits for this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_kueue.extension import KueueExtension  # noqa: PLC0415 - only Jupyter needs it

    return [{"module": "jupyter_kueue", "app": KueueExtension}]
