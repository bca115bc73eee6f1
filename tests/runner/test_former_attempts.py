"""Whether a run's notebook makes sense once more, by what former attempts left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.stage_in import former_attempts
from jupyter_kueue.runner.stage_out import node_pressure
from jupyter_kueue.runner.stage_out.node_pressure import NodeRoom

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job

ENDED = "2026-01-02T03:09:00Z"


def record(number: int, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "pod_uid": f"pod-{number}",
        "reason": reason,
        "message": "Some words.",
        "is_staged": True,
        "ended_at": ENDED,
        **more,
    }


def verdict(*records: dict[str, Any], evictions: int = 3, retries: int = 0) -> str | None:
    found = former_attempts.verdict(records, "own", evictions, retries)
    return found.reason if found else None


def test_a_disk_that_was_filled_ends_the_run_with_the_words_of_then() -> None:
    records = [
        record(1, "kernel-died"),
        record(2, pod_contract.DISK_FULL),
        record(3, "interrupted"),
    ]
    found = former_attempts.verdict(records, "own", 3, 9)
    assert found == former_attempts.Verdict("disk-full", "Some words.")
    assert verdict(record(1, pod_contract.DISK_FULL, pod_uid="own")) is None


def test_evictions_are_counted_and_preemptions_are_not() -> None:
    preempted = [record(n, "interrupted") for n in range(40)]
    staging = [record(n, is_staged=False, ended_at=None) for n in range(40, 80)]
    evicted = [record(n, pod_contract.EVICTED) for n in range(80, 84)]
    assert verdict(*preempted, *staging, *evicted[:3]) is None
    assert verdict(*preempted, *staging, *evicted) == pod_contract.EVICTED
    assert verdict(*evicted[:2], evictions=1) == pod_contract.EVICTED
    assert verdict(evicted[0], evictions=0) == pod_contract.EVICTED


def test_attempts_that_left_no_word_are_counted_beyond_the_retries() -> None:
    wordless = [record(n, ended_at=None) for n in range(6)]
    assert verdict(*wordless[:3]) is None
    assert verdict(*wordless[:4]) == pod_contract.EVICTED
    assert verdict(*wordless[:5], retries=2) is None
    assert verdict(*wordless, retries=2) == pod_contract.EVICTED
    assert verdict(record(9, ended_at=None, pod_uid="own"), evictions=0) is None


@pytest.mark.parametrize(
    ("begin", "now", "short"),
    [
        (NodeRoom(8e9, 0.5, 0.9), NodeRoom(8e9, 0.5, 0.9), set()),
        (NodeRoom(8e9, 0.5, 0.9), NodeRoom(90e6, 0.5, 0.9), {"memory"}),
        (NodeRoom(8e9, 0.5, 0.9), NodeRoom(8e9, 0.09, 0.9), {"disk"}),
        (NodeRoom(8e9, 0.5, 0.9), NodeRoom(8e9, 0.5, 0.01), {"disk"}),
        # A node that was so from the start has other thresholds.
        (NodeRoom(90e6, 0.09, 0.9), NodeRoom(80e6, 0.08, 0.9), set()),
    ],
)
def test_what_a_node_has_run_short_of(begin: NodeRoom, now: NodeRoom, short: set[str]) -> None:
    assert node_pressure.arisen(begin, now) == short


def leave(run: Job, *records: dict[str, Any]) -> None:
    async def put() -> None:
        for one in records:
            key = f"{run.prefix}{pod_contract.ATTEMPTS_PREFIX}{one['pod_uid']}.json"
            await run.bucket.put_json(key, one)

    asyncio.run(put())


def test_a_pod_ends_well_and_at_once_where_the_run_cannot_go_on(
    new_run: Callable[..., Job],
) -> None:
    run = new_run("open('ran', 'w').close()")
    leave(run, record(1, pod_contract.DISK_FULL))

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED
    assert not (pod.folder / "workspace" / "ran").exists()
    assert run.result is None
    assert pod.attempt["reason"] == pod_contract.DISK_FULL
    assert pod.attempt["message"] == "Some words."
    assert pod.attempt["ended_at"]


def test_evictions_end_a_run_with_no_server_at_hand(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)")
    leave(run, *(record(n, ended_at=None) for n in range(2)))

    assert (
        run.run(**{pod_contract.ENV_MAX_EVICTIONS: "1"}).attempt["reason"] == pod_contract.EVICTED
    )
    assert run.result is None


def test_a_record_that_is_damaged_holds_nothing_up(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)")
    key = f"{run.prefix}{pod_contract.ATTEMPTS_PREFIX}pod-1.json"
    asyncio.run(run.bucket.put_bytes(key, b"{"))

    assert run.run().exit_code == pod_contract.EXIT_SUCCEEDED
    assert run.result["outcome"] == "succeeded"
