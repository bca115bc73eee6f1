"""What never changes about open runs, many per object, so that a start need not read each run.

It is a cache: a run that is missing here is read from its own records. ``service.runs.reconciler``
also reads the records of the others, after their rows are shown.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, run_documents
from jupyter_kueue.domain.run_facts import BucketFacts
from jupyter_kueue.storage.unread_runs import Unread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.storage.bucket import Bucket

# Up to this many are read one by one in less than a second, so they need no object.
FEW = 100
# Runs per object: reading or writing one must not block the event loop for long.
MAX_RUNS = 200

log = logging.getLogger(__name__)


class OpenRuns:
    """One owner's runs that were open at the last ``store``."""

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self._bucket = bucket
        self._prefix = f"{owner_slug}/open/"
        self._stored: set[str] = set()
        self._unread = Unread()

    async def load(self) -> dict[str, BucketFacts]:
        """Return record, acceptance and changed fields of each run by id; it may have ended."""
        keys = [item.key for item in await self._bucket.list(self._prefix)]
        parts = await asyncio.gather(*(self._read(key) for key in keys))
        found = {facts.record.run_id: facts for part in parts for facts in part}
        self._stored = set(found)
        return found

    async def store(self, runs: Iterable[BucketFacts]) -> None:
        """Store the open runs, if many of them are not stored yet."""
        runs = [facts for facts in runs if facts.accepted is not None]
        if sum(facts.record.run_id not in self._stored for facts in runs) <= FEW:
            return
        before = {item.key for item in await self._bucket.list(self._prefix)}
        written = set()
        for start in range(0, len(runs), MAX_RUNS):
            key = f"{self._prefix}{start // MAX_RUNS:06d}.json"
            some = [
                {"record": facts.record.as_json(), "accepted": facts.accepted, "meta": facts.meta}
                for facts in runs[start : start + MAX_RUNS]
            ]
            await self._bucket.put_json(key, {"version": 1, "runs": some})
            written.add(key)
        await self._bucket.delete(sorted(before - written))
        self._stored = {facts.record.run_id for facts in runs}

    async def _read(self, key: str) -> list[BucketFacts]:
        try:
            return _items(await self._bucket.get_json(key))
        except errors.NotFoundError:  # just replaced by another server
            return []
        except errors.UnavailableError as error:
            self._unread.note(key, error)
            if not self._unread.is_given_up(key):
                raise
            log.warning("runs of %s are read from their own records: %s", key, error)
            return []
        except errors.UnreadableError as error:
            log.warning("runs of %s are read from their own records: %s", key, error)
            return []


def _items(body: Any) -> list[BucketFacts]:
    try:
        part = run_documents.OPEN_RUNS.read_back(body)
    except ValueError as error:
        raise errors.UnreadableError(
            say(
                "open-runs-not-understood",
                "The stored list of open runs cannot be understood: {difference}.",
                difference=str(error),
            )
        ) from None
    return [facts for item in part["runs"] if (facts := _facts(item)) is not None]


def _facts(item: Any) -> BucketFacts | None:
    try:
        read = run_documents.OPEN_RUN.read_back(item)
    except ValueError:
        return None
    return BucketFacts(read["record"], accepted=read["accepted"], meta=read["meta"])
