"""Whatever lies in the bucket or in the cluster under our labels: it costs one row at most.

Documents that are right but for one odd value in one place, wherever that is, go the way that they
go in a server: they are loaded, derived, listed, searched, described for jupyter-scheduler, sent.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from jupyter_kueue.domain import errors, job_manifest, names, run_facts, run_status, strict_json
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import ClusterFacts, Status
from jupyter_kueue.domain.run_query import SORT_FIELDS, RunQuery
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.schedule_record import ScheduleRecord
from jupyter_kueue.domain.schedule_request import ScheduleRequest
from jupyter_kueue.scheduler import definition_models, job_models
from jupyter_kueue.service.cluster_state import ClusterView
from jupyter_kueue.service.queues.local_queues import positions
from jupyter_kueue.service.runs import jobs_without_record, run_view
from jupyter_kueue.service.runs.run_index import Entry, Index
from jupyter_kueue.service.schedules import schedule_view
from jupyter_kueue.service.schedules.schedule_view import ScheduleRuns
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.schedule_records import ScheduleRecords
from jupyter_kueue.storage.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

NOW = dt.datetime(2026, 1, 2, 4, tzinfo=dt.UTC)
AT = "2026-01-02T03:04:05.000Z"
RUN_ID = "6a8e1a3e-9d83-4b7c-a7d3-0d5f1a9b2c3d"
OTHER_ID = "1b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10"
REQUEST = RunRequest(
    "reports/weekly.ipynb",
    name="weekly",
    resources=Resources(),
    parameters={"alpha": [1, "x"]},
    tags=("first",),
    annotations={"jupyter-scheduler/utc-offset": "+0100", "jupyter-scheduler/input-filename": "w"},
    timeout_seconds=60,
)
RECORD = RunRecord(
    run_id=RUN_ID,
    name="weekly",
    owner=Owner("Tess", "tess"),
    namespace="research",
    created_at=AT,
    request=REQUEST,
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
    schedule_id=OTHER_ID,
    empty_folders=("out",),
)
DOCUMENTS: dict[str, Json] = {
    "record.json": RECORD.as_json(),
    "accepted.json": {"job_name": f"nb-{RUN_ID}", "uid": "u"},
    "meta.json": {"name": "renamed", "tags": ["x"], "local_queue": "b", "priority_class": "c"},
    "stop.json": {"at": AT, "by": "Tess"},
    "result.json": {
        "outcome": "notebook-failed",
        "message": "said",
        "error": {
            "name": "ValueError",
            "value": "no",
            "cell_index": 1,
            "cell_source": "1/0",
            "traceback": ["line"],
        },
        "started_at": AT,
        "ended_at": AT,
        "cells": 3,
        "cells_done": 2,
        "files": [{"path": "a.ipynb", "size_bytes": 5, "sha256": "0", "role": "notebook"}],
        "format_errors": {"html": "why"},
    },
    "final.json": {"state": "stopped", "reason": "stopped", "message": "m", "finished_at": AT},
    "attempts/u.json": {
        "pod_uid": "pod-uid",
        "started_at": AT,
        "ended_at": AT,
        "reason": "killed",
        "message": "m",
        "cells_done": 1,
        "cells": 3,
        "cell_index": 1,
        "is_staged": True,
    },
}

ODD_TEXTS = (
    *("", "\ud800", "a\0b", "a\nb", "x" * 5000, "../../x", "/etc/passwd", ".", "nan", "inf"),
    *("NaN", "1e400", "-1", "9" * 400, "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
    *("2026-01-02T03:04:05", "2026-13-01T00:00:00Z", "%s%n", "{}", OTHER_ID, "😀", "running"),
)
ODD: Any = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(
        [None, True, 0, -1, 2**70, 10**400, 1e308, 0.5, [], {}, [[]], [None], [5], {"a": 1}, [{}]]
    ),
    st.text(st.characters(), max_size=5),
    st.recursive(st.integers(), st.lists, max_leaves=4),
)

# One of these runs beside five others, and no example is about time.
unhurried = settings(deadline=None)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document that has a value."""
    if path:
        yield path
    keys: Any = ()
    if isinstance(document, dict):
        keys = document
    elif isinstance(document, list):
        keys = range(len(document))
    for key in keys:
        yield from places(document[key], (*path, key))


