"""The nesting depth of a document, measured without recursion, because Python limits its depth."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is slow to import, and a run's first cell waits for this
if TYPE_CHECKING:
    from typing import Any


def is_deeper_than(value: Any, most: int) -> bool:
    """Return whether lists and objects nest more than ``most`` levels deep, ``value`` included."""
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
