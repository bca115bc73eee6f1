"""What a staging container says of an error that nobody foresaw: a sentence, not a traceback.

Used at the outermost edge of ``stage_in`` and ``stage_out``. The traceback goes to the container's
log; termination message and attempt's record get the sentence.
"""

from __future__ import annotations

import os
import sys
import traceback

MAX_ERROR_LENGTH = 300


def sentence(doing: str, container: str, error: BaseException) -> str:
    """Log the error's traceback and return what to tell the user.

    Args:
        doing: what failed, as in "The inputs could not be fetched".
        container: whose log has the traceback.
        error: what was raised.
    """
    traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, ImportError):
        return (
            f"{doing}: the runner image lacks a module ({error}). Ask an admin to set "
            "runner_image to an image with jupyter-kueue and all that it needs."
        )
    if isinstance(error, MemoryError):
        return (
            f"{doing}: the container {container} ran out of memory. Ask an admin to raise "
            "staging_memory_limit."
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fspath(error.filename)!r} " if error.filename is not None else ""
        return f"{doing}: {where}{error.strerror}. The log of the container {container} says more."
    message = getattr(error, "message", None)
    if isinstance(message, str):  # of this package's own errors: a sentence already
        return f"{doing}: {message}"
    text = " ".join(str(error).split())[:MAX_ERROR_LENGTH]
    return (
        f"{doing}, for a reason that was not foreseen ({type(error).__name__}: {text}). Check that "
        f"the notebook opens in JupyterLab and run it again; the log of the container {container} "
        "has the details for an admin."
    )
