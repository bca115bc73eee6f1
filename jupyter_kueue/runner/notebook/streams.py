"""Joining consecutive pieces of a stream into one output, up to a length.

Without this, a cell that prints line by line would create one output per line.
"""

from __future__ import annotations

from typing import Any

# Longer outputs are not extended, because that copies them.
JOINED_CHARACTERS = 65_536


def is_joined(last: Any, name: str) -> bool:
    """Return whether a piece of the stream ``name`` continues ``last``, an output or nothing."""
    return (
        last.get("output_type") == "stream"
        and last.get("name") == name
        and len(last["text"]) < JOINED_CHARACTERS
    )
