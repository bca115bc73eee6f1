"""What to show of a run and what to do next, from all that is known of it at one moment.

``decide`` is the only place where either is decided. It is pure and total: it reads nothing, waits
for nothing, and has an answer for any facts. Where a fact is missing, the answer is to read it;
whoever carries the actions out asks again with what they found.

Every action may be repeated, by this server or by another one at the same time: what is written
once says what is there, and what is deleted may be gone already.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from jupyter_kueue import patience
from jupyter_kueue.backoff import pause_by_age
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import names, run_status
from jupyter_kueue.domain.run_facts import Limits, Status
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.domain.times import parse_time, rfc3339

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import Job, Pod
    from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts

# How long a tombstone stays: rows of finished runs outlive them in summaries and in other servers'
# memory, and whatever a pod uploads late is removed.
TOMBSTONE_LIFE = dt.timedelta(days=1)
# Whoever decided that leftovers go has removed them by then, or was killed.
_CLEARING = dt.timedelta(seconds=60)
# In these states the cluster may have forgotten when a run began. One that waits again has not
# begun, and of one that has ended the bucket says it: each server shows the same.
_KEEPS_TIMES = ("starting", "running", "stopping")


class Stored(enum.Enum):
    """What the bucket has of a run."""

    UNREAD = "it has to be read"
    RECORDED = "a record"
    LEFTOVERS = "something, and no record: a submit that died or goes on"
    CLEARED = "the decision that a submit is not accepted"
    DELETED = "a tombstone"
    EMPTY = "nothing"
    LOST = "it could not be read for long"
    ENDED = "a record and an end, which the row shows"


@dataclass(frozen=True)
class RunFacts:
    """All that is known of one run.

    Attributes:
        bucket: what the records say. Of Stored.LOST and of a Job without a record, what the Job
            says of itself; of Stored.UNREAD, what was read before.
        is_current: the bucket was read after the cluster's objects were seen.
        is_confirmed: the API server itself was asked for the Job.
        has_more: beside the tombstone there is something else.
        tombstone_at: when the tombstone was written, None if it is not in the bucket (yet).
        newest_at: when the newest of the run's objects was written, None if that was not read.
        has_unknown_schedule: a CronJob made the Job, and its schedule is none of this bucket.
        is_refused: a CronJob made the Job, and its schedule has no run for it.
        admitted_at, started_at, finished_at: what the row shows, None where there is none.
        lost: why the records cannot be read, of Stored.LOST.
    """

    run_id: str
    stored: Stored
    cluster: ClusterFacts
    bucket: BucketFacts | None = None
    is_current: bool = False
    is_confirmed: bool = False
    has_more: bool = False
    tombstone_at: dt.datetime | None = None
    newest_at: dt.datetime | None = None
    has_unknown_schedule: bool = False
    is_refused: bool = False
    admitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    lost: Sentence | None = None


@dataclass(frozen=True)
class Rules:
    """What an admin decides.

    Attributes:
        limits: what may go wrong before a run fails, such as fetching its image.
        finished_job: how long the Job of a finished run stays, for kubectl's eyes.
        leftovers: how old the leftovers of a submit that never ended must be to go.
    """

    limits: Limits = Limits()  # noqa: RUF009 - frozen itself
    finished_job: dt.timedelta = dt.timedelta(hours=1)
    leftovers: dt.timedelta = dt.timedelta(minutes=15)


# --- What can be done ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ReadRecords:
    """Read what the bucket has of the run."""


@dataclass(frozen=True)
class ReadAge:
    """Find out when the newest of the run's objects was written."""


@dataclass(frozen=True)
class FindJob:
    """Ask the API server itself for a Job: the watch may lag behind."""

    name: str


@dataclass(frozen=True)
class ReadEvents:
    """Read the events about an object; what was read less than so many seconds ago will do."""

    about: Job | Pod
    max_age_seconds: float


@dataclass(frozen=True)
class Accept:
    """Finish a submit that died between its Job and the mark that it was accepted."""

    job_name: str
    job_uid: str


@dataclass(frozen=True)
class TakeIn:
    """Give a run that a CronJob made its records."""

    job: Job


@dataclass(frozen=True)
class RemoveLeftovers:
    """Decide that a submit is not accepted, if it was not yet, and remove what it left."""

    job_name: str


@dataclass(frozen=True)
class WriteEnd:
    """Write final.json, so that the end outlives the cluster's objects."""

    status: Status


@dataclass(frozen=True)
class DeleteJob:
    """Delete a Job and leave its pods to the garbage collector."""

    name: str


