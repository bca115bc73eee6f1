"""What former attempts say of the next one: whether it makes sense to run the notebook again.

``staging`` asks before it fetches anything, so that a run which can't go on ends also while no
server is up. Pure. Preempted attempts say so in their records, and are not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_kueue import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

# Of a run that was preempted more often, the last ones say enough.
MOST_READ = 50


class Verdict(NamedTuple):
    """Why the notebook is not run again: one of the reasons of contract, and a sentence."""

    reason: str
    message: str


def verdict(
    records: Iterable[Json], own_uid: str, max_evictions: int, max_retries: int
) -> Verdict | None:
    """Return why a run must end, None if its notebook may run once more.

    An attempt that left no last word was killed with its pod: evicted, lost with its node, or
    killed for its memory, which ``max_retries`` allows for.

    Args:
        records: those of the attempts, this one's own may be among them.
        own_uid: this attempt's.
        max_evictions: how often nodes may evict a run.
        max_retries: how often it may fail otherwise.
    """
    former = [record for record in records if record.get("pod_uid") != own_uid]
    for record in former:
        if record.get("reason") == contract.DISK_FULL:
            return Verdict(contract.DISK_FULL, str(record.get("message") or "The disk was full."))
    evicted = sum(record.get("reason") == contract.EVICTED for record in former)
    wordless = sum(
        bool(record.get("is_staged")) and record.get("ended_at") is None for record in former
    )
    if evicted > max_evictions or evicted + wordless > max_evictions + max_retries:
        return Verdict(
            contract.EVICTED,
            f"Its nodes evicted it or were lost {evicted + wordless} times, and it is not tried "
            "again. Run it again, with more memory or disk if it needs them.",
        )
    return None
