"""A run's records as they come back from the bucket, those that somebody damaged too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain import names
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.run_records import Records

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID = "6a8e1a3e-9d83-4b7c-a7d3-0d5f1a9b2c3d"
RECORD = RunRecord(
    run_id=RUN_ID,
    name="weekly",
    owner=Owner("Tess", "tess"),
    namespace="research",
    created_at="2026-01-02T03:04:05.000Z",
    request=RunRequest("reports/weekly.ipynb"),
    local_queue="team-a",
    resources=Resources(),
    image="registry.example/notebook:1",
    notebook="weekly.ipynb",
    input=(
        {
            "path": "weekly.ipynb",
            "size_bytes": 7,
            "sha256": "0" * 64,
            "executable": False,
            "modified_at": None,
        },
    ),
    empty_folders=("out",),
)
MARKS: dict[str, dict[str, Any]] = {
    "accepted.json": {"job_name": f"nb-{RUN_ID}", "uid": "u"},
    "meta.json": {"name": "renamed"},
    "result.json": {"outcome": "succeeded", "ended_at": "2026-01-02T03:05:00.000Z", "files": []},
    "final.json": {"state": "succeeded", "finished_at": "2026-01-02T03:05:00.000Z"},
    "attempts/1.json": {"pod_uid": "1", "started_at": "2026-01-02T03:04:30.000Z"},
}
NOT_JSON = (b"", b"{", b"\xff")


@pytest.fixture
async def records(tmp_path: Path) -> Records:
    """Records in which one run has everything."""
    records = Records(Bucket.open(f"file://{tmp_path}/bucket"), "tess")
    await records.write_record(RECORD)
    for key, document in MARKS.items():
        await records.write(RUN_ID, key, document)
    return records


async def damaged(records: Records, key: str, data: bytes) -> BucketFacts:
    await records.bucket.put_bytes(f"{records.prefix(RUN_ID)}{key}", data)
    facts = (await records.load(RUN_ID)).facts
    assert facts is not None
    return facts


async def test_what_was_written_comes_back(records: Records):
    assert (await records.load(RUN_ID)).facts == BucketFacts(
        RECORD,
        accepted=MARKS["accepted.json"],
        meta=MARKS["meta.json"],
        result=MARKS["result.json"],
        final=MARKS["final.json"],
        attempts=(MARKS["attempts/1.json"],),
    )


@pytest.mark.parametrize(
    "data", [*NOT_JSON, b"[]", b"{}", b'{"run_id": "x", "name": 5}', b'"text"', b"null"]
)
async def test_a_damaged_record_has_something_that_stands_for_it(records: Records, data: bytes):
    facts = await damaged(records, "record.json", data)
    assert "record.json in the bucket" in str(facts.problem)
    assert (facts.record.run_id, facts.record.name) == (RUN_ID, RUN_ID)
    assert RunRecord.from_json(facts.record.as_json()) == facts.record


@pytest.mark.parametrize(
    ("key", "data", "says"),
    [
        *(("result.json", data, "result.json") for data in NOT_JSON),
        ("result.json", b'{"outcome": "great"}', "outcome is 'great'"),
        ("result.json", b'{"outcome": "succeeded", "files": [{"path": 1}]}', "files"),
        ("final.json", b"{}", "state is missing"),
        ("final.json", b'{"state": "stopped", "finished_at": "noon"}', "finished_at is 'noon'"),
    ],
)
async def test_a_damaged_end_is_none_that_could_be_guessed(
    records: Records, key: str, data: bytes, says: str
):
    facts = await damaged(records, key, data)
    assert facts.record == RECORD
    assert says in str(facts.problem)


@pytest.mark.parametrize("data", [*NOT_JSON, b"[1]", b'"x"'])
async def test_of_what_can_be_spared_the_rest_is_told(records: Records, data: bytes):
    for key in ("accepted.json", "meta.json", "stop.json", "attempts/1.json"):
        facts = await damaged(records, key, data)
    assert facts.problem is None
    assert facts.accepted == {"job_name": names.job_name(RUN_ID)}
    assert (facts.meta, facts.attempts) == (None, ())
    # It is there, so a stop was asked.
    assert facts.stop == {}
    assert facts.result == MARKS["result.json"]