@dataclass(frozen=True)
class EndInCluster:
    """Delete a Job, if one is named, and then its pods: names and uids of those that go on.

    The garbage collector may need half a minute after an outage: until then a stopped run would
    go on, and could even succeed.
    """

    job_name: str | None
    pods: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Purge:
    """Delete all that the bucket has of a deleted run but its tombstone."""


@dataclass(frozen=True)
class ForgetRecords:
    """Delete all that the bucket has of a run, the tombstone too."""


@dataclass(frozen=True)
class LookAgain:
    """Look at the run again later; ``reread`` the bucket then, where nothing else shows news."""

    seconds: float
    reread: bool = False


Action: TypeAlias = (
    ReadRecords
    | ReadAge
    | FindJob
    | ReadEvents
    | Accept
    | TakeIn
    | RemoveLeftovers
    | WriteEnd
    | DeleteJob
    | EndInCluster
    | Purge
    | ForgetRecords
    | LookAgain
)


class Gone(enum.Enum):
    """In place of a status."""

    GONE = "there is no run to show"


GONE: Final = Gone.GONE


@dataclass(frozen=True)
class Decision:
    """What to show, and then what to do, in this order.

    Attributes:
        status: where the run stands; GONE where there is none to show; None where what is shown
            stays, since there is nothing new or something has to be found out first.
    """

    status: Status | Gone | None
    actions: tuple[Action, ...] = ()


def decide(facts: RunFacts, now: dt.datetime, rules: Rules) -> Decision:
    """Return what to show of a run and what to do next."""
    match facts.stored:
        case Stored.UNREAD:
            return Decision(None, (ReadRecords(),))
        case Stored.DELETED:
            return _clean_up(facts, now)
        case Stored.CLEARED:
            return _finish_clearing(facts, now, rules)
        case Stored.LEFTOVERS | Stored.EMPTY:
            return _without_record(facts, now, rules)
        case Stored.LOST:
            return _without_records(facts, now, rules)
        case Stored.ENDED:
            return _of_ended(facts, now, rules)
        case Stored.RECORDED:
            return _of_records(facts, now, rules)


def is_provisional(bucket: BucketFacts) -> bool:
    """Tell whether what is shown of these facts is never stored, and read again each time."""
    return bucket.problem is not None or not bucket.is_recorded


def _of_ended(facts: RunFacts, now: dt.datetime, rules: Rules) -> Decision:
    cluster = facts.cluster
    removal = _remove_job(cluster, facts.finished_at, now, rules)
    has_job_ended = cluster.job is not None and run_status.is_ended(cluster.job)
    if not removal and not has_job_ended and _in_cluster(cluster):
        # What ended it in the cluster may have failed; the records say whether it may go on.
        return Decision(None, (ReadRecords(),))
    return Decision(None, removal)


# --- A run with a record ------------------------------------------------------------------------


def _of_records(facts: RunFacts, now: dt.datetime, rules: Rules) -> Decision:
    bucket, cluster = facts.bucket, facts.cluster
    if bucket is None:
        return Decision(None, (ReadRecords(),))
    if is_provisional(bucket):
        return Decision(_status(facts, bucket, now, rules))
    has_end = bucket.result is not None or bucket.final is not None
    unfinished = None
    if bucket.accepted is None and not has_end:
        unfinished = _finish_submit(facts, bucket, now, rules)
    if unfinished is not None:
        return Decision(None, (unfinished,))
    is_seen = cluster.job is not None or not cluster.known or facts.is_confirmed
    if bucket.accepted is not None and not has_end and not is_seen:
        # A run that is stopped right after its submit has a Job that no watch has shown yet.
        return Decision(None, (FindJob(bucket.accepted["job_name"]),))
    starts = not has_end and bucket.stop is None
    about = run_status.wants_events(cluster, now) if starts else None
    if about is not None and cluster.events is None:
        return Decision(None, (ReadEvents(about, _events_pause_seconds(about, now)),))
    status = _status(facts, bucket, now, rules)
    if status.state in FINISHED_STATES:
        if not has_end and not facts.is_current:
            # The result may have come up a moment before, and a stop may have been asked.
            return Decision(None, (ReadRecords(),))
        if bucket.final is None:
            return Decision(None, (WriteEnd(_closing(status, facts, now)),))
        return Decision(status, _end(bucket, cluster, status, now, rules))
    return Decision(status, _go_on(bucket, cluster, about, now, starts=starts))


