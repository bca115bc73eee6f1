"""What bucket and cluster contain about a run, and the status that follows. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract, sentences
from jupyter_kueue.domain import text_rules, times
from jupyter_kueue.domain.stored_types import MAX_STATUS_LENGTH, is_sentence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Event, Job, Pod, Workload
    from jupyter_kueue.domain.run_documents import Accepted, Attempt, Final, Meta, Result, Stop
    from jupyter_kueue.domain.run_record import RunRecord
    from jupyter_kueue.domain.run_row import State


@dataclass(frozen=True)
class BucketFacts:
    """The bucket's documents of one run; ``None`` for missing ones.

    Attributes:
        attempts: the attempts' documents, oldest first.
        is_recorded: False for a Job without a record: everything comes from the Job itself.
        problem: why a document of the run is invalid, None if all are valid.
    """

    record: RunRecord
    accepted: Accepted | None = None
    meta: Meta | None = None
    stop: Stop | None = None
    deleted: bool = False
    result: Result | None = None
    final: Final | None = None
    attempts: tuple[Attempt, ...] = ()
    is_recorded: bool = True
    problem: Sentence | None = None


@dataclass(frozen=True)
class ClusterFacts:
    """What the cluster says of one run; not ``known`` before the first list.

    Attributes:
        events: those about what keeps the run from starting: its Job if that gets no pod, otherwise
            its newest pod; None if they were not read.
        most: the most that a run can ever have of each resource in the run's queue, in base units;
            None if unknown.
    """

    job: Job | None = None
    workload: Workload | None = None
    pods: tuple[Pod, ...] = ()
    known: bool = True
    events: tuple[Event, ...] | None = None
    most: Mapping[str, Decimal] | None = None


@dataclass(frozen=True)
class Limits:
    """What an admin tolerates before a run fails.

    Attributes:
        max_evictions: how often nodes may evict a run; the next eviction fails it.
        start_timeout: how long an admitted run may fail to start.
    """

    max_evictions: int = pod_contract.DEFAULT_MAX_EVICTIONS
    start_timeout: dt.timedelta = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Status:
    """The status of a run. ``message`` is for users; ``detail`` quotes the cluster.

    Both may contain text from notebooks and the cluster, and have at most MAX_STATUS_LENGTH
    characters. ``admitted_at``, ``started_at`` and ``finished_at`` are RFC 3339 in UTC or None.
    """

    state: State
    reason: str | None = None
    message: Sentence | None = None
    detail: str | None = None
    admitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    def __post_init__(self) -> None:
        """Cut the texts, and drop invalid times: the cluster's objects may hold anything."""
        for field_name in ("reason", "message", "detail"):
            text = getattr(self, field_name)
            if text is not None:
                object.__setattr__(self, field_name, text_rules.said(text, MAX_STATUS_LENGTH))
        for field_name in ("admitted_at", "started_at", "finished_at"):
            if not times.is_moment(getattr(self, field_name)):
                object.__setattr__(self, field_name, None)

    def final(self) -> Final:
        """Return the final.json of a run that has ended.

        Raises:
            ValueError: it has not ended.
        """
        if self.state not in ("stopped", "succeeded", "failed"):
            raise ValueError(self.state)
        return {
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            "sentence": sentences.as_json(self.message),
            "detail": self.detail,
            "admitted_at": self.admitted_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
        }


def stored_sentence(text: str | None, stored: Any) -> Sentence | None:
    """Return a text from the bucket with the code and values stored with it, if they are valid."""
    if text is None:
        return None
    return sentences.restored(text, stored if is_sentence(stored, MAX_STATUS_LENGTH) else None)
