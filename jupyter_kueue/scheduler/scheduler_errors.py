"""Translation of errors into SchedulerErrors, whose text jupyter-scheduler shows to users.

Its handlers answer every error except a used token with 500 and the text. Any other exception
becomes "Unexpected error occurred", which helps nobody.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from jupyter_scheduler.exceptions import IdempotencyTokenError, SchedulerError
from jupyter_scheduler.extension import SchedulerApp

from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

# This package's fields by the names that users of jupyter-scheduler know.
_UPSTREAM_NAMES = {
    "input_path": "input_uri",
    "include_folder": "package_input_folder",
    "environment": "runtime_environment_name",
    "profile": "compute_type",
    "idempotency_key": "idempotency_token",
    "local_queue": "queue",
    "priority_class": "priority",
    "timeout_seconds": "timeout",
    "kernel_name": "kernel",
    "resources.cpu": "cpu",
    "resources.memory": "memory",
    "resources.gpus": "gpus",
}


class TokenUsedError(IdempotencyTokenError):
    """409: the token belongs to an existing or former run; the message says so."""

    def __init__(self, message: str) -> None:
        super().__init__("")
        self.message = message

    def __str__(self) -> str:
        return self.message


class ToldError(SchedulerError):
    """What this package raises: its text says all, and no traceback says more."""


class _WithoutTraceback(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (ToldError, TokenUsedError)):
            record.exc_info = None
        return True


_FILTER = _WithoutTraceback()


def log_in_one_line() -> None:
    """Have jupyter-scheduler's handlers log refusals and outages in one line, without a traceback.

    They log each error as they answer it; a notebook that is refused is not a fault of the server.
    """
    logging.getLogger(SchedulerApp.__name__).addFilter(_FILTER)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn this package's errors into SchedulerErrors with the same text, cause chained."""
    try:
        yield
    except (errors.InvalidRequestError, errors.TooLargeError) as error:
        if not error.fields:
            raise ToldError(error.message) from error
        raise ToldError(
            "; ".join(
                f"{_UPSTREAM_NAMES.get(field, field)}: {text}"
                for field, text in error.fields.items()
            )
        ) from error
    except errors.JupyterKueueError as error:
        raise ToldError(error.message) from error
