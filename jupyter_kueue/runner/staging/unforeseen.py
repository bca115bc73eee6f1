"""A staging container's report of an unforeseen error: a sentence, not a traceback.

The traceback goes to the container's log; the termination message and the attempt's record get the
sentence.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence

MAX_ERROR_LENGTH = 300


def sentence(doing: Sentence, container: str, error: BaseException) -> Sentence:
    """Log the error's traceback and return a message for the user.

    Args:
        doing: what failed, as in "The inputs could not be fetched".
        container: whose log has the traceback.
        error: the error.
    """
    traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, ImportError):
        return say(
            "runner-image-lacks-module",
            "{doing}: the runner image lacks a module ({problem}). Ask an "
            "admin to set runner_image to an image that has jupyter-kueue and "
            "its dependencies.",
            doing=doing,
            problem=str(error),
        )
    if isinstance(error, MemoryError):
        return say(
            "container-out-of-memory",
            "{doing}: the container {container} ran out of memory. Ask an admin to raise "
            "staging_memory_limit.",
            doing=doing,
            container=container,
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fspath(error.filename)!r} " if error.filename is not None else ""
        return say(
            "failed-see-log",
            "{doing}: {problem}. See the log of the container {container}.",
            doing=doing,
            problem=f"{where}{error.strerror}",
            container=container,
        )
    message = getattr(error, "message", None)
    if isinstance(message, str):  # this package's own errors have a sentence already
        return say("failed-because", "{doing}: {problem}", doing=doing, problem=message)
    text = " ".join(str(error).split())[:MAX_ERROR_LENGTH]
    return say(
        "failed-unforeseen",
        "{doing}: unexpected error ({error}: {message}). Check that the notebook "
        "opens in JupyterLab and run it again; the log of the container "
        "{container} has the details for an admin.",
        doing=doing,
        error=type(error).__name__,
        message=text,
        container=container,
    )
