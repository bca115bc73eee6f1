"""What could not be written while the bucket was full."""

from __future__ import annotations

import asyncio

from obstore.store import MemoryStore

from jupyter_kueue.service.runs.leftovers import OwedTombstones
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.run_records import Records
from tests.service.model_cluster import RUN_ID


async def test_tombstones_may_be_written_by_several_at_once():
    records = Records(Bucket(MemoryStore(), "memory"), "tess")
    owed = OwedTombstones(records)
    owed.owe(RUN_ID, "Tess")
    await asyncio.gather(owed.write(), owed.write())
    assert RUN_ID not in owed
    assert await records.list_deleted() == [RUN_ID]
