"""Every error this package raises on purpose.

    JupyterKueueError                 a sentence for the user: what is wrong, and what to do
    ├── InvalidRequestError           422  names each bad field
    ├── NotFoundError                 404
    ├── ConflictError                 409
    ├── ForbiddenError                403
    ├── TooLargeError                 413
    ├── RangeNotSatisfiableError      416
    ├── UnavailableError              503  another system does not answer; try again
    │   ├── ClusterUnavailableError
    │   └── BucketUnavailableError
    ├── NotConfiguredError            503  something must be set up first
    ├── UnreadableError               500  an object in the bucket is foreign or damaged
    └── ExpiredError                  410  a cursor or resource version is too old: start again

Errors of other libraries are translated once, where they enter this package, with the cause
chained. Only ``server`` turns them into HTTP, and only ``runner`` and ``cli`` into exit codes.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import text_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_kueue.contract.sentences import Sentence

# Errors quote what was sent, stored or answered, which may be anything of any length.
MAX_MESSAGE_LENGTH = 4000
MAX_FIELDS = 50
_MAX_FIELD_NAME_LENGTH = 200
_MAX_FIELD_LENGTH = 1000


class JupyterKueueError(Exception):
    """Base of all errors.

    ``message`` may be shown to users: it never holds a credential, has at most MAX_MESSAGE_LENGTH
    characters, and none that an encoding or a terminal cannot handle. It keeps its code and values.
    """

    status = 500
    reason = "internal"

    def __init__(self, message: Sentence) -> None:
        self.message = text_rules.said(foreign(message), MAX_MESSAGE_LENGTH)
        super().__init__(self.message)


class InvalidRequestError(JupyterKueueError):
    """The request is invalid.

    ``fields`` maps each bad field to its problem; of many, it keeps the first MAX_FIELDS.
    """

    status = 422
    reason = "invalid"

    def __init__(self, fields: Mapping[str, Sentence]) -> None:
        self.fields = {
            text_rules.said(field, _MAX_FIELD_NAME_LENGTH): text_rules.said(
                foreign(text), _MAX_FIELD_LENGTH
            )
            for field, text in itertools.islice(fields.items(), MAX_FIELDS)
        }
        named = "; ".join(f"{field}: {text}" for field, text in self.fields.items())
        super().__init__(foreign(named))


class NotFoundError(JupyterKueueError):
    """The named object does not exist (any more)."""

    status = 404
    reason = "not-found"


class ConflictError(JupyterKueueError):
    """The object already exists, or changed in the meantime."""

    status = 409
    reason = "conflict"


class ForbiddenError(JupyterKueueError):
    """The cluster or the bucket refuses these credentials."""

    status = 403
    reason = "forbidden"


class TooLargeError(JupyterKueueError):
    """Over a limit that the message names. ``fields`` is as in InvalidRequestError, or empty."""

    status = 413
    reason = "too-large"

    def __init__(self, message: Sentence, *, field: str | None = None) -> None:
        super().__init__(foreign(f"{field}: {message}") if field else message)
        self.fields = {field: text_rules.said(foreign(message), _MAX_FIELD_LENGTH)} if field else {}


class RangeNotSatisfiableError(JupyterKueueError):
    """A byte range is outside the file."""

    status = 416
    reason = "range-not-satisfiable"


class UnavailableError(JupyterKueueError):
    """Another system does not answer; the same call may succeed later."""

    status = 503
    reason = "unavailable"


class ClusterUnavailableError(UnavailableError):
    """The Kubernetes API server does not answer, or answers with a server error."""

    reason = "cluster-unavailable"


class BucketUnavailableError(UnavailableError):
    """The bucket does not answer, is full, or answers with a server error."""

    reason = "bucket-unavailable"


class NotConfiguredError(JupyterKueueError):
    """A setting or a component is missing; the message says which and how to get it."""

    status = 503
    reason = "not-configured"


class UnreadableError(JupyterKueueError):
    """An object in the bucket is not what this package wrote; a retry gives the same.

    The message names the object and the first difference.
    """

    reason = "unreadable"


class ExpiredError(JupyterKueueError):
    """A cursor or a resource version is too old: list again."""

    status = 410
    reason = "expired"