def _finish_submit(
    facts: RunFacts, bucket: BucketFacts, now: dt.datetime, rules: Rules
) -> Action | None:
    """Return how a submit that died after its record is finished, None while it may go on."""
    cluster, name = facts.cluster, names.job_name(facts.run_id)
    if (job := cluster.job) is not None:
        return Accept(job["metadata"]["name"], job["metadata"]["uid"])
    if not cluster.known or now - parse_time(bucket.record.created_at) <= rules.leftovers:
        return None
    return RemoveLeftovers(name) if facts.is_confirmed else FindJob(name)


def _status(facts: RunFacts, bucket: BucketFacts, now: dt.datetime, rules: Rules) -> Status:
    status = run_status.derive(bucket, facts.cluster, now, rules.limits)
    if status.state not in _KEEPS_TIMES:
        return status
    return dataclasses.replace(
        status,
        admitted_at=status.admitted_at or facts.admitted_at,
        started_at=status.started_at or facts.started_at,
    )


def _closing(status: Status, facts: RunFacts, now: dt.datetime) -> Status:
    """Return the end of a run with what only this server may know of its times."""
    return dataclasses.replace(
        status,
        admitted_at=status.admitted_at or facts.admitted_at,
        started_at=status.started_at or facts.started_at,
        finished_at=status.finished_at or rfc3339(now),
    )


def _end(
    bucket: BucketFacts, cluster: ClusterFacts, status: Status, now: dt.datetime, rules: Rules
) -> tuple[Action, ...]:
    """Return what ends what goes on in the cluster of a run that has ended."""
    job = cluster.job
    if job is None:
        return _in_cluster(cluster) if bucket.stop is not None else ()
    # A result of a Job that runs is about to be counted; one that was suspended after its result
    # (preempted in its last second) would run again.
    is_counted_soon = bucket.result is not None and not job["spec"].get("suspend")
    if not run_status.is_ended(job) and not is_counted_soon:
        return _in_cluster(cluster)
    return _remove_job(cluster, status.finished_at, now, rules)


def _remove_job(
    cluster: ClusterFacts, finished_at: str | None, now: dt.datetime, rules: Rules
) -> tuple[Action, ...]:
    """Return how the Job of a finished run goes, once it was there to be seen for long enough."""
    job = cluster.job
    if job is None or "deletionTimestamp" in job["metadata"]:
        return ()
    is_due = finished_at is None or now - parse_time(finished_at) > rules.finished_job
    would_run_again = bool(job["spec"].get("suspend")) and not run_status.is_ended(job)
    return (DeleteJob(job["metadata"]["name"]),) if is_due or would_run_again else ()


def _go_on(
    bucket: BucketFacts,
    cluster: ClusterFacts,
    about: Job | Pod | None,
    now: dt.datetime,
    *,
    starts: bool,
) -> tuple[Action, ...]:
    """Return what is due for a run that has not ended: end it, or look at it again in time."""
    if bucket.stop is not None:
        return _in_cluster(cluster)
    actions: list[Action] = []
    if about is not None:
        actions.append(LookAgain(_events_pause_seconds(about, now)))
    elif starts and run_status.wants_events(cluster, now + run_status.POD_PATIENCE) is not None:
        # In case it does not start.
        actions.append(LookAgain(run_status.POD_PATIENCE.total_seconds()))
    pod = run_status.current_pod(cluster)
    if pod is not None and run_status.is_staging(pod, bucket):
        # Only the bucket knows when the inputs are there.
        pause = pause_by_age(
            _seconds(now - parse_time(pod["metadata"]["creationTimestamp"])),
            patience.STAGING_SHORTEST_PAUSE_SECONDS,
            patience.STAGING_LONGEST_PAUSE_SECONDS,
        )
        actions.append(LookAgain(pause, reread=True))
    return tuple(actions)


def _events_pause_seconds(about: Job | Pod, now: dt.datetime) -> float:
    since = about.get("status", {}).get("startTime") or about["metadata"]["creationTimestamp"]
    return pause_by_age(
        _seconds(now - parse_time(since)),
        patience.START_EVENTS_SHORTEST_PAUSE_SECONDS,
        patience.START_EVENTS_LONGEST_PAUSE_SECONDS,
    )


# --- A run without ------------------------------------------------------------------------------


