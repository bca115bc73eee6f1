"""What users are told of the files that did not go along with a run or a schedule.

``storage.staging`` finds them, the record keeps them; ``job_view`` and ``schedule_view`` show them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]


def shown(left_behind: Json | None) -> Json | None:
    """Return what stayed behind, with a sentence about it; None where nothing did.

    ``count`` and ``paths`` are of hidden files, ``ignored_count`` and ``ignored_paths`` of what an
    ignore file names.
    """
    if left_behind is None:
        return None
    found = {
        **left_behind,
        "ignored_count": left_behind.get("ignored_count") or 0,
        "ignored_paths": left_behind.get("ignored_paths") or [],
    }
    sentences = []
    if found["count"]:
        first = found["paths"][0] if found["paths"] else ".env"
        sentences.append(
            f"Hidden files stayed behind: {_named(found['paths'], found['count'])}. To take one "
            f"along, put the line !{first} into a file .jupyterkueueignore beside the notebook."
        )
    if found["ignored_count"]:
        named = _named(found["ignored_paths"], found["ignored_count"])
        sentences.append(f"Stayed behind, as .jupyterkueueignore says: {named}.")
    return {**found, "message": " ".join(sentences)}


def _named(paths: Sequence[str], count: int) -> str:
    more = count - len(paths)
    return ", ".join([*paths, *([f"and {more} more"] if more > 0 else [])])
