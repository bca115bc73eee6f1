"""A start shows all runs, reads few objects for that, and leaves none out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from obstore.store import MemoryStore

from jupyter_kueue import patience
from jupyter_kueue.domain import errors
from jupyter_kueue.storage import open_runs, run_records
from tests.service.model_cluster import (
    JOB_NAME,
    JOB_UID,
    RUN_ID,
    FailingBucket,
    ModelCluster,
    record,
)
from tests.service.model_server import Server


@pytest.fixture
def cluster() -> ModelCluster:
    return ModelCluster()


@pytest.fixture
async def store(cluster: ModelCluster) -> MemoryStore:
    """A bucket with one run that waits."""
    store = MemoryStore()
    records = run_records.Records(FailingBucket(store, "memory"), "tess")
    await records.write_record(record())
    cluster.create_job()
    await records.accept(RUN_ID, {"job_name": JOB_NAME, "uid": JOB_UID})
    return store


@pytest.fixture
def start(store: MemoryStore, cluster: ModelCluster) -> Any:
    return lambda: Server(store, cluster)


async def ended(server: Server) -> None:
    """Let the run end, and have its row stored."""
    final = {"state": "failed", "reason": "removed", "finished_at": "2026-01-02T03:00:00Z"}
    await server.records.write_end(RUN_ID, final)
    await server.compare()
    await server.summaries.store([server.row])


async def test_a_run_is_read_from_its_records(start):
    server = start()
    await server.compare()
    assert server.row["reason"] == "waiting"
    assert server.reconciler.is_complete.is_set()


async def test_an_end_is_shown_from_its_stored_row(start):
    await ended(start())
    server = start()
    server.bucket.lost = frozenset({"record.json", "final.json"})
    await server.compare()
    assert server.row["state"] == "failed"


async def test_the_stored_row_of_a_run_of_which_nothing_is_left_is_never_shown(start):
    before = start()
    await ended(before)
    await before.records.forget(RUN_ID)
    server = start()
    start_of_server = asyncio.ensure_future(server.reconciler.compare())
    while not start_of_server.done():
        await asyncio.sleep(0)
        assert server.row is None
        await server.look()


async def test_the_stored_row_of_a_run_that_was_deleted_since_is_not_shown(start):
    before = start()
    await ended(before)
    await before.records.write_tombstone(RUN_ID, run_records.DELETED, "Tess")
    server = start()
    server.bucket.outage.passes = None
    await server.compare()
    assert server.row is None


async def test_a_run_that_was_changed_since_is_read_from_its_records(start):
    before = start()
    await ended(before)
    await before.records.change(RUN_ID, {"name": "another"})
    server = start()
    await server.compare()
    assert server.row["name"] == "another"


async def test_a_run_that_only_waits_is_shown_before_its_records_are_read(start, monkeypatch):
    monkeypatch.setattr(open_runs, "FEW", 0)
    before = start()
    await before.compare()
    await before.open_runs.store(before.known.stored_facts())
    await before.records.write(RUN_ID, "meta.json", {"name": "another"})
    server = start()
    server.bucket.lost = frozenset({"record.json", "meta.json"})
    await server.compare()
    assert (server.row["reason"], server.row["name"]) == ("waiting", "weekly")
    server.bucket.lost = frozenset()
    server.clock.advance(60)
    await server.look()
    assert server.row["name"] == "another"


async def test_a_start_waits_for_a_run_that_cannot_be_read(start):
    server = start()
    server.bucket.lost = frozenset({"record.json"})
    with pytest.raises(errors.BucketUnavailableError):
        await server.compare()
    assert not server.reconciler.is_complete.is_set()
    server.bucket.lost = frozenset()
    await server.compare()
    assert server.row["reason"] == "waiting"
    assert server.reconciler.is_complete.is_set()
    assert not list(server.reconciler.unread)


async def test_one_that_can_never_be_read_is_shown_as_the_cluster_knows_it(start, monkeypatch):
    monkeypatch.setattr(patience, "UNREAD_OBJECT_SECONDS", 0.0)
    server = start()
    server.bucket.lost = frozenset({"record.json"})
    await server.compare()
    assert server.row["state"] == "queued"
    assert list(server.reconciler.unread) == [RUN_ID]
    server.bucket.lost = frozenset()
    await server.compare()
    await server.look()
    assert server.row["name"] == "weekly"
    assert not list(server.reconciler.unread)


async def test_a_bucket_that_cannot_be_listed_is_told(start):
    server = start()
    server.bucket.outage.passes = 0
    with pytest.raises(errors.BucketUnavailableError):
        await server.compare()
    assert not server.reconciler.is_complete.is_set()