def _clean_up(facts: RunFacts, now: dt.datetime) -> Decision:
    """Remove what is left of a deleted run, in the cluster and then in the bucket."""
    cluster = facts.cluster
    if cluster.job is None and cluster.known and not facts.is_confirmed:
        return Decision(GONE, (FindJob(names.job_name(facts.run_id)),))
    if ending := _in_cluster(cluster):
        return Decision(GONE, ending)
    if not cluster.known or cluster.job is not None or run_status.remaining_pods(cluster, now):
        # A pod that goes may upload until it is gone; one on a lost node is waited for in vain.
        return Decision(GONE, (LookAgain(run_status.LOST_POD_PATIENCE.total_seconds()),))
    if not facts.is_current:
        return Decision(GONE, (ReadRecords(),))
    if facts.has_more:
        return Decision(GONE, (Purge(),))
    if facts.tombstone_at is not None and now - facts.tombstone_at > TOMBSTONE_LIFE:
        return Decision(GONE, (ForgetRecords(),))
    return Decision(GONE)


def _finish_clearing(facts: RunFacts, now: dt.datetime, rules: Rules) -> Decision:
    """Remove the rest of what was decided to be leftovers, if whoever began that has not."""
    if facts.newest_at is None:
        return Decision(GONE, (ReadAge(),))
    actions: list[Action] = []
    job = facts.cluster.job
    if job is not None and "deletionTimestamp" not in job["metadata"]:
        actions.append(DeleteJob(job["metadata"]["name"]))
    left = min(rules.leftovers, _CLEARING) - (now - facts.newest_at)
    is_due = left < dt.timedelta(0)
    actions.append(ForgetRecords() if is_due else LookAgain(_seconds(left)))
    return Decision(GONE, tuple(actions))


def _without_record(facts: RunFacts, now: dt.datetime, rules: Rules) -> Decision:
    """Decide on a Job that has no record, or on leftovers that have no Job."""
    cluster, job = facts.cluster, facts.cluster.job
    if job is not None and not facts.is_confirmed:
        if facts.is_refused:
            return Decision(GONE, (DeleteJob(job["metadata"]["name"]),))
        if is_scheduled(job) and not facts.has_unknown_schedule:
            return Decision(None, (TakeIn(job),))
        # A record is written before its Job and outlives it, so the Job is nobody's submit: shown
        # is what it says of itself, unless it is going.
        return Decision(None, (FindJob(job["metadata"]["name"]),))
    if job is not None and facts.bucket is not None:
        return Decision(_status(facts, facts.bucket, now, rules))
    if facts.stored is Stored.EMPTY or job is not None or not cluster.known:
        return Decision(GONE)
    # A submit that died before its record: nobody was told that this run exists.
    if facts.newest_at is None:
        return Decision(GONE, (ReadAge(),))
    left = rules.leftovers - (now - facts.newest_at)
    if left >= dt.timedelta(0):
        return Decision(GONE, (LookAgain(_seconds(left)),))
    return Decision(GONE, (RemoveLeftovers(names.job_name(facts.run_id)),))


def is_scheduled(job: Job) -> bool:
    """Tell whether a CronJob made the Job, so that nobody submitted it."""
    labels = job["metadata"].get("labels") or {}
    own = (names.LABEL_SCHEDULE_ID, names.LABEL_REVISION)
    return names.LABEL_RUN_ID not in labels and all(label in labels for label in own)


def _without_records(facts: RunFacts, now: dt.datetime, rules: Rules) -> Decision:
    """Show a run whose records cannot be read, as far as the cluster knows it."""
    status = None
    if facts.bucket is not None and facts.cluster.job is not None:
        status = _status(facts, facts.bucket, now, rules)
    # How it ended only the bucket knows; and it may have been stopped.
    if status is None or status.state in FINISHED_STATES:
        said = say(
            "records-not-read", "Its records cannot be read right now. Retrying automatically."
        )
        status = Status("queued", "unknown", said, facts.lost)
    return Decision(status)


def _in_cluster(cluster: ClusterFacts) -> tuple[Action, ...]:
    """Return what ends a run in the cluster, nothing where all of it has ended or is going."""
    job = cluster.job
    is_there = job is not None and "deletionTimestamp" not in job["metadata"]
    name = str(job["metadata"]["name"]) if job is not None and is_there else None
    pods = pods_to_end(cluster)
    return (EndInCluster(name, pods),) if name is not None or pods else ()


def pods_to_end(cluster: ClusterFacts) -> tuple[tuple[str, str], ...]:
    """Return names and uids of the pods that go on, as EndInCluster takes them."""
    return tuple(
        (str(pod["metadata"]["name"]), str(pod["metadata"]["uid"]))
        for pod in cluster.pods
        if run_status.goes_on(pod)
    )


def _seconds(length: dt.timedelta) -> float:
    return max(length.total_seconds(), 0.0)
