"""Queue notebook runs on a shared Kubernetes cluster with Kueue.

Importing the package imports nothing else, because the same package is imported by Jupyter's
start, by the command line and inside pods.
"""

from __future__ import annotations

from jupyter_kueue._version import __version__

# typing itself is slow to import, and this file is imported on the way to a run's first cell.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_kueue.extension import KueueExtension  # noqa: PLC0415 - only Jupyter needs it

    return [{"module": "jupyter_kueue", "app": KueueExtension}]
