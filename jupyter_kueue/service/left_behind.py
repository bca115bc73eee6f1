"""What users are told of the hidden files that did not go along with a run or a schedule.

``storage.staging`` finds them, the record keeps them; ``job_view`` and ``schedule_view`` show them.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def shown(left_behind: Json | None) -> Json | None:
    """Return what hidden files stayed behind, with a sentence about it; None where none did."""
    if left_behind is None:
        return None
    paths = left_behind["paths"]
    more = left_behind["count"] - len(paths)
    named = ", ".join([*paths, *([f"and {more} more"] if more > 0 else [])])
    return {
        **left_behind,
        "message": (
            f"Hidden files stayed behind: {named}. To take one along, put the line "
            f"!{paths[0] if paths else '.env'} into a file .jupyterkueueignore beside the notebook."
        ),
    }
