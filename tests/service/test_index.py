"""Lists of runs: filtered, sorted, and paged without repeating or skipping one."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_query import SORT_FIELDS, RunQuery
from jupyter_kueue.domain.run_request import RunRequest
from jupyter_kueue.service.runs.run_index import Entry, Index

Json = dict[str, Any]


def run_id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def entry_of(number: int, **row: Any) -> Entry:
    return Entry(
        {
            "run_id": run_id_of(number),
            "name": f"run {number}",
            "state": "queued",
            "local_queue": "team-a",
            "schedule_id": None,
            "created_at": f"2026-01-02T03:{number // 60:02d}:{number % 60:02d}.000Z",
            "finished_at": None,
            "request": RunRequest("a.ipynb"),
            "tags": [],
            **row,
        },
        None,
    )


def index_of(*entries: Entry) -> Index:
    index = Index()
    for entry in entries:
        index.put(entry)
    return index


def numbers(rows: list[Json]) -> list[int]:
    return [int(row["run_id"][-12:]) for row in rows]


def pages_of(index: Index, **query: Any) -> list[int]:
    """Return the numbers of the runs of all pages, one after the other."""
    found: list[int] = []
    cursor = None
    while True:
        rows, _, cursor = index.select(RunQuery(**query, cursor=cursor))
        found += numbers(rows)
        if cursor is None:
            return found


def test_a_job_is_found_replaced_and_forgotten() -> None:
    index = index_of(entry_of(1), entry_of(2))
    assert len(index) == 2
    assert run_id_of(1) in index
    index.put(entry_of(1, state="succeeded", name="again"))
    assert len(index) == 2
    assert index.get(run_id_of(1)).row["name"] == "again"
    assert index.open_ids() == {run_id_of(2)}
    assert index.remove(run_id_of(1)) is True
    assert index.remove(run_id_of(1)) is False
    assert index.find(run_id_of(1)) is None
    assert index.ids() == {run_id_of(2)}
    with pytest.raises(errors.NotFoundError, match="There is no run"):
        index.get(run_id_of(1))


def test_a_job_that_runs_again_counts_as_open_again() -> None:
    index = index_of(entry_of(1, state="failed"))
    assert index.open_ids() == set()
    index.put(entry_of(1, state="running"))
    assert index.open_ids() == {run_id_of(1)}


_FILTERED = [
    entry_of(1, state="queued", name="Weekly Report", local_queue="team-a"),
    entry_of(2, state="running", name="daily", local_queue="team-b", schedule_id="nightly"),
    entry_of(3, state="failed", request=RunRequest("Reports/x.ipynb"), tags=["GPU", "ÄRGER"]),
    entry_of(4, state="succeeded", local_queue="team-b", schedule_id="hourly"),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"states": ("queued",)}, [1]),
        ({"states": ("queued", "failed")}, [3, 1]),
        ({"local_queues": ("team-b",)}, [4, 2]),
        ({"local_queues": ("team-b",), "states": ("running",)}, [2]),
        ({"schedule_ids": ("nightly", "hourly")}, [4, 2]),
        ({"text": "report"}, [3, 1]),
        ({"text": "gpu"}, [3]),
        ({"text": "ärger"}, [3]),
        ({"text": run_id_of(2)}, [2]),
        ({"text": "nowhere"}, []),
        ({"local_queues": ("nowhere",)}, []),
    ],
)
def test_filters(query: Json, found: list[int]) -> None:
    rows, total, cursor = index_of(*_FILTERED).select(RunQuery(**query))
    assert numbers(rows) == found
    assert total == len(found)
    assert cursor is None


@pytest.mark.parametrize("field", SORT_FIELDS)
def test_each_sort_both_ways_and_over_pages(field: str) -> None:
    shuffled = random.Random(7)
    entries = [
        entry_of(
            number,
            name=shuffled.choice(["b", "a", "c"]),
            state=shuffled.choice(["queued", "running"]),
            local_queue=shuffled.choice(["team-a", "team-b"]),
            finished_at=shuffled.choice([None, "2026-01-02T03:00:00Z", "2026-01-03T03:00:00Z"]),
        )
        for number in range(30)
    ]
    shuffled.shuffle(entries)
    index = index_of(*entries)
    expected = [
        int(entry.row["run_id"][-12:])
        for entry in sorted(entries, key=lambda one: (one.row[field] or "", one.row["run_id"]))
    ]
    assert pages_of(index, sort=field, limit=7) == expected
    assert pages_of(index, sort=f"-{field}", limit=7) == expected[::-1]


_STATES = st.sampled_from(["queued", "running", "failed"])
_QUEUES = st.sampled_from(["team-a", "team-b"])


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 9), st.none() | st.tuples(_STATES, _QUEUES)), max_size=40
    ),
    states=st.lists(_STATES, max_size=2, unique=True),
    local_queues=st.lists(_QUEUES, max_size=2, unique=True),
    text=st.sampled_from([None, "run 3", "nowhere"]),
)
def test_filters_stay_true_while_jobs_come_change_and_go(
    steps: list[tuple[int, tuple[str, str] | None]],
    states: list[str],
    local_queues: list[str],
    text: str | None,
) -> None:
    index = Index()
    there: dict[int, tuple[str, str]] = {}
    for number, now in steps:
        if now is None:
            there.pop(number, None)
            index.remove(run_id_of(number))
        else:
            there[number] = now
            index.put(entry_of(number, state=now[0], local_queue=now[1]))
    expected = [
        number
        for number, (state, local_queue) in sorted(there.items())
        if (not states or state in states)
        and (not local_queues or local_queue in local_queues)
        and (text is None or text in f"run {number}")
    ]
    query: Json = {"states": tuple(states), "local_queues": tuple(local_queues), "text": text}
    assert pages_of(index, sort="created_at", limit=3, **query) == expected
    assert index.select(RunQuery(limit=0, **query))[1] == len(expected)


def test_the_total_counts_what_matches_on_every_page() -> None:
    index = index_of(*(entry_of(number) for number in range(10)))
    _, total, cursor = index.select(RunQuery(limit=4))
    assert total == 10
    rows, total, _ = index.select(RunQuery(limit=4, cursor=cursor))
    assert (len(rows), total) == (4, 10)


def test_a_limit_of_zero_counts_only() -> None:
    index = index_of(entry_of(1), entry_of(2))
    assert index.select(RunQuery(limit=0)) == ([], 2, None)


def test_the_last_full_page_has_no_next() -> None:
    index = index_of(*(entry_of(number) for number in range(4)))
    _, _, cursor = index.select(RunQuery(limit=4))
    assert cursor is None


@settings(max_examples=60)
@given(
    there=st.sets(st.integers(0, 59), min_size=1),
    changes=st.lists(
        st.lists(st.tuples(st.booleans(), st.integers(0, 59)), max_size=6), max_size=8
    ),
    limit=st.integers(1, 5),
    sort=st.sampled_from(["created_at", "-created_at", "name", "-name"]),
)
def test_pages_neither_repeat_nor_skip_while_jobs_come_and_go(
    there: set[int], changes: list[list[tuple[bool, int]]], limit: int, sort: str
) -> None:
    def entry(number: int) -> Entry:
        return entry_of(number, name=f"{number * 7 % 10}")

    index = index_of(*map(entry, there))
    stayed = set(there)
    shown: list[int] = []
    cursor = None
    for step in [*changes, *([[]] * 60)]:
        rows, _, cursor = index.select(RunQuery(sort=sort, limit=limit, cursor=cursor))
        shown += numbers(rows)
        if cursor is None:
            break
        for comes, number in step:
            if comes:
                index.put(entry(number))
            else:
                stayed.discard(number)
                index.remove(run_id_of(number))
    assert cursor is None
    assert len(shown) == len(set(shown))
    assert stayed <= set(shown)


def forged(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "not a cursor",
        "é",
        "=" * 9,
        forged(),
        forged("-created_at", 1, 2),
        forged("-created_at", None, "x"),
        forged("-created_at", "x"),
        base64.urlsafe_b64encode(b"7").decode(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"\xff\xff\xff").decode(),
        base64.urlsafe_b64encode(b"[" * 99_999).decode(),
        forged("name", "x", "y"),  # of another sort
    ],
)
def test_a_cursor_that_was_not_given_is_refused(cursor: str) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        index_of(entry_of(1)).select(RunQuery(cursor=cursor))
    assert "start without it" in caught.value.fields["cursor"]


def test_every_wrong_field_of_a_query_is_named() -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        index_of().select(RunQuery(states=("done",), sort="-colour", limit=501))
    assert set(caught.value.fields) == {"state", "sort", "limit"}
    assert "succeeded" in caught.value.fields["state"]
    with pytest.raises(errors.InvalidRequestError, match="limit: must be from 0 to 500"):
        index_of().select(RunQuery(limit=-1))


@pytest.mark.timeout(
    60
)  # seconds even on a busy machine; a list that rescans per row takes minutes
def test_ten_thousand_jobs_are_listed_in_full() -> None:
    order = list(range(10_000))
    random.Random(7).shuffle(order)
    index = index_of(
        *(
            entry_of(number, created_at=f"2026-01-02T{number:06d}", name=f"{number % 100}")
            for number in order
        )
    )
    assert pages_of(index, sort="created_at", limit=500) == list(range(10_000))
    _, total, _ = index.select(RunQuery(text="JOB", sort="-name"))
    assert total == 0
    for number in order[:5_000]:
        index.remove(run_id_of(number))
    assert len(pages_of(index, limit=500)) == 5_000


@pytest.mark.parametrize("query", [{"sort": ""}, {"states": ("",)}, {"cursor": ""}])
def test_an_empty_value_is_none_of_those_there_are(query: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequestError):
        Index().select(RunQuery(**query))
