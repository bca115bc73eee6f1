"""Queues as users see them, in line with what the real Kueue says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.domain import errors
from jupyter_kueue.service.queues import local_queues
from jupyter_kueue.service.short_lived_cache import Cached

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def workload(
    uid: str, *conditions: Json, created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> Json:
    return {
        "metadata": {"uid": uid, "creationTimestamp": created},
        "spec": {"queueName": "team-a", "priority": 0, **spec},
        "status": {"conditions": list(conditions)},
    }


def condition(kind: str, status: str, reason: str = "", at: str = "2026-01-01T00:00:00Z") -> Json:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": at}


def test_the_line_is_by_priority_then_time_then_uid():
    found = [
        workload("d", created="2026-01-01T00:00:02Z"),
        workload("c", created="2026-01-01T00:00:01Z"),
        workload("b", created="2026-01-01T00:00:01Z"),
        workload("a", created="2026-01-01T00:00:09Z", priority=10),
    ]
    assert local_queues.positions(found, "team-a") == {"a": 0, "b": 1, "c": 2, "d": 3}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (workload("x", queueName="team-b"), "another queue"),
        (workload("x", condition("QuotaReserved", "True")), "it has its quota"),
        (workload("x", condition("Finished", "True")), "it has finished"),
        (workload("x", active=False), "it was deactivated"),
        (workload("x", condition("QuotaReserved", "False", "AdmissionGated")), "it is gated"),
    ],
)
def test_who_does_not_stand_in_the_line(other: Json, reason: str):
    mine = workload("mine", created="2026-02-01T00:00:00Z")
    assert local_queues.positions([other, mine], "team-a") == {"mine": 0}, reason


@pytest.mark.parametrize(
    ("reason", "place"),
    [("PodsReadyTimeout", 1), ("AdmissionCheck", 1), ("Preempted", 0), ("NodeFailures", 0)],
)
def test_some_evictions_send_to_the_end_of_the_line(reason: str, place: int):
    evicted = workload("evicted", condition("Evicted", "True", reason, "2026-01-03T00:00:00Z"))
    other = workload("other", created="2026-01-02T00:00:00Z")
    assert local_queues.positions([evicted, other], "team-a")["evicted"] == place


@given(st.permutations([(priority, second) for priority in (0, 5) for second in range(4)]))
def test_the_line_does_not_depend_on_the_order_of_what_was_read(order: list[tuple[int, int]]):
    found = [
        workload(f"{priority}-{second}", created=f"2026-01-01T00:00:0{second}Z", priority=priority)
        for priority, second in order
    ]
    expected = [f"{priority}-{second}" for priority in (5, 0) for second in range(4)]
    assert sorted(
        local_queues.positions(found, "team-a").items(), key=lambda item: item[1]
    ) == list(zip(expected, itertools.count()))


async def test_an_answer_is_read_once_for_all_who_ask():
    reads = itertools.count(1)

    async def read() -> int:
        return next(reads)

    cached = Cached(read, seconds=1000)
    assert [await cached.get() for _ in range(3)] == [1, 1, 1]


async def test_a_failure_is_not_kept():
    answers = iter([errors.ClusterUnavailableError("down"), "up"])

    async def read() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cached = Cached(read)
    with pytest.raises(errors.ClusterUnavailableError):
        await cached.get()
    assert await cached.get() == "up"


@pytest.mark.integration
async def test_queues_on_the_cluster(
    session: Any, namespace: Any, local_cluster: Any, write_notebook: Callable, eventually: Callable
):
    found = await session.application.queues()
    team_a, team_b = await found.list_local_queues()
    assert (team_a["name"], team_b["name"]) == namespace.local_queues
    assert team_a["cluster_queue"] == namespace.cluster_queues[0]
    assert team_a["active"]
    assert team_a["message"] is None
    assert team_a["resources"]["nvidia.com/gpu"] == {
        "used": 0,
        "cluster_queue_used": 0,
        "nominal": 2,
        "borrowed": 0,
        "limit": 4,
        "free": 4,
        "reclaimable": 0,
    }
    path = write_notebook("a.ipynb", "import time; time.sleep(600)")
    size = {"cpu": "100m", "memory": "64Mi", "gpus": 3}
    first = await session.submit(path, resources=size)
    await session.until(first["run_id"], lambda run: run["admitted_at"])
    waiting = [await session.submit(path, resources=size) for _ in range(2)]

    async def are_counted() -> bool:
        queue, _ = await found.list_local_queues()
        return queue["pending"] == 2 and queue["admitted"] == 1

    await eventually(are_counted)
    queue, _ = await found.list_local_queues()
    assert queue["resources"]["nvidia.com/gpu"]["used"] == 3

    async def is_lent() -> bool:
        lender = (await found.list_local_queues())[1]["resources"]["nvidia.com/gpu"]
        return (lender["free"], lender["reclaimable"]) == (1, 1)

    await eventually(is_lent)
    places = {}
    for run in waiting:
        shown = await session.until(run["run_id"], lambda run: run["position"])
        places[run["run_id"]] = shown["position"]
    assert sorted(place["local_queue"] for place in places.values()) == [0, 1]
    asked = local_cluster.kubectl(
        "get",
        "--raw",
        f"/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/{namespace.name}"
        "/localqueues/team-a/pendingworkloads",
    )
    for place in places.values():
        assert place["approximate"] is False
    assert asked.count('"positionInLocalQueue":') == 2


@pytest.mark.integration
async def test_none_of_many_runs_that_ask_for_too_much_waits_for_its_turn(
    session: Any, write_notebook: Callable, eventually: Callable
):
    path = write_notebook("a.ipynb", "import time; time.sleep(600)")
    too_much = {"cpu": "100m", "memory": "64Mi", "gpus": 16}
    blocked = [await session.submit(path, resources=too_much) for _ in range(4)]
    fills = await session.submit(path, resources={**too_much, "gpus": 4})
    await session.until(fills["run_id"], lambda run: run["admitted_at"])
    waits = await session.submit(path, resources={**too_much, "gpus": 3})

    for run in blocked:
        shown = await session.until(run["run_id"], lambda run: run["reason"] == "blocked")
        assert shown["message"].startswith(
            "Will not start: team-a has at most 4 GPUs, this run asks for 16 GPUs."
        )
        assert shown["position"] is None
    shown = await session.until(waits["run_id"], lambda run: "3 GPUs" in (run["message"] or ""))
    assert shown["message"] == "Waiting for 3 GPUs."
    # Those before it that never start hold up nobody.
    assert shown["position"]["local_queue"] == 0


@pytest.mark.integration
async def test_a_stopped_queue_takes_no_runs_and_says_so(
    session: Any, namespace: Any, local_cluster: Any, eventually: Callable
):
    found = await session.application.queues()
    assert found.resolve(None, None) == "team-a"
    assert found.resolve(None, "team-b") == "team-b"
    assert found.resolve("team-b", "team-a") == "team-b"
    stop = '{"spec": {"stopPolicy": "Hold"}}'
    arguments = ("-n", namespace.name, "--type=merge", "-p", stop)
    local_cluster.kubectl("patch", "localqueue", "team-a", *arguments)

    async def is_stopped() -> bool:
        queue, _ = await found.list_local_queues()
        return not queue["active"]

    await eventually(is_stopped)
    queue, _ = await found.list_local_queues()
    assert queue["message"] == "An admin paused it."
    with pytest.raises(
        errors.InvalidRequestError, match="local_queue: team-a is not accepting runs"
    ):
        found.resolve("team-a", None)
    assert found.resolve(None, None) == "team-b"
    with pytest.raises(errors.InvalidRequestError, match="local_queue: there is no queue nope"):
        found.resolve("nope", None)
    with pytest.raises(errors.NotConfiguredError, match="The setting local_queue"):
        found.resolve(None, "nope")