def odd(document: Json) -> Any:
    """A strategy: the document with something odd, or nothing, in one place."""

    def changed(place: tuple[Any, ...], value: Any, is_gone: bool) -> Json:
        whole = copy.deepcopy(document)
        inner: Any = whole
        for key in place[:-1]:
            inner = inner[key]
        if is_gone:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        return whole

    return st.builds(changed, st.sampled_from(list(places(document))), ODD, st.booleans())


def stored(document: Json) -> bytes:
    """As anybody's encoder writes it, half characters and huge numbers too."""
    return json.dumps(document, default=lambda part: part.as_json()).encode()


def check_row(row: Json) -> None:
    """Do with a row what lists do with it, among others."""
    index = Index()
    other = run_view.build_row(
        run_facts.BucketFacts(RunRecord(**{**vars(RECORD), "run_id": OTHER_ID})), Status("queued")
    )
    index.put(Entry(other, None))
    index.put(Entry(row, None))
    for field in SORT_FIELDS:
        for sort in (field, f"-{field}"):
            first, total, cursor = index.select(RunQuery(sort=sort, limit=1))
            rest, _, _ = index.select(RunQuery(sort=sort, limit=1, cursor=cursor))
            assert {item["run_id"] for item in [*first, *rest]} == {RUN_ID, OTHER_ID}
            assert total == 2
    index.select(RunQuery(text="WEEK"))
    assert len(strict_json.encode(row)) < 20_000
    run = job_models.describe(row)
    # jupyter-scheduler writes its answers with Python's own encoder.
    json.dumps(run.dict(), allow_nan=False).encode()
    json.loads(json.dumps(run.dict()))
    assert "/" not in run.output_filename("ipynb")
    assert "/" not in job_models.stem(run.input_filename)
    index.remove(RUN_ID)


@unhurried
@given(data=st.data(), key=st.sampled_from(list(DOCUMENTS)), has_ended=st.booleans())
async def test_an_odd_document_of_a_run(data: st.DataObject, key: str, has_ended: bool):
    bucket = Bucket(MemoryStore(), "memory")
    records = Records(bucket, "tess")
    present = [*DOCUMENTS] if has_ended else ["record.json", "accepted.json", "meta.json", key]
    for name in dict.fromkeys(present):
        document = data.draw(odd(DOCUMENTS[name])) if name == key else DOCUMENTS[name]
        await bucket.put_bytes(f"tess/runs/{RUN_ID}/{name}", stored(document))
    facts = (await records.load(RUN_ID)).facts
    assert facts is not None
    assert facts.record.run_id == RUN_ID
    derived = run_status.derive(facts, ClusterFacts(), NOW, run_facts.Limits())
    row = run_view.build_row(facts, derived)
    check_row(row)
    strict_json.encode([run_view.build_attempts(facts), run_view.build_files(facts, [])])
    shown = strict_json.encode(run_view.build_error(facts))
    assert len(shown) < 200_000
    if facts.problem is not None:
        assert row["reason"] == run_status.UNREADABLE
        assert any(key in name for name in records.unreadable)


@unhurried
@given(data=st.data())
async def test_an_odd_row_among_those_of_finished_runs(data: st.DataObject):
    bucket = Bucket(MemoryStore(), "memory")
    facts = run_facts.BucketFacts(RECORD)
    row = run_view.build_row(facts, Status("failed", "killed", "m", "d", AT, AT, AT))
    segment = {"version": 1, "rows": [data.draw(odd(row))]}
    await bucket.put_bytes("tess/index/1.json", stored(segment))
    for found in await Summaries(bucket, "tess").load():
        if found["run_id"] == RUN_ID:
            check_row(found)


