"""What never changes of many open runs is read at once, and whatever is wrong with it left out."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.open_runs import FEW, MAX_RUNS, OpenRuns

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket.open(f"file://{tmp_path}/bucket")


def open_job(name: str) -> BucketFacts:
    record = RunRecord(
        run_id=str(uuid.uuid4()),
        name=name,
        owner=Owner.of("tess"),
        namespace="default",
        created_at="2026-01-02T03:04:05.000Z",
        request=RunRequest("a.ipynb"),
        local_queue="team-a",
        resources=Resources(),
        image="image",
        notebook="a.ipynb",
        input=(
            {
                "path": "a.ipynb",
                "size_bytes": 5,
                "sha256": "0" * 64,
                "executable": False,
                "modified_at": None,
            },
        ),
    )
    accepted = {"job_name": f"nb-{record.run_id}", "uid": "a uid"}
    return BucketFacts(record, accepted=accepted, meta={"name": f"{name}, renamed"})


def open_runs(count: int) -> dict[str, BucketFacts]:
    made = [open_job(f"run {number}") for number in range(count)]
    return {facts.record.run_id: facts for facts in made}


async def test_many_open_jobs_are_stored_and_few_are_not(bucket: Bucket) -> None:
    runs = open_runs(2 * MAX_RUNS + FEW)
    few = dict(list(runs.items())[:FEW])
    here = OpenRuns(bucket, "tess")
    await here.store(few.values())
    assert await OpenRuns(bucket, "tess").load() == {}
    await here.store(runs.values())
    assert await OpenRuns(bucket, "tess").load() == runs
    assert len(await bucket.list("tess/open/")) == 3


async def test_they_are_stored_again_when_many_are_new_and_the_old_ones_go(bucket: Bucket) -> None:
    before, after = open_runs(2 * MAX_RUNS), open_runs(FEW)
    here = OpenRuns(bucket, "tess")
    await here.store(before.values())
    await here.store(after.values())
    assert await OpenRuns(bucket, "tess").load() == before
    after |= open_runs(1)
    await here.store(after.values())
    assert await OpenRuns(bucket, "tess").load() == after


async def test_a_job_that_is_not_accepted_is_no_open_job_yet(bucket: Bucket) -> None:
    runs = [BucketFacts(facts.record) for facts in open_runs(FEW + 1).values()]
    await OpenRuns(bucket, "tess").store(runs)
    assert await OpenRuns(bucket, "tess").load() == {}


@pytest.mark.parametrize(
    "garbage",
    [b"half", b"[]", b'{"runs": [7]}', b'{"runs": [{"record": {}, "accepted": {}, "meta": null}]}'],
)
async def test_garbage_is_left_out(bucket: Bucket, garbage: bytes) -> None:
    runs = open_runs(FEW + 1)
    await OpenRuns(bucket, "tess").store(runs.values())
    await bucket.put_bytes("tess/open/000001.json", garbage)
    assert await OpenRuns(bucket, "tess").load() == runs
