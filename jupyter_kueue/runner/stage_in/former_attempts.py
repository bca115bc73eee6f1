"""Whether the notebook may run again, given the records of former attempts.

It is checked before any input is fetched, so that a run also ends while no server is running. Pure.
Preempted attempts say so in their records and are not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import run_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.contract.sentences import Sentence

Json = dict[str, Any]

# For a run with more attempts, the last ones are enough.
MOST_READ = 50


class Verdict(NamedTuple):
    """Why the notebook does not run again: a reason of ``pod_contract`` and a sentence."""

    reason: str
    message: Sentence


def verdict(
    records: Iterable[Json], own_uid: str, max_evictions: int, max_retries: int
) -> Verdict | None:
    """Return why a run must end, None if its notebook may run once more.

    An attempt without an end in its record was killed with its pod: evicted, lost with its node, or
    killed for its memory. ``max_retries`` limits these as well.

    Args:
        records: the attempts' records, possibly with this one's.
        own_uid: the uid of this attempt.
        max_evictions: how often nodes may evict a run.
        max_retries: how often it may fail otherwise.
    """
    former = [record for record in records if record.get("pod_uid") != own_uid]
    for record in former:
        if record.get("reason") == pod_contract.DISK_FULL:
            said = str(record.get("message") or "") or None
            message = run_facts.stored_sentence(said, record.get("sentence"))
            return Verdict(
                pod_contract.DISK_FULL, message or say("disk-was-full", "The disk was full.")
            )
    evicted = sum(record.get("reason") == pod_contract.EVICTED for record in former)
    wordless = sum(
        bool(record.get("is_staged")) and record.get("ended_at") is None for record in former
    )
    if evicted > max_evictions or evicted + wordless > max_evictions + max_retries:
        return Verdict(
            pod_contract.EVICTED,
            say(
                "evicted-or-lost",
                "Its machines evicted it or were lost {count} times, so it is not "
                "retried. Run it again, with more memory or disk if it needs them.",
                "Its machine evicted it or was lost, so it is not retried. Run it again, with "
                "more memory or disk if it needs them.",
                count=evicted + wordless,
            ),
        )
    return None