SCHEDULE = ScheduleRecord(
    schedule_id=OTHER_ID,
    name="nightly",
    owner=Owner("Tess", "tess"),
    namespace="research",
    created_at=AT,
    updated_at=AT,
    request=ScheduleRequest(
        "reports/weekly.ipynb",
        schedule="0 9 * * *",
        timezone="Europe/Berlin",
        end_date="2030-01-01T00:00:00Z",
        max_runs=5,
        resources=Resources(),
        tags=("x",),
    ),
    revision="r",
    input_id="i",
    local_queue="team-a",
)


@unhurried
@given(document=odd(SCHEDULE.as_json()))
async def test_an_odd_definition_of_a_schedule(document: Json):
    bucket = Bucket(MemoryStore(), "memory")
    records = ScheduleRecords(bucket, "tess")
    await bucket.put_bytes(f"tess/schedules/{OTHER_ID}/definition.json", stored(document))
    loaded = await records.load(OTHER_ID)
    record = loaded.record
    assert record is not None
    assert record.schedule_id == OTHER_ID
    due = schedule_view.next_run(record, NOW)
    message = schedule_view.build_message(record, 1, ScheduleRuns(), None, loaded.problem, NOW)
    row = schedule_view.build_row(record, None, 1, ScheduleRuns(), due, message)
    strict_json.encode(row)
    json.dumps(definition_models.describe(row).dict(), allow_nan=False).encode()
    assert (loaded.problem is None) == (not records.unreadable)


METADATA = {
    "name": f"nb-{RUN_ID}",
    "namespace": "research",
    "uid": "u",
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-02T03:04:05Z",
    "labels": {
        names.LABEL_RUN_ID: RUN_ID,
        names.LABEL_OWNER: "tess",
        names.KUEUE_JOB_UID: "u",
        names.KUEUE_QUEUE_NAME: "team-a",
    },
    "annotations": {names.ANNOTATION_NAME: "weekly", names.ANNOTATION_OWNER: "Tess"},
}


def condition(kind: str, **values: Any) -> Json:
    at = "2026-01-02T03:04:06Z"
    return {"type": kind, "status": "True", "reason": "R", "message": "m", "lastTransitionTime": at}


def container(name: str, **state: Any) -> Json:
    return {"name": name, "image": "i", "state": state, "lastState": {}}


def in_cluster() -> dict[str, Json]:
    """The objects of a run that failed."""
    run = job_manifest.build_job(RECORD, job_manifest.PodPolicy("registry.example/runner:1"))
    ended = {"exitCode": 137, "reason": "OOMKilled", "message": "m"}
    metadata = {**METADATA, "labels": {**METADATA["labels"], **run["metadata"]["labels"]}}
    return {
        "job": {
            "metadata": metadata,
            "spec": run["spec"],
            "status": {"conditions": [condition("Failed")]},
        },
        "pod": {
            "metadata": {**metadata, "uid": "pod-uid", "name": "pod"},
            "spec": {"nodeName": "n"},
            "status": {
                "phase": "Failed",
                "conditions": [condition("PodScheduled")],
                "initContainerStatuses": [container("stage-in", terminated=ended)],
                "containerStatuses": [container("notebook", terminated=ended)],
            },
        },
        "workload": {
            "metadata": {**metadata, "uid": "workload-uid", "name": "workload"},
            "spec": {"queueName": "team-a", "priority": 5, "active": True},
            "status": {
                "conditions": [condition("Evicted"), {**condition("QuotaReserved"), "status": ""}],
                "requeueState": {"count": 1, "requeueAt": "2026-01-02T05:00:00Z"},
                "schedulingStats": {"evictions": [{"reason": "R", "count": 2}]},
            },
        },
    }


