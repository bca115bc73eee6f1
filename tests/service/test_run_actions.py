"""What is done for a run may be done twice, and by several servers at once."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from obstore.store import MemoryStore

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import errors, names, run_decisions
from jupyter_kueue.domain.run_decisions import RunFacts, Stored
from jupyter_kueue.domain.run_facts import ClusterFacts, Status
from jupyter_kueue.service.runs.run_actions import Executor
from jupyter_kueue.service.runs.start_events import StartEvents
from jupyter_kueue.storage import run_records
from jupyter_kueue.storage.run_records import Records
from tests.service.model_cluster import (
    JOB_NAME,
    JOB_UID,
    NAMESPACE,
    RUN_ID,
    FailingBucket,
    ModelCluster,
    record,
)

Json = dict[str, Any]

ACCEPTED = {"job_name": JOB_NAME, "uid": JOB_UID}
ACCEPT = run_decisions.Accept(JOB_NAME, JOB_UID)
REMOVE = run_decisions.RemoveLeftovers(JOB_NAME)
UNREAD = RunFacts(RUN_ID, Stored.UNREAD, ClusterFacts())


class World:
    """A bucket and a cluster, and two servers that act on them."""

    def __init__(self) -> None:
        self.records = Records(FailingBucket(MemoryStore(), "memory"), "tess")
        self.cluster = ModelCluster()
        self.looks: list[tuple[str, float, bool]] = []
        self.schedules: list[str] = []
        self.one, self.other = self.executor(), self.executor()

    def executor(self) -> Executor:
        return Executor(
            self.cluster,  # type: ignore[arg-type]  # it answers as a Connection does
            self.records,
            StartEvents(self.cluster),  # type: ignore[arg-type]
            NAMESPACE,
            look_again=lambda *look: self.looks.append(look),
            on_scheduled_run=self.schedules.append,
        )

    async def read(self) -> RunFacts:
        return await self.one.act(run_decisions.ReadRecords(), UNREAD)

    async def submit(self, *, accepted: bool = True) -> RunFacts:
        await self.records.bucket.put_bytes(f"{self.records.prefix(RUN_ID)}input/a.ipynb", b"{}")
        await self.records.write_record(record())
        self.cluster.create_job()
        if accepted:
            await self.records.accept(RUN_ID, ACCEPTED)
        return await self.read()

    async def keys(self) -> frozenset[str]:
        return await self.records.list_keys(RUN_ID)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_the_bucket_has_is_told_apart(world):
    assert (await world.read()).stored is Stored.EMPTY
    await world.records.bucket.put_bytes(f"{world.records.prefix(RUN_ID)}input/a.ipynb", b"{}")
    assert (await world.read()).stored is Stored.LEFTOVERS
    facts = await world.submit()
    assert (facts.stored, facts.is_current) == (Stored.RECORDED, True)
    assert facts.bucket.record == record_of(facts)
    await world.records.write_tombstone(RUN_ID, run_records.DELETED, "Tess")
    facts = await world.read()
    assert (facts.stored, facts.has_more, facts.bucket.deleted) == (Stored.DELETED, True, True)
    assert facts.tombstone_at is not None


def record_of(facts: RunFacts) -> Any:
    return dataclasses.replace(record(), created_at=facts.bucket.record.created_at)


async def test_a_cleared_submit_is_told_apart(world):
    await world.submit(accepted=False)
    await world.records.clear(RUN_ID, "leftovers")
    assert (await world.read()).stored is Stored.CLEARED


async def test_a_job_that_came_after_the_api_server_was_asked_is_asked_for_again(world):
    before = dataclasses.replace(UNREAD, is_confirmed=True)
    await world.submit()
    after = await world.one.act(run_decisions.ReadRecords(), before)
    assert not after.is_confirmed


async def test_a_submit_is_accepted_once(world):
    facts = await world.submit(accepted=False)
    first = await world.one.act(ACCEPT, facts)
    second = await world.other.act(ACCEPT, facts)
    assert first.bucket.accepted == second.bucket.accepted == ACCEPTED


async def test_what_was_cleared_is_accepted_no_more(world):
    facts = await world.submit(accepted=False)
    await world.records.clear(RUN_ID, "leftovers")
    assert (await world.one.act(ACCEPT, facts)).stored is Stored.CLEARED


async def test_what_was_accepted_is_no_leftover(world):
    facts = await world.submit()
    before = await world.keys()
    after = await world.one.act(REMOVE, facts)
    assert after.stored is Stored.UNREAD
    assert await world.keys() == before
    assert world.cluster.job is not None


async def test_leftovers_go_and_go_again(world):
    facts = await world.submit(accepted=False)
    for executor in (world.one, world.other):
        assert (await executor.act(REMOVE, facts)).stored is Stored.EMPTY
    assert not await world.keys()
    assert world.cluster.job is None


async def test_two_servers_that_do_not_agree_decide_once(world):
    facts = await world.submit(accepted=False)
    accepted, removed = await asyncio.gather(
        world.one.act(ACCEPT, facts), world.other.act(REMOVE, facts)
    )
    if accepted.stored is Stored.RECORDED:
        assert removed.stored is Stored.UNREAD
        assert pod_contract.RECORD_KEY in await world.keys()
    else:
        assert (accepted.stored, removed.stored) == (Stored.CLEARED, Stored.EMPTY)
        assert not await world.keys()


async def test_the_first_end_that_is_written_is_the_end(world):
    facts = await world.submit()
    ends = [Status("failed", "removed"), Status("stopped", "stopped")]
    first = await world.one.act(run_decisions.WriteEnd(ends[0]), facts)
    second = await world.other.act(run_decisions.WriteEnd(ends[1]), facts)
    assert first.bucket.final == second.bucket.final
    assert first.bucket.final["reason"] == "removed"


async def test_a_run_ends_in_the_cluster_however_often_it_is_ended(world):
    facts = await world.submit()
    world.cluster.admit()
    [uid] = world.cluster.pods
    end = run_decisions.EndInCluster(JOB_NAME, ((uid, uid),))
    for executor in (world.one, world.other):
        assert await executor.act(end, facts) is facts
        world.cluster.collect_garbage()
    assert world.cluster.job is None
    assert not world.cluster.pods
    assert await world.one.act(run_decisions.DeleteJob(JOB_NAME), facts) is facts


async def test_a_deleted_runs_tombstone_outlives_the_rest(world):
    facts = await world.submit()
    await world.records.write_tombstone(RUN_ID, run_records.DELETED, "Tess")
    for executor in (world.one, world.other):
        assert not (await executor.act(run_decisions.Purge(), facts)).has_more
        assert await world.keys() == {pod_contract.DELETED_KEY}
    for executor in (world.one, world.other):
        after = await executor.act(run_decisions.ForgetRecords(), facts)
        assert after.stored is Stored.EMPTY
        assert not await world.keys()


async def test_a_job_is_asked_for_and_says_what_it_knows_of_itself(world):
    find = run_decisions.FindJob(JOB_NAME)
    empty = dataclasses.replace(UNREAD, stored=Stored.EMPTY)
    missing = await world.one.act(find, empty)
    assert (missing.is_confirmed, missing.cluster.job, missing.bucket) == (True, None, None)
    world.cluster.create_job()
    found = await world.one.act(find, empty)
    assert found.cluster.job["metadata"]["uid"] == JOB_UID
    assert not found.bucket.is_recorded
    world.cluster.job["metadata"]["deletionTimestamp"] = "2026-01-02T03:00:00Z"
    assert (await world.one.act(find, empty)).bucket is None


async def test_how_old_leftovers_are_is_told_or_that_there_are_none(world):
    assert (await world.one.act(run_decisions.ReadAge(), UNREAD)).stored is Stored.EMPTY
    await world.submit()
    assert (await world.one.act(run_decisions.ReadAge(), UNREAD)).newest_at is not None


async def test_a_run_of_an_unknown_schedule_is_not_taken_in(world):
    world.cluster.create_job()
    job = world.cluster.job
    job["metadata"]["labels"] = {names.LABEL_SCHEDULE_ID: RUN_ID, names.LABEL_REVISION: "r"}
    after = await world.one.act(run_decisions.TakeIn(job), UNREAD)
    assert after.has_unknown_schedule
    assert not world.schedules
    assert world.cluster.job is job


async def test_events_that_were_read_a_moment_ago_are_not_read_again(world):
    facts = await world.submit()
    read = run_decisions.ReadEvents(world.cluster.job, max_age_seconds=60)
    assert (await world.one.act(read, facts)).cluster.events == ()
    world.cluster.outage.passes = 0
    assert (await world.one.act(read, facts)).cluster.events == ()
    # Nor does an outage keep a status from being shown.
    now = run_decisions.ReadEvents(world.cluster.job, max_age_seconds=0)
    assert (await world.one.act(now, facts)).cluster.events == ()


async def test_a_run_is_looked_at_again_in_time(world):
    assert await world.one.act(run_decisions.LookAgain(5.0, reread=True), UNREAD) is UNREAD
    assert world.looks == [(RUN_ID, 5.0, True)]


@pytest.mark.parametrize(
    "action", [run_decisions.FindJob(JOB_NAME), run_decisions.DeleteJob(JOB_NAME), REMOVE]
)
async def test_a_cluster_that_is_away_is_told(world, action):
    facts = await world.submit(accepted=False)
    world.cluster.outage.passes = 0
    with pytest.raises(errors.ClusterUnavailableError):
        await world.one.act(action, facts)
    world.cluster.outage.passes = None
    await world.one.act(action, facts)
