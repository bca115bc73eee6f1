"""This attempt's place in the bucket: its record, and whether a newer attempt has taken over.

A pod on a lost node may continue while its successor runs. The newest ``stage_in`` therefore writes
its pod's uid to current.json, and older pods that read it stop.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue.runner.shared import control

if TYPE_CHECKING:
    from jupyter_kueue.storage.bucket import Bucket


_SAYS_NOTHING = (errors.NotFoundError, errors.UnreadableError)


class SupersededError(errors.ConflictError):
    """A newer attempt of the run has started; this one must not write any more."""


class Attempt:
    """One pod's attempt at the run whose keys start with ``prefix``."""

    def __init__(self, bucket: Bucket, started_at: str) -> None:
        self.bucket = bucket
        self.prefix = pod_contract.run_prefix(
            os.environ.get(pod_contract.ENV_OWNER, ""), os.environ.get(pod_contract.ENV_RUN_ID, "")
        )
        self.uid = control.pod_uid()
        self.started_at = started_at
        self._etag: str | None = None

    async def take_over(self) -> None:
        """Become the run's newest attempt."""
        await self.bucket.put_json(self.prefix + pod_contract.CURRENT_KEY, {"pod_uid": self.uid})

    async def ensure_current(self) -> None:
        """Raise SupersededError if a newer attempt has taken over. Costs one small request."""
        key = self.prefix + pod_contract.CURRENT_KEY
        try:
            changed = await self.bucket.get_json_if_changed(key, self._etag)
        except errors.NotFoundError as error:
            message = "The run's files are gone from the bucket: it was deleted."
            raise SupersededError(foreign(message)) from error
        if changed is None:
            return
        current, etag = changed
        if current["pod_uid"] != self.uid:
            message = f"A newer attempt of this run (pod {current['pod_uid']}) has taken over."
            raise SupersededError(foreign(message))
        self._etag = etag

    async def record(
        self,
        *,
        reason: str | None = None,
        message: str = "",
        ended_at: str | None = None,
        seen: control.Json | None = None,
        is_staged: bool = True,
    ) -> None:
        """Write the attempt's record.

        Args:
            reason: one of OUTCOMES or EVICTED; None while it runs, or if nobody knows.
            message: a sentence on how it ended.
            ended_at: RFC 3339, None while it runs.
            seen: PROGRESS or ENDED, for the number of cells and the memory used.
            is_staged: whether all inputs are staged, so that the notebook runs.
        """
        seen = seen or {}
        record: dict[str, Any] = {
            "pod_uid": self.uid,
            "pod_name": os.environ.get(pod_contract.ENV_POD_NAME, ""),
            "started_at": self.started_at,
            "is_staged": is_staged,
            "ended_at": ended_at,
            "reason": reason,
            "message": message,
            "sentence": sentences.as_json(message),
            "cells_done": seen.get("cells_done") or 0,
            "cells": seen.get("cells"),
            "cell": seen.get("cell") or (seen.get("error") or {}).get("cell"),
            "peak_memory_bytes": seen.get("peak_memory_bytes"),
        }
        key = f"{self.prefix}{pod_contract.ATTEMPTS_PREFIX}{self.uid}.json"
        await self.bucket.put_json(key, record)

    async def former_records(self, most: int) -> list[dict[str, Any]]:
        """Return the records of the newest attempts before this one, at most ``most``."""
        listed = await self.bucket.list(self.prefix + pod_contract.ATTEMPTS_PREFIX)
        newest = sorted(listed, key=lambda meta: meta.last_modified)[-most:]
        found = await asyncio.gather(
            *(self.bucket.get_json(meta.key) for meta in newest), return_exceptions=True
        )
        for one in found:
            # A damaged or vanished record is ignored and blocks nothing.
            if isinstance(one, BaseException) and not isinstance(one, _SAYS_NOTHING):
                raise one
        records = [one for one in found if isinstance(one, dict)]
        return [record for record in records if record.get("pod_uid") != self.uid]

    async def uids(self) -> list[str]:
        """Return the pod uids of all recorded attempts, oldest record first."""
        records = await self.bucket.list(self.prefix + pod_contract.ATTEMPTS_PREFIX)
        ordered = sorted(records, key=lambda meta: meta.last_modified)
        return [meta.key.rsplit("/", 1)[-1].removesuffix(".json") for meta in ordered]
