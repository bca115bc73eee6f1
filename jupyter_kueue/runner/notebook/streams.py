"""Pieces of one stream that follow each other are one output, up to a length.

A cell that prints line by line would else fill the notebook with one output a line.
"""

from __future__ import annotations

from typing import Any

# Longer outputs are not added to, because that copies them.
JOINED_CHARACTERS = 65_536


def is_joined(last: Any, name: str) -> bool:
    """Tell whether a piece of the stream ``name`` goes on in ``last``, an output or nothing."""
    return (
        last.get("output_type") == "stream"
        and last.get("name") == name
        and len(last["text"]) < JOINED_CHARACTERS
    )
