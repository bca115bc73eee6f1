"""A start with many open runs: shown at once, and made true from their own records after that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.storage import open_runs
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.open_runs import OpenRuns
from jupyter_kueue.storage.run_records import DELETED, Records

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

TOO_MANY_GPUS = {"cpu": "100m", "memory": "256Mi", "gpus": 100}


async def test_what_happened_to_waiting_jobs_meanwhile_counts_after_a_start(
    open_session: Callable[..., Any],
    write_notebook: Callable[..., str],
    namespace: Any,
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_runs, "FEW", 0)
    path = write_notebook("a.ipynb", "1")
    bucket = Bucket.open(namespace.bucket_dir)
    owner_slug = Owner.of("tess").slug
    stored = OpenRuns(bucket, owner_slug)
    async with open_session(resync_seconds=1) as before:
        made = {
            name: (await before.submit(path, name=name, resources=TOO_MANY_GPUS))["run_id"]
            for name in ("waits", "renamed", "stopped", "deleted", "unknown")
        }
        await eventually(lambda: _are_stored(stored, set(made.values())))

    # As other servers would, while this one is down.
    records = Records(bucket, owner_slug)
    await records.write(made["renamed"], pod_contract.META_KEY, {"name": "another name"})
    await records.write(made["stopped"], pod_contract.STOP_KEY, {"at": times.now(), "by": "tess"})
    await records.write_tombstone(made["deleted"], DELETED, "tess")
    unknown = [facts for key, facts in (await stored.load()).items() if key != made["unknown"]]
    await bucket.delete_prefix(f"{owner_slug}/open/")
    await OpenRuns(bucket, owner_slug).store(unknown)

    async with open_session() as after:
        # Complete from the first answer on, and a deleted run never comes back.
        listed = await after.runs.list(RunQuery())
        assert {row["run_id"] for row in listed["items"]} == set(made.values()) - {made["deleted"]}
        assert after.runs.row(made["waits"])["state"] == "queued"
        assert after.runs.row(made["unknown"])["name"] == "unknown"
        await eventually(lambda: after.runs.row(made["renamed"])["name"] == "another name")
        await eventually(lambda: after.runs.row(made["stopped"])["state"] == "stopped")
        run_id = made["deleted"]
        await eventually(lambda: after.application.cluster.facts(run_id).job is None)


async def _are_stored(stored: OpenRuns, run_ids: set[str]) -> bool:
    return set(await stored.load()) == run_ids
