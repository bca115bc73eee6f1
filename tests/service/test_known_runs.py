"""What a server knows of its runs, and what it publishes of that."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from jupyter_kueue.domain.run_decisions import GONE, RunFacts, Stored
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Status
from jupyter_kueue.service.changes import Changes
from jupyter_kueue.service.runs.known_runs import KnownRuns
from jupyter_kueue.service.runs.run_index import Index
from jupyter_kueue.service.work_queue import WorkQueue
from tests.service.manual_clock import ManualClock
from tests.service.model_cluster import JOB_NAME, RUN_ID, record

Json = dict[str, Any]

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
NO_JOB = ClusterFacts()
BUCKET = BucketFacts(record(), accepted={"job_name": JOB_NAME})
RUNNING = Status("running", started_at="2026-01-02T03:00:00Z")
FAILED = Status("failed", "removed", finished_at="2026-01-02T04:00:00Z")


class Known(KnownRuns):
    """What is known, and what was published of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        changes = Changes()
        super().__init__(Index(), changes, WorkQueue(clock=self.clock))
        self.published: list[str] = []
        changes.add_listener(lambda change: self.published.append(change["type"]))

    def shows(self, status: Any, bucket: BucketFacts = BUCKET) -> None:
        self.show(RunFacts(RUN_ID, Stored.RECORDED, NO_JOB, bucket=bucket), status)

    def taken(self) -> RunFacts:
        return self.take_facts(RUN_ID, NO_JOB)


@pytest.fixture
def known() -> Known:
    return Known()


def test_a_run_that_is_not_known_is_read(known):
    assert (known.taken().stored, known.taken().bucket) == (Stored.UNREAD, None)


def test_what_was_read_of_a_run_that_goes_on_is_kept_until_there_is_something_new(known):
    known.shows(RUNNING)
    assert (known.taken().stored, known.taken().bucket) == (Stored.RECORDED, BUCKET)
    assert known.taken().started_at == RUNNING.started_at
    known.mark(RUN_ID, reread=True)
    assert (known.taken().stored, known.taken().stored) == (Stored.UNREAD, Stored.RECORDED)


def test_news_that_could_not_be_read_are_still_new(known):
    known.shows(RUNNING)
    known.mark(RUN_ID, reread=True)
    known.give_back(known.taken())
    assert known.taken().stored is Stored.UNREAD


def test_an_end_needs_nothing_but_its_row(known):
    known.shows(FAILED)
    facts = known.taken()
    assert (facts.stored, facts.bucket) == (Stored.ENDED, None)
    assert facts.finished_at == FAILED.finished_at
    known.mark(RUN_ID, reread=True)
    assert known.taken().stored is Stored.UNREAD


@pytest.mark.parametrize("odd", [{"is_recorded": False}, {"problem": "it is none"}])
def test_what_is_shown_without_a_record_is_read_each_time_and_never_stored(known, odd):
    known.shows(RUNNING, dataclasses.replace(BUCKET, **odd))
    assert known.taken().stored is Stored.UNREAD
    assert list(known.stored_rows()) == list(known.stored_facts()) == []
    known.shows(RUNNING)
    assert len(list(known.stored_rows())) == 1


def test_a_submit_is_shown_as_it_is_known(known):
    job = {"metadata": {"uid": "u"}}
    known.note_submitted(BUCKET, job)
    facts = known.taken()
    assert (facts.stored, facts.bucket, facts.cluster.job) == (Stored.RECORDED, BUCKET, job)
    assert known.taken().stored is Stored.UNREAD


def test_what_was_written_is_shown_before_all_else_is_read(known):
    known.shows(RUNNING)
    known.note_written(RUN_ID, stop={"by": "Tess"}, meta=None)
    known.note_written(RUN_ID, stop=None, meta={"name": "another"})
    known.mark(RUN_ID, reread=True)
    facts = known.taken()
    assert facts.stored is Stored.RECORDED
    assert (facts.bucket.stop, facts.bucket.meta) == ({"by": "Tess"}, {"name": "another"})
    assert known.taken().stored is Stored.UNREAD


def test_a_deleted_run_is_deleted_whatever_else_is_known(known):
    known.shows(RUNNING)
    known.note_deleted(RUN_ID)
    facts = known.taken()
    assert facts.stored is Stored.DELETED
    known.show(facts, GONE)
    assert known.published == ["run", "run-deleted"]
    known.note_clean(RUN_ID, is_owed=True)
    assert known.taken().stored is Stored.DELETED
    known.note_clean(RUN_ID, is_owed=False)
    assert known.taken().stored is Stored.UNREAD


def test_only_what_changes_is_published(known):
    for status in (RUNNING, RUNNING, FAILED):
        known.shows(status)
    known.shows(GONE)
    known.shows(GONE)
    assert known.published == ["run", "run", "run-deleted"]


def test_the_row_of_a_stored_end_does_not_replace_a_newer_one(known):
    known.shows(FAILED)
    row = known.index.get(RUN_ID).row
    known.restore({**row, "name": "older"})
    assert known.index.get(RUN_ID).row == row


def test_what_was_found_clean_is_looked_at_again_after_an_hour(known):
    known.note_clean(RUN_ID, is_owed=False)
    later = dt.datetime.now(dt.UTC)
    assert known.clean_ids(later) == {RUN_ID}
    assert known.clean_ids(later + dt.timedelta(hours=2)) == frozenset()


async def test_a_run_that_is_looked_at_later_is_read_then(known):
    known.shows(RUNNING)
    known.mark_later(RUN_ID, 5.0, reread=True)
    assert not len(known.queue)
    assert known.taken().stored is Stored.RECORDED
    known.clock.advance(5)
    assert await known.queue.get() == RUN_ID
    assert known.taken().stored is Stored.UNREAD


def test_a_submit_says_nothing_new_of_a_run_that_was_stopped_meanwhile():
    known = Known()
    stopped = dataclasses.replace(BUCKET, stop={"at": "2026-01-02T03:00:00Z", "by": "Tess"})
    known.shows(RUNNING, stopped)
    known.note_submitted(BUCKET, None)
    assert known.take_facts(RUN_ID, NO_JOB).stored is Stored.UNREAD
