"""Rows of finished runs in few objects, whoever writes, merges, changes and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.summaries import MAX_ROWS, MAX_SMALL_SEGMENTS, Summaries

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

CHANGED_AT = "2026-02-03T04:05:06.000Z"


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def row_of(number: int, **row: Any) -> Json:
    return {
        "run_id": id_of(number),
        "state": "succeeded",
        "name": f"report {number}",
        "created_at": "2026-01-02T03:04:05.000Z",
        "owner": "tess",
        "local_queue": "team-a",
        "resources": Resources("1", "2Gi", 0),
        "image": "registry.example/notebook:1",
        "tags": [],
        "warnings": [],
        "warning_sentences": [],
        "updated_at": None,
        "request": RunRequest("report.ipynb"),
        **dict.fromkeys(("reason", "message", "detail", "priority_class")),
        **dict.fromkeys(("admitted_at", "started_at", "attempt_started_at", "finished_at")),
        **dict.fromkeys(("schedule_id", "rerun_of", "left_behind", "sentence")),
        **dict.fromkeys(("position", "wait")),
        **row,
    }


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket.open(f"file://{tmp_path}/bucket")


async def loaded(bucket: Bucket) -> dict[str, Json]:
    """Return what the next server starts with, by run id."""
    return {row["run_id"]: row for row in await Summaries(bucket, "tess").load()}


async def sizes(bucket: Bucket) -> list[int]:
    """Return how many rows each segment has."""
    segments = await bucket.list("tess/index/")
    return [len((await bucket.get_json(item.key))["rows"]) for item in segments]


async def test_jobs_that_end_one_by_one_end_up_in_few_objects(bucket: Bucket) -> None:
    summaries = Summaries(bucket, "tess")
    rows = [row_of(number) for number in range(60)]
    for count in range(1, len(rows) + 1):
        await summaries.store([*rows[:count], row_of(999, state="running")])
        assert len(await bucket.list("tess/index/")) <= MAX_SMALL_SEGMENTS
    assert await loaded(bucket) == {row["run_id"]: row for row in rows}


async def test_no_object_has_more_rows_than_a_bound(bucket: Bucket) -> None:
    rows = [row_of(number) for number in range(2 * MAX_ROWS + 7)]
    await Summaries(bucket, "tess").store(rows)
    assert sorted(await sizes(bucket)) == [7, MAX_ROWS, MAX_ROWS]
    assert len(await loaded(bucket)) == len(rows)


async def test_full_segments_are_not_written_again(bucket: Bucket) -> None:
    summaries = Summaries(bucket, "tess")
    rows = [row_of(number) for number in range(MAX_ROWS)]
    await summaries.store(rows)
    [full] = [item.key for item in await bucket.list("tess/index/")]
    for number in range(2 * MAX_SMALL_SEGMENTS):
        rows.append(row_of(MAX_ROWS + number))
        await summaries.store(rows)
    assert full in [item.key for item in await bucket.list("tess/index/")]
    assert len(await loaded(bucket)) == len(rows)


async def test_a_changed_row_counts_whatever_is_merged_later(bucket: Bucket) -> None:
    summaries = Summaries(bucket, "tess")
    rows = [row_of(number) for number in range(MAX_ROWS + 1)]
    await summaries.store(rows)
    for number in (0, MAX_ROWS):
        rows[number] = row_of(number, name="another name", updated_at=CHANGED_AT)
    for number in range(2 * MAX_SMALL_SEGMENTS):
        await summaries.store(rows)
        names = {run_id: row["name"] for run_id, row in (await loaded(bucket)).items()}
        assert names[id_of(0)] == names[id_of(MAX_ROWS)] == "another name"
        rows.append(row_of(MAX_ROWS + 1 + number))


async def test_rows_of_deleted_jobs_go_with_a_merge(bucket: Bucket) -> None:
    summaries = Summaries(bucket, "tess")
    rows = [row_of(number) for number in range(MAX_ROWS)]
    await summaries.store(rows)
    kept = rows[:9]
    for number in range(2 * MAX_SMALL_SEGMENTS):
        kept.append(row_of(MAX_ROWS + number))
        await summaries.store(kept)
    assert sum(await sizes(bucket)) == len(kept)
    assert set(await loaded(bucket)) == {row["run_id"] for row in kept}


async def test_two_servers_that_write_and_merge_lose_no_row(bucket: Bucket) -> None:
    shared = [row_of(number) for number in range(5)]
    await Summaries(bucket, "tess").store(shared)
    servers = [Summaries(bucket, "tess"), Summaries(bucket, "tess")]
    known = [list(shared), list(shared)]
    for server in servers:
        await server.load()
    for turn in range(3 * MAX_SMALL_SEGMENTS):
        which = turn % 2
        known[which].append(row_of(100 + turn))
        await servers[which].store(known[which])
    expected = {row["run_id"] for rows in known for row in rows}
    assert set(await loaded(bucket)) == expected


async def test_an_older_servers_row_never_replaces_a_newer_one(bucket: Bucket) -> None:
    rows = [row_of(number) for number in range(MAX_SMALL_SEGMENTS + 2)]
    older, newer = Summaries(bucket, "tess"), Summaries(bucket, "tess")
    for count in range(1, MAX_SMALL_SEGMENTS):
        await older.store(rows[:count])
    await newer.load()
    changed = row_of(0, name="another name", updated_at=CHANGED_AT)
    await newer.store([changed, *rows[1 : MAX_SMALL_SEGMENTS - 1]])
    # The older one has not heard of the change, and stores all it has anew, together.
    for count in range(MAX_SMALL_SEGMENTS, len(rows) + 1):
        await older.store(rows[:count])
    assert (await loaded(bucket))[id_of(0)] == changed
    assert len(await loaded(bucket)) == len(rows)


async def test_rows_of_an_earlier_version_are_read(bucket: Bucket) -> None:
    old = row_of(1)
    del old["updated_at"]
    await bucket.put_json("tess/index/00000000000000000001-old.json", {"version": 1, "rows": [old]})
    assert await loaded(bucket) == {id_of(1): row_of(1)}


@pytest.mark.parametrize(
    "data", [b"", b"[", b"null", b'{"rows": {}}', b'{"rows": [{"run_id": 5}]}']
)
async def test_a_damaged_object_costs_its_own_rows_alone(bucket: Bucket, data: bytes) -> None:
    await Summaries(bucket, "tess").store([row_of(1)])
    await bucket.put_bytes("tess/index/00000000000000000000-damaged.json", data)
    assert await loaded(bucket) == {id_of(1): row_of(1)}


@pytest.mark.parametrize(
    "odd",
    [
        *({"tags": tags} for tags in ([5], "x", ["a\nb"], ["x"] * 51)),
        *({"created_at": time} for time in (None, "noon", "9999-12-31T23:59:59-12:00")),
        *({"finished_at": time} for time in (5, "", "0001-01-01T00:00:00+14:00")),
        *({"resources": {"cpu": cpu, "memory": "1", "gpus": 0}} for cpu in ("NaN", None, [])),
        *({"schedule_id": value} for value in ([], {}, 5)),
        *({"request": value} for value in (None, {}, {**RunRequest("a").as_json(), "tags": "x"})),
        *({"state": "running"}, {"name": "x" * 256}, {"message": "x" * 1001}, {"owner": None}),
    ],
)
async def test_an_odd_row_costs_itself_alone(bucket: Bucket, odd: Json) -> None:
    segment = {"version": 1, "rows": [row_of(1, **odd), 7, None, row_of(2)]}
    await bucket.put_json("tess/index/00000000000000000000-odd.json", segment)
    assert await loaded(bucket) == {id_of(2): row_of(2)}
