"""How deeply a document is nested, found without recursion: Python limits its depth."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is slow to import, on the way to a run's first cell
if TYPE_CHECKING:
    from typing import Any


def is_deeper_than(value: Any, most: int) -> bool:
    """Tell whether lists and objects in ``value``, itself included, have more levels than that."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(most):
        if not level:
            return False
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, (dict, list))
        ]
    return bool(level)
