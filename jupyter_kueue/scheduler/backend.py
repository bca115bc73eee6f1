"""The entry point through which jupyter-scheduler 3 will find this backend.

2.x does not use it. 3.0 is not released: the attributes are those of its ``BaseBackend`` as
published so far. This class does not exist in 2.x, so it cannot be a base class here.
"""

from __future__ import annotations

from typing import Any, ClassVar

from jupyter_kueue.scheduler import output_formats

_PACKAGE = "jupyter_kueue.scheduler"


class KueueBackend:
    """Notebook runs in Kueue's queues."""

    id: ClassVar[str] = "kueue"
    name: ClassVar[str] = "Kueue"
    description: ClassVar[str] = "Queue notebook runs on the cluster"
    scheduler_class: ClassVar[str] = f"{_PACKAGE}.KueueScheduler"
    execution_manager_class: ClassVar[str] = f"{_PACKAGE}.KueueExecutionManager"
    database_manager_class: ClassVar[str | None] = None
    file_extensions: ClassVar[list[str]] = ["ipynb"]
    output_formats: ClassVar[list[dict[str, str]]] = [
        {"id": name, "label": output_formats.labels()[name]} for name in output_formats.offered()
    ]

    @classmethod
    def to_dict(cls) -> dict[str, Any]:
        """Return the attributes by name."""
        return {
            "id": cls.id,
            "name": cls.name,
            "description": cls.description,
            "scheduler_class": cls.scheduler_class,
            "execution_manager_class": cls.execution_manager_class,
            "database_manager_class": cls.database_manager_class,
            "file_extensions": list(cls.file_extensions),
            "output_formats": list(cls.output_formats),
        }
