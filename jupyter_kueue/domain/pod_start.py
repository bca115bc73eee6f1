"""What keeps an admitted run from starting, and how long that may last.

Examples: its pod is refused, its node is full, its image is being pulled or cannot be pulled. Pure.
Reasons and texts are Kubernetes': ``pkg/kubelet/events/event.go``, ``pkg/kubelet/images``,
``pkg/controller/controller_utils.go``, and the admission plug-ins ResourceQuota, LimitRanger and
PodSecurity.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import all_of, say
from jupyter_kueue.domain import pod_containers, quantities
from jupyter_kueue.domain.times import parse_time, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.contract.sentences import Sentence
    from jupyter_kueue.domain.kubernetes_objects import ContainerStatus, Event, Pod

# How long an obstacle that waiting cannot remove is shown before it fails the run: an admin who is
# fixing it can see it, and a brief refusal does no harm.
_HOPELESS_AFTER = dt.timedelta(seconds=60)
# An image that lacks a program lacks it at every try.
_AT_ONCE = dt.timedelta(0)

_CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_NOT_YET = ("ContainerCreating", "PodInitializing")
_CANNOT_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_CANNOT_SET_UP = (
    "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox",
    "FailedCreatePodContainer", "FailedPrepareDynamicResources", "NetworkNotReady",
)  # fmt: skip
_NO_SPACE = ("no space left on device", "disk quota exceeded", "inodes exhausted")
# How runc, crun and the local node report a program that is not in the image.
_NO_PROGRAM = re.compile(
    r"executable file .*not found|exec: .*no such file or directory|not found in \$PATH"
    r"|No such file or directory \(os error 2\)",
    re.IGNORECASE,
)
_NO_PACKAGE = re.compile(r"No module named '?(?P<module>[\w.]+)|cannot import name")
_NOT_BEGUN = ("StartError", "ContainerCannotRun")
_STAGING = (pod_contract.STAGE_IN, pod_contract.STAGE_OUT, pod_contract.EXPORT)

_CREATING = re.compile(
    r'^Error creating: (?:pods? "[^"]*" is (?:forbidden|invalid): )?', re.IGNORECASE
)
_QUOTA = re.compile(
    r"exceeded quota: \S+, requested: (?P<asked>.+?), used: .+?, limited: (?P<limit>.+)"
)
_UNSET_IN_QUOTA = re.compile(r"failed quota: .*?must specify (?P<resources>.+)")
# The setting that provides what a ResourceQuota may require of every container.
_SETTINGS = {
    "limits.cpu": "cpu_limit",
    "requests.ephemeral-storage": "ephemeral_storage_request",
    "limits.ephemeral-storage": "ephemeral_storage_limit",
}
_POD_SECURITY = "violates PodSecurity"
_LIMIT_RANGE = re.compile(r"(?:maximum|minimum) \S+ usage per|max limit to request ratio")
_INVALID = re.compile(r'^Error creating: Pod "[^"]*" is invalid', re.IGNORECASE)


@dataclass(frozen=True)
class Obstacle:
    """Why a run has not started.

    Attributes:
        reason, message, detail: as in ``run_facts.Status``.
        since: its start, None if it is unknown (yet) or does not matter.
        failure: the message if it has lasted for too long; None if it may last.
        patience: how long it may last, if that is shorter than for what may pass.
    """

    reason: str
    message: Sentence
    detail: str | None = None
    since: dt.datetime | None = None
    failure: Sentence | None = None
    patience: dt.timedelta | None = None

    def has_lasted(self, now: dt.datetime, patience: dt.timedelta) -> bool:
        """Return whether the run has to fail; ``patience`` applies to what may pass."""
        if self.failure is None or self.since is None:
            return False
        own = patience if self.patience is None else min(patience, self.patience)
        return now - self.since >= own


def in_words(patience: dt.timedelta) -> Sentence:
    """Return a duration in words."""
    seconds = int(patience.total_seconds())
    if seconds % 60 or not seconds:
        return say("seconds", "{count} seconds", "{count} second", count=seconds)
    minutes = seconds // 60
    if minutes == 1:
        return say("a-minute", "a minute")
    return say("minutes", "{count} minutes", "{count} minute", count=minutes)


# --- Before there is a pod ----------------------------------------------------------------------


def refusal(events: Iterable[Event], since: dt.datetime, patience: dt.timedelta) -> Obstacle | None:
    """Return why the API server takes no pod of a Job, None if it has refused none.

    Args:
        events: the Events about the Job.
        since: when the Job was resumed, or its last pod created: earlier refusals are over.
        patience: how long refusals may last, for the message.
    """
    refused = [
        event for event in events if event["reason"] == "FailedCreate" and _last(event) >= since
    ]
    if not refused:
        return None
    detail = _CREATING.sub("", str(max(refused, key=_last).get("message") or ""))
    hopeless, message = _of_refusal(str(max(refused, key=_last).get("message") or ""))
    return Obstacle(
        "pod-refused",
        message
        if hopeless
        else say("retrying-automatically", "{what} Retrying automatically.", what=message),
        detail,
        since=max(since, min(_first(event) for event in refused)),
        failure=message
        if hopeless
        else say(
            "refused-for",
            "{what} This went on for {time}. Run it again later.",
            what=message,
            time=in_words(patience),
        ),
        patience=_HOPELESS_AFTER if hopeless else None,
    )


def _of_refusal(text: str) -> tuple[bool, Sentence]:
    """Return whether waiting for the end of a refusal is useless, and its message."""
    if match := _QUOTA.search(text):
        too_much = _over(match["asked"], match["limit"])
        if too_much:
            return True, say(
                "refused-over-quota",
                "The cluster refused its pod: it requests more "
                "{resource} than the namespace's ResourceQuota allows. "
                "Request less, or ask an admin for more.",
                resource=too_much,
            )
        return False, say(
            "refused-quota-used-up",
            "The cluster refused its pod: the namespace's ResourceQuota is used up.",
        )
    if match := _UNSET_IN_QUOTA.search(text):
        # "limits.cpu for: notebook,stage-in; requests.x for: notebook", or names alone in older
        # versions.
        named = re.findall(r"([\w./-]+) for:", match["resources"]) or match["resources"].split(",")
        settings = [_SETTINGS[resource] for resource in named if resource in _SETTINGS]
        if settings:
            return True, say(
                "refused-quota-demands-settings",
                "The cluster refused its pod: the namespace's "
                "ResourceQuota requires {resources} for every container. "
                "Ask an admin to set {settings}.",
                resources=all_of(named),
                settings=all_of(settings),
            )
        return True, say(
            "refused-quota-demands",
            "The cluster refused its pod: the namespace's ResourceQuota "
            "requires {resources} for every container. Ask an admin to "
            "set defaults in a LimitRange.",
            resources=all_of(named),
        )
    if _POD_SECURITY in text:
        return True, say(
            "refused-pod-security",
            "The cluster refused its pod: the namespace's pod security "
            "standard does not allow it. Ask an admin to look at "
            "pod_template and the details.",
        )
    if _LIMIT_RANGE.search(text):
        return True, say(
            "refused-limit-range",
            "The cluster refused its pod: the request is outside the "
            "namespace's LimitRange. Request an amount that the details "
            "allow, or ask an admin.",
        )
    if _INVALID.search(text):
        return True, say(
            "refused-invalid",
            "The cluster refused its pod, because it is not valid. Ask "
            "an admin to look at pod_template and the details.",
        )
    return False, say(
        "refused", "The cluster refused its pod. Ask an admin to look at the details."
    )


def _over(asked: str, limit: str) -> str | None:
    """Return how much of a request exceeds a total limit, None if it would fit."""
    most = _amounts(limit)
    for resource, amount in _amounts(asked).items():
        if resource in most and amount > most[resource]:
            return resource
    return None


def _amounts(text: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        resource, _, amount = part.strip().partition("=")
        try:
            found[resource] = float(quantities.parse(amount))
        except ValueError:
            continue
    return found


# --- On its node --------------------------------------------------------------------------------


def of_pod(
    pod: Pod, events: Iterable[Event] | None, environment: str, patience: dt.timedelta
) -> Obstacle | None:
    """Return why the containers of a pod with a node do not run, None if nothing is known.

    Args:
        pod: the pod.
        events: the Events about the pod; None until they are read.
        environment: the notebook container's image.
        patience: how long what may pass may last, for the message.
    """
    known = list(events or ())
    if fault := image_fault(pod, environment):
        return fault
    for status in pod_containers.statuses(pod):
        if found := _of_container(pod, status, known, environment, patience):
            return found
    if any(pod_containers.waiting_reason(status) for status in pod_containers.statuses(pod)):
        return _of_set_up(known, patience) or _pulling(pod, known, environment)
    if not pod_containers.statuses(pod):
        return _of_set_up(known, patience)
    return None


def _of_container(
    pod: Pod,
    status: ContainerStatus,
    events: list[Event],
    environment: str,
    patience: dt.timedelta,
) -> Obstacle | None:
    reason = pod_containers.waiting_reason(status)
    detail = (status.get("state", {}).get("waiting") or {}).get("message")
    if reason in _NOT_YET and (failed := _failed_pull(events, status["name"])):
        # The kubelet's event comes seconds before the pod's status.
        reason, detail = _CANNOT_PULL[0], str(failed.get("message") or "")
    is_staging = status["name"] in _STAGING
    image = str(status.get("image") or environment)
    since = _failing_since(status["name"], events)
    lasted = in_words(patience)
    if reason in _CANNOT_PULL:
        if reason == "InvalidImageName":
            text = _no_image_name(image, is_staging=is_staging)
            return Obstacle("image-pull", text, detail, since, text, _HOPELESS_AFTER)
        if any(mark in str(detail) for mark in _NO_SPACE):
            return _full_node(str(detail), since, patience)
        fetching, failure = _not_fetched(image, lasted, is_staging=is_staging)
        return Obstacle("image-pull", fetching, detail, since, failure)
    if reason in _CANNOT_CREATE:
        if _NO_PROGRAM.search(str(detail)):
            return _no_python(pod, image, is_staging=is_staging, detail=str(detail))
        if any(mark in str(detail) for mark in _NO_SPACE):
            return _full_node(str(detail), since, patience)
        return Obstacle(
            "container-config",
            say(
                "container-config",
                "The cluster cannot set it up. Ask an admin to look at the details.",
            ),
            detail,
            since,
            say(
                "container-config-for",
                "Setting it up kept failing for {time}. Ask an admin to look at the details.",
                time=lasted,
            ),
        )
    return None


def _no_image_name(image: str, *, is_staging: bool) -> Sentence:
    if is_staging:
        return say(
            "runner-image-name",
            "The runner image's name is not valid: {image}. Ask an admin to check runner_image.",
            image=image,
        )
    return say(
        "environment-name",
        "The environment's image name is not valid: {image}. Correct it.",
        image=image,
    )


def _not_fetched(image: str, lasted: Sentence, *, is_staging: bool) -> tuple[Sentence, Sentence]:
    """Return the messages for an image that cannot be pulled, now and after too long."""
    if is_staging:
        return (
            say(
                "runner-image-not-fetched",
                "Cannot fetch the runner image {image}. Ask an admin to check "
                "runner_image. Retrying automatically.",
                image=image,
            ),
            say(
                "runner-image-not-fetched-for",
                "Fetching the runner image {image} kept failing for {time}. Ask an "
                "admin to check runner_image.",
                image=image,
                time=lasted,
            ),
        )
    return (
        say(
            "environment-not-fetched",
            "Cannot fetch the environment {image}. Check its name. Retrying automatically.",
            image=image,
        ),
        say(
            "environment-not-fetched-for",
            "Fetching the environment {image} kept failing for {time}. Check its name.",
            image=image,
            time=lasted,
        ),
    )


def image_fault(pod: Pod, environment: str) -> Obstacle | None:
    """Return what an image lacks, as a container says that has ended; None if it says nothing.

    A sidecar that ends is restarted again and again, so its last end counts as well.
    """
    for status in pod_containers.statuses(pod):
        if found := _fault_of(pod, status, str(status.get("image") or environment)):
            return found
    return None


def _fault_of(pod: Pod, status: ContainerStatus, image: str) -> Obstacle | None:
    is_staging = status["name"] in _STAGING
    for state in (status.get("state", {}), status.get("lastState", {})):
        ended = state.get("terminated")
        if not ended:
            continue
        said = str(ended.get("message") or "")
        # Once a program has started, it could report anything.
        if ended.get("reason") in _NOT_BEGUN and _NO_PROGRAM.search(said):
            return _no_python(pod, image, is_staging=is_staging, detail=said)
        if is_staging and _NO_PACKAGE.search(said):
            text = say(
                "runner-image-without-package",
                "The runner image {image} does not contain this version of "
                "jupyter-kueue. Ask an admin to set runner_image to an image "
                "that does.",
                image=image,
            )
            return Obstacle("runner-image", text, said, _since(pod), text, _AT_ONCE)
    return None


def _no_python(pod: Pod, image: str, *, is_staging: bool, detail: str) -> Obstacle:
    if is_staging:
        text = say(
            "runner-image-without-python",
            "The runner image {image} has no `python`. Ask an admin to check runner_image.",
            image=image,
        )
        return Obstacle("runner-image", text, detail, _since(pod), text, _AT_ONCE)
    text = say(
        "environment-without-python",
        "The environment {image} has no `python`. Choose an image with Python in its PATH.",
        image=image,
    )
    return Obstacle(pod_contract.NO_KERNEL, text, detail, _since(pod), text, _AT_ONCE)


def _of_set_up(events: list[Event], patience: dt.timedelta) -> Obstacle | None:
    failed = [event for event in events if event["reason"] in _CANNOT_SET_UP]
    if not failed:
        return None
    last = max(failed, key=_last)
    begun = [event for event in events if event["reason"] in ("Pulling", "Pulled", "Created")]
    if any(_last(event) >= _last(last) for event in begun):
        return None  # it passed
    since = min(_first(event) for event in failed)
    detail = str(last.get("message") or "")
    if any(mark in detail.lower() for mark in _NO_SPACE):
        return _full_node(detail, since, patience)
    return Obstacle(
        "pod-setup",
        say(
            "pod-setup",
            "Its machine cannot set it up. Retrying automatically; ask an admin to "
            "look at the details.",
        ),
        detail,
        since,
        say(
            "pod-setup-for",
            "Its machine kept failing to set it up for {time}. Ask an admin to look "
            "at the details.",
            time=in_words(patience),
        ),
    )


def _full_node(detail: str, since: dt.datetime | None, patience: dt.timedelta) -> Obstacle:
    return Obstacle(
        "node-full",
        say(
            "node-full",
            "The disk of its machine is full, so it cannot start there. Retrying "
            "automatically; an admin can free space.",
        ),
        detail,
        since,
        say(
            "node-full-for",
            "The disk of its machine was full for {time}. Run it again, or ask an admin.",
            time=in_words(patience),
        ),
    )


def _pulling(pod: Pod, events: list[Event], environment: str) -> Obstacle | None:
    """Return which image is being fetched, None where none is."""
    for status in pod_containers.statuses(pod):
        if not pod_containers.waiting_reason(status):
            continue
        latest = _latest_of_pull(events, status["name"])
        if latest is not None and latest["reason"] == "Pulling":
            image = str(status.get("image") or environment)
            return Obstacle(
                "pulling",
                say("fetches-runner-image", "Fetching the runner image {image}.", image=image)
                if status["name"] in _STAGING
                else say("fetches-environment", "Fetching the environment {image}.", image=image),
            )
    return None


def stand_ins(pod: Pod) -> tuple[Event, ...]:
    """Return what stands for the events about a pod where nobody may read them.

    Each waiting container counts as failing since the pod got its node, when the kubelet began to
    pull its images.
    """
    since = rfc3339(_since(pod))
    return tuple(
        {
            "metadata": {"creationTimestamp": since},
            "type": "Warning",
            "reason": "Failed",
            "firstTimestamp": since,
            "involvedObject": {"fieldPath": f"{{{status['name']}}}"},
        }
        for status in pod_containers.statuses(pod)
    )


def _latest_of_pull(events: list[Event], container: str) -> Event | None:
    told = [
        event
        for event in events
        if event["reason"] in ("Pulling", "Pulled", "Failed") and _is_about(event, container)
    ]
    # Of events in the same second, the one other than Pulling is the later one.
    return max(told, key=lambda event: (_last(event), event["reason"] != "Pulling"), default=None)


def _failed_pull(events: list[Event], container: str) -> Event | None:
    """Return the event that says why fetching a container's image failed, None if it did not."""
    latest = _latest_of_pull(events, container)
    if latest is None or latest["reason"] != "Failed":
        return None
    why = [
        event
        for event in events
        if event["reason"] == "Failed"
        and _is_about(event, container)
        and str(event.get("message")).startswith("Failed to pull image")
    ]
    return max(why, key=_last, default=None)


