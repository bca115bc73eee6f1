"""Which of the stock backend's jobs and definitions were imported: ids, many per object.

Ids of imported jobs that were deleted since stay in it, so that they are neither imported nor
offered again.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue.domain import errors, run_documents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.storage.bucket import Bucket

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Imported:
    """Ids of the stock backend."""

    jobs: frozenset[str] = frozenset()
    definitions: frozenset[str] = frozenset()


class StockImports:
    """What one owner has imported. Objects never change, and each is read once."""

    def __init__(self, bucket: Bucket, owner_slug: str) -> None:
        self._bucket = bucket
        self._prefix = f"{owner_slug}/stock-imports/"
        self._read: dict[str, Imported] = {}

    async def load(self) -> Imported:
        """Return all imported ids, whichever server or command imported them."""
        keys = [item.key for item in await self._bucket.list(self._prefix)]
        unread = [key for key in keys if key not in self._read]
        self._read.update(
            zip(unread, await asyncio.gather(*map(self._read_one, unread)), strict=True)
        )
        parts = [self._read[key] for key in keys]
        return Imported(
            frozenset().union(*(part.jobs for part in parts)),
            frozenset().union(*(part.definitions for part in parts)),
        )

    async def add(self, *, jobs: Iterable[str] = (), definitions: Iterable[str] = ()) -> None:
        """Note that these are imported."""
        added = Imported(frozenset(jobs), frozenset(definitions))
        if not added.jobs and not added.definitions:
            return
        key = f"{self._prefix}{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        body = {
            "version": 1,
            "jobs": sorted(added.jobs),
            "definitions": sorted(added.definitions),
        }
        await self._bucket.put_json(key, body)
        self._read[key] = added

    async def _read_one(self, key: str) -> Imported:
        try:
            body = await self._bucket.get_json(key)
        except errors.NotFoundError:  # removed by hand since the listing
            return Imported()
        except errors.UnreadableError as error:
            log.warning("what was brought over is not fully known: %s", error)
            return Imported()
        try:
            found = run_documents.STOCK_IMPORTS.read_back(body)
        except ValueError as error:
            log.warning("what was imported is not fully known: %s: %s", key, error)
            return Imported()
        return Imported(frozenset(found["jobs"]), frozenset(found["definitions"]))