@unhurried
@given(
    data=st.data(),
    kind=st.sampled_from(["job", "pod", "workload"]),
    has_ended=st.booleans(),
)
async def test_an_odd_object_in_the_cluster(data: st.DataObject, kind: str, has_ended: bool):
    objects = in_cluster()
    if not has_ended:
        objects["job"]["status"] = {}
    objects[kind] = data.draw(odd(objects[kind]))
    changed: list[str] = []
    view = ClusterView(
        None,  # type: ignore[arg-type]  # nothing is asked: the objects are handed in
        "research",
        "tess",
        on_run_change=lambda run_id, _ended: changed.append(run_id),
        on_queues=lambda: None,
    )
    for watched, name in ((view.jobs, "job"), (view.pods, "pod"), (view.workloads, "workload")):
        watched.note(objects[name])
    assert len(view.unreadable()) <= 1
    positions(view.pending_workloads(), "team-a")
    for run_id in [*view.run_ids(), RUN_ID]:
        cluster = ClusterFacts(
            view.facts(run_id).job, view.facts(run_id).workload, view.facts(run_id).pods
        )
        facts = run_facts.BucketFacts(RECORD, accepted={"job_name": f"nb-{RUN_ID}"})
        check_row(
            run_view.build_row(facts, run_status.derive(facts, cluster, NOW, run_facts.Limits()))
        )


@unhurried
@given(job=odd(in_cluster()["job"]))
def test_an_odd_job_that_nobody_submitted(job: Json):
    try:
        facts = jobs_without_record.facts_of(job, RUN_ID)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without a name, a time or a pod it is none; the reconciler shows that it is there.
        return
    # It may be recorded, and is read again then.
    assert RunRecord.from_json(strict_json.loads(strict_json.encode(facts.record.as_json())))
    check_row(run_view.build_row(facts, Status("queued")))


async def test_a_huge_object_is_not_read():
    bucket = Bucket(MemoryStore(), "memory")
    records = Records(bucket, "tess")
    await bucket.put_bytes(f"tess/runs/{RUN_ID}/record.json", b" " * (33 * 2**20))
    await bucket.put_bytes(f"tess/runs/{RUN_ID}/meta.json", b'{"a":' * 400_000)
    facts = (await records.load(RUN_ID)).facts
    assert facts is not None
    assert "has 34603008 bytes; the limit is 33554432" in str(facts.problem)
    assert "the limit is 1048576" in records.unreadable[f"tess/runs/{RUN_ID}/meta.json"]


async def test_what_was_corrected_or_deleted_is_not_named_any_more():
    bucket = Bucket(MemoryStore(), "memory")
    records = Records(bucket, "tess")
    await bucket.put_bytes(f"tess/runs/{RUN_ID}/record.json", b"{}")
    await records.load(RUN_ID)
    assert list(records.unreadable) == [f"tess/runs/{RUN_ID}/record.json"]
    await bucket.put_bytes(f"tess/runs/{RUN_ID}/record.json", stored(RECORD.as_json()))
    await records.load(RUN_ID)
    assert records.unreadable == {}
    await bucket.put_bytes(f"tess/runs/{RUN_ID}/record.json", b"{}")
    await records.load(RUN_ID)
    await records.purge(RUN_ID)
    assert records.unreadable == {}


async def test_another_runs_record_is_no_record_of_this_one():
    bucket = Bucket(MemoryStore(), "memory")
    records = Records(bucket, "tess")
    body = {**RECORD.as_json(), "run_id": OTHER_ID}
    await bucket.put_bytes(f"tess/runs/{RUN_ID}/record.json", stored(body))
    facts = (await records.load(RUN_ID)).facts
    assert facts is not None
    assert f"it belongs to tess/runs/{OTHER_ID}/" in str(facts.problem)
    assert facts.record.run_id == RUN_ID


def test_an_error_is_short_whatever_it_quotes():
    error = errors.InvalidRequestError({f"f{n}\ud800": "x" * 10_000 for n in range(1000)})
    assert len(error.fields) == errors.MAX_FIELDS
    assert len(error.message) <= errors.MAX_MESSAGE_LENGTH
    strict_json.encode(error.fields).decode()
    assert errors.NotFoundError("\ud800\0").message == "\N{REPLACEMENT CHARACTER}" * 2
