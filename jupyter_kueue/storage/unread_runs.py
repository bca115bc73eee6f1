"""Listed objects that could not be read yet: why, and since when.

If the bucket is unavailable, every read fails, and callers wait for it. One object that fails alone
must not hide everything else forever: after a while callers continue without it, and report that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jupyter_kueue import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_kueue.domain import errors


class Unread:
    """Errors by the keys or ids that could not be read."""

    def __init__(self) -> None:
        self._errors: dict[str, errors.JupyterKueueError] = {}
        self._since: dict[str, float] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._errors)

    def __len__(self) -> int:
        return len(self._errors)

    def note(self, name: str, error: errors.JupyterKueueError | None) -> None:
        """Note that reading failed, or with None that it succeeded."""
        if error is None:
            self._errors.pop(name, None)
            self._since.pop(name, None)
        else:
            self._errors[name] = error
            self._since.setdefault(name, time.monotonic())

    def find(self, name: str) -> errors.JupyterKueueError | None:
        """Return why it could not be read; None if it could, or was never tried."""
        return self._errors.get(name)

    def is_given_up(self, name: str) -> bool:
        """Return whether it has failed for so long that callers should not wait for it."""
        since = self._since.get(name)
        return since is not None and time.monotonic() - since >= patience.UNREAD_OBJECT_SECONDS