def _failing_since(container: str, events: Iterable[Event]) -> dt.datetime | None:
    """Return when a container first failed to start, None while no event says so.

    Events are kept for an hour after their last repetition (kube-apiserver's --event-ttl).
    """
    told = (
        _first(event)
        for event in events
        if event.get("type") == "Warning" and _is_about(event, container)
    )
    return min(told, default=None)


def _is_about(event: Event, container: str) -> bool:
    return str(event.get("involvedObject", {}).get("fieldPath", "")).endswith(f"{{{container}}}")


def bound_at(pod: Pod) -> dt.datetime | None:
    """Return when a pod got its node, None while it has none."""
    for condition in pod_containers.conditions(pod):
        if condition["type"] == "PodScheduled" and condition["status"] == "True":
            return parse_time(condition["lastTransitionTime"])
    return None


def _since(pod: Pod) -> dt.datetime:
    return bound_at(pod) or parse_time(pod["metadata"]["creationTimestamp"])


def _first(event: Event) -> dt.datetime:
    return parse_time(
        event.get("firstTimestamp")
        or event.get("eventTime")
        or event.get("lastTimestamp")
        or event["metadata"]["creationTimestamp"]
    )


def _last(event: Event) -> dt.datetime:
    series = event.get("series")
    return parse_time(
        (series.get("lastObservedTime") if series else None)
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("firstTimestamp")
        or event["metadata"]["creationTimestamp"]
    )
