"""What users are told of the files that did not go along with a run or a schedule.

The record keeps them; rows of runs and schedules show them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import both, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_kueue.contract.sentences import Value
    from jupyter_kueue.domain.run_record import LeftBehind
    from jupyter_kueue.domain.run_row import ShownLeftBehind


def shown(left_behind: LeftBehind | None) -> ShownLeftBehind | None:
    """Return what stayed behind, with a sentence about it; None where nothing did.

    ``count`` and ``paths`` are of hidden files, ``ignored_count`` and ``ignored_paths`` of what an
    ignore file names.
    """
    if left_behind is None:
        return None
    said = []
    if left_behind["count"]:
        # The example is never a path of the user: that file may contain secrets.
        hidden = say(
            "hidden-files-stayed",
            "Hidden files were not uploaded: {paths}. To include one, add a "
            "line with ! and its name, such as !.flake8, to a file named "
            ".jupyterkueueignore next to the notebook.",
            paths=_named(left_behind["paths"], left_behind["count"]),
        )
        said.append(hidden)
    if left_behind["ignored_count"]:
        ignored = say(
            "ignored-files-stayed",
            "Excluded by .jupyterkueueignore: {paths}.",
            paths=_named(left_behind["ignored_paths"], left_behind["ignored_count"]),
        )
        said.append(ignored)
    message = functools.reduce(both, said) if said else ""
    return {**left_behind, "message": message, "sentence": sentences.as_json(message)}


def _named(paths: Sequence[str], count: int) -> Value:
    more = count - len(paths)
    return [*paths, *([say("and-more", "and {count} more", count=more)] if more > 0 else [])]
