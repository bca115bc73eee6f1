"""What no watch shows is seen when all is compared: what other servers did, and what is left."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from obstore.store import MemoryStore

from jupyter_kueue.domain import errors
from jupyter_kueue.storage import run_records
from tests.service.model_cluster import JOB_NAME, JOB_UID, RUN_ID, ModelCluster, moment, record
from tests.service.model_server import Server


@pytest.fixture
def cluster() -> ModelCluster:
    return ModelCluster()


@pytest.fixture
async def servers(cluster: ModelCluster) -> tuple[Server, Server]:
    """Two servers that have started, while there was no run."""
    store = MemoryStore()
    both = Server(store, cluster), Server(store, cluster)
    for server in both:
        await server.compare()
    return both


async def submit(server: Server, cluster: ModelCluster) -> None:
    await server.records.write_record(record())
    cluster.create_job()
    await server.records.accept(RUN_ID, {"job_name": JOB_NAME, "uid": JOB_UID})


async def compared(server: Server) -> Any:
    await server.compare()
    await server.go_on()
    return server.row


async def test_a_run_of_another_server_is_seen_without_any_watch(servers, cluster):
    one, other = servers
    await submit(one, cluster)
    assert (await compared(other))["name"] == "weekly"


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_change_of_another_server_is_seen(servers, cluster, has_ended):
    one, other = servers
    await submit(one, cluster)
    if has_ended:
        await one.records.write_end(RUN_ID, {"state": "stopped", "finished_at": moment()})
    await compared(other)
    await one.records.change(RUN_ID, {"name": "another"})
    assert (await compared(other))["name"] == "another"


async def test_a_stop_is_seen_though_the_server_that_answered_it_died(servers, cluster):
    one, other = servers
    await submit(one, cluster)
    await compared(other)
    await one.records.stop(RUN_ID, {"at": moment(), "by": "Tess"})
    assert (await compared(other))["state"] in ("stopping", "stopped")


async def test_a_run_that_another_server_deleted_goes(servers, cluster):
    one, other = servers
    await submit(one, cluster)
    await compared(other)
    await one.records.write_tombstone(RUN_ID, run_records.DELETED, "Tess")
    assert await compared(other) is None
    assert cluster.job is None


async def test_a_run_of_which_nothing_is_left_goes(servers, cluster):
    one, other = servers
    await submit(one, cluster)
    await compared(other)
    cluster.job = None
    await one.records.forget(RUN_ID)
    assert await compared(other) is None


async def test_a_tombstone_that_is_owed_is_written_once_there_is_room(servers, cluster):
    one, other = servers
    await submit(one, cluster)
    await compared(one)
    one.bucket.lost = frozenset({"deleted", RUN_ID})
    await one.reconciler.owe_tombstone(RUN_ID, "Tess")
    one.known.mark(RUN_ID)
    await one.go_on()
    assert one.row is None
    one.bucket.lost = frozenset()
    await one.compare()
    assert (await one.records.read_tombstone(RUN_ID))["by"] == "Tess"
    assert await compared(other) is None


async def test_what_was_found_clean_is_not_read_each_time(servers, cluster):
    one, _ = servers
    await submit(one, cluster)
    await one.records.write_tombstone(RUN_ID, run_records.DELETED, "Tess")
    await compared(one)
    await one.seen.synced()
    await compared(one)
    assert RUN_ID in one.known.clean_ids(dt.datetime.now(dt.UTC))
    await one.compare()
    assert not len(one.known.queue)


async def test_rows_of_ends_are_stored_for_the_next_start(servers, cluster):
    one, _ = servers
    await submit(one, cluster)
    await one.records.write_end(RUN_ID, {"state": "stopped", "finished_at": moment()})
    await compared(one)
    await one.compare()
    assert one.summaries.is_stored(one.known.index.get(RUN_ID).row)


async def test_a_bucket_that_is_away_drops_no_row(servers, cluster):
    one, _ = servers
    await submit(one, cluster)
    await compared(one)
    one.bucket.outage.passes = 0
    with pytest.raises(errors.BucketUnavailableError):
        await one.compare()
    await one.go_on()
    assert one.row is not None
