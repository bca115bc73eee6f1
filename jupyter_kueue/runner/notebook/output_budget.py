"""The size of a notebook's outputs, limited so that they fill neither memory nor an unusable file.

Outputs that are cleared or replaced no longer count, so a loop that redraws its own output may run
forever.
"""

from __future__ import annotations

from typing import Any

# What an output needs besides its texts: its keys, and Python's overhead.
OUTPUT_BYTES = 200
VALUE_BYTES = 20


class OutputBudget:
    """The bytes of all outputs together, by their owner: a cell's index, or a widget's id."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._held: dict[object, int] = {}
        self._total = 0

    def take(self, owner: object, size: int) -> bool:
        """Count ``size`` more bytes (fewer if negative) and return True, if they fit."""
        if not self.fits(size):
            return False
        self._held[owner] = self._held.get(owner, 0) + size
        self._total += size
        return True

    def take_text(self, owner: object, size: int, text: str) -> str:
        """Count a text and ``size`` more bytes; return as much of the text's beginning as fits.

        The result is empty if ``size`` alone does not fit.
        """
        if self.take(owner, size + size_of_text(text)):
            return text
        room = self.limit_bytes - self._total - size
        if room <= 0:
            return ""
        kept = text[:room].encode("utf-8", "backslashreplace")[:room].decode("utf-8", "ignore")
        self.take(owner, size + room)
        return kept

    def fits(self, size: int) -> bool:
        """Return whether ``size`` more bytes fit."""
        return size <= 0 or self._total + size <= self.limit_bytes

    def clear(self, owner: object) -> None:
        """Stop counting this owner's outputs."""
        self._total -= self._held.pop(owner, 0)


def size_of(value: Any) -> int:
    """Return the approximate size of a JSON value in a file, in bytes."""
    total = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            total += size_of_text(part)
        elif isinstance(part, dict):
            total += sum(len(key) for key in part)
            waiting.extend(part.values())
        elif isinstance(part, (list, tuple)):
            waiting.extend(part)
        elif isinstance(part, (bytes, memoryview)):
            total += len(part)
        total += VALUE_BYTES
    return total


def size_of_text(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "backslashreplace"))
