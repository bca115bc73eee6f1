"""The feed of state changes that the panel, the command line and integrators listen to.

The last changes are kept, so that a listener who was away for a moment misses nothing, and one who
was away for longer learns that it did.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from jupyter_kueue.condition_variable import ConditionVariable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from jupyter_kueue.domain.change import ChangesMissed, Heartbeat, Published
    from jupyter_kueue.domain.run_row import RunRow
    from jupyter_kueue.domain.schedule_row import ScheduleRow

KEPT = 2000
HEARTBEAT_SECONDS = 15.0
GATHER_SECONDS = 0.2

log = logging.getLogger(__name__)


class Changes:
    """Numbered changes; a cursor is ``<epoch>-<number>``, its epoch new with each server."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._last = 0
        self._kept: deque[tuple[int, Published]] = deque(maxlen=KEPT)
        self._news = ConditionVariable()
        self._listeners: list[Callable[[Published], None]] = []
        self._are_queues_pending = False
        self._is_closed = False

    @property
    def cursor(self) -> str:
        """The cursor of the newest change: listening from here misses nothing later."""
        return f"{self._epoch}-{self._last}"

    def add_listener(self, listener: Callable[[Published], None]) -> None:
        """Call ``listener`` with each change from now on."""
        self._listeners.append(listener)

    def run_changed(self, row: RunRow) -> None:
        """Publish a run that is new or has changed."""
        run_id = row["run_id"]
        self._publish(
            lambda cursor: {"type": "run", "cursor": cursor, "run_id": run_id, "run": row}
        )

    def run_deleted(self, run_id: str) -> None:
        """Publish that a run is gone."""
        self._publish(
            lambda cursor: {
                "type": "run-deleted",
                "cursor": cursor,
                "run_id": run_id,
                "run": None,
            }
        )

    def schedule_changed(self, row: ScheduleRow) -> None:
        """Publish a schedule that is new or has changed."""
        schedule_id = row["schedule_id"]
        self._publish(
            lambda cursor: {
                "type": "schedule",
                "cursor": cursor,
                "run_id": None,
                "run": None,
                "schedule_id": schedule_id,
                "schedule": row,
            }
        )

    def schedule_deleted(self, schedule_id: str) -> None:
        """Publish that a schedule is gone."""
        self._publish(
            lambda cursor: {
                "type": "schedule-deleted",
                "cursor": cursor,
                "run_id": None,
                "run": None,
                "schedule_id": schedule_id,
                "schedule": None,
            }
        )

    def queues_changed(self) -> None:
        """Publish shortly that the queues changed, once for all changes until then.

        They change in bursts, and whoever shows them fetches them again.
        """
        if not self._are_queues_pending:
            self._are_queues_pending = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._publish_queues)

    def _publish_queues(self) -> None:
        self._are_queues_pending = False
        self._publish(
            lambda cursor: {
                "type": "local-queues",
                "cursor": cursor,
                "run_id": None,
                "run": None,
            }
        )

    def _publish(self, change_at: Callable[[str], Published]) -> None:
        """Give a change its cursor and hand it to everybody who listens."""
        self._last += 1
        change = change_at(self.cursor)
        self._kept.append((self._last, change))
        self._news.notify_all()
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:
                # Somebody else's handler of a Jupyter event, perhaps: the others listen, too.
                log.exception("a listener failed on a change of run_id=%s", change["run_id"])

    def close(self) -> None:
        """End every subscription, now and later."""
        self._is_closed = True
        self._news.notify_all()

    async def subscribe(
        self, since: str | None = None
    ) -> AsyncIterator[Published | ChangesMissed | Heartbeat]:
        """Yield the changes after ``since`` (None: from now), for ever.

        Yields ``{"type": "gap", "cursor"}`` first where changes after ``since`` are lost: fetch
        what you show anew. Yields ``{"type": "heartbeat", "cursor"}`` while nothing happens.
        """
        at = self._last
        if since is not None:
            asked = self._number(since)
            oldest = self._kept[0][0] if self._kept else self._last + 1
            if asked is not None and oldest - 1 <= asked <= self._last:
                at = asked
            else:
                yield {"type": "gap", "cursor": self.cursor}
        while not self._is_closed:
            if self._kept and self._kept[0][0] > at + 1:
                # Before the yield: what is published while it is being sent comes after the gap.
                at = self._last
                yield {"type": "gap", "cursor": self.cursor}
            for position, change in list(self._kept):
                if position > at:
                    at = position
                    yield change
            if not await self._news.wait_for(partial(self._has_news, at), HEARTBEAT_SECONDS):
                yield {"type": "heartbeat", "cursor": self.cursor}

    def _has_news(self, shown: int) -> bool:
        return shown < self._last or self._is_closed

    def _number(self, cursor: str) -> int | None:
        """Return the number of one of our cursors, None for any other text."""
        epoch, _, number = cursor.partition("-")
        is_number = number.isascii() and number.isdigit() and len(number) < 20  # noqa: PLR2004 - 64 bits
        return int(number) if epoch == self._epoch and is_number else None
