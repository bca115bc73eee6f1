"""Emits a Jupyter event whenever the state of a run changes.

Events are not replayed: use the feed of changes where none may be missed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_events import EventLogger

    from jupyter_kueue.domain.change import Published

Json = dict[str, Any]

SCHEMA_ID = "https://events.jupyter.org/jupyter_kueue/run_state/v1"
SCHEMA_PATH = Path(__file__).parent / "schemas" / "run_state" / "v1.yaml"

_FIELDS = ("run_id", "name", "state", "reason", "message", "local_queue")


class Feed(Protocol):
    """The source of changes: ``service.changes``."""

    def add_listener(self, listener: Callable[[Published], None]) -> None:
        """Call ``listener`` with each future change."""


def emit_changes(feed: Feed, event_logger: EventLogger) -> None:
    """Emit an event for each future change of state in ``feed``."""
    if SCHEMA_ID not in event_logger.schemas:
        event_logger.register_event_schema(SCHEMA_PATH)
    emitter = _Emitter(event_logger)
    feed.add_listener(emitter.on_change)


class _Emitter:
    def __init__(self, event_logger: EventLogger) -> None:
        self._event_logger = event_logger
        self._last: dict[str, tuple[str, str | None]] = {}

    def on_change(self, change: Published) -> None:
        """Emit an event if the run's state has changed."""
        if change["type"] == "run-deleted":
            run_id = change["run_id"]
            self._last.pop(run_id, None)
            self._emit({"run_id": run_id, "state": "deleted", "cursor": change["cursor"]})
        elif change["type"] == "run":
            run_id, run = change["run_id"], change["run"]
            state = (run["state"], run["reason"])
            if self._last.get(run_id) == state:
                return
            self._last[run_id] = state
            shown: Json = dict(run)
            self._emit({**{key: shown[key] for key in _FIELDS}, "cursor": change["cursor"]})

    def _emit(self, data: Json) -> None:
        self._event_logger.emit(schema_id=SCHEMA_ID, data=data)
