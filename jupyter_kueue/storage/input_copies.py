"""Copies of stored inputs, within the bucket, for another run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.domain.run_record import RunSpec
    from jupyter_kueue.storage.bucket import Bucket

_AT_ONCE = 16


async def copy(bucket: Bucket, source: str, target: str, spec: RunSpec) -> None:
    """Copy the inputs of ``spec`` from one prefix to another.

    Raises:
        NotFoundError: they no longer exist.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def copy_one(path: str) -> None:
        async with slots:
            await bucket.copy(f"{source}{path}", f"{target}{path}")

    await asyncio.gather(*(copy_one(item["path"]) for item in spec.input))
