"""The verbs this package uses on the cluster, and whether this user has them.

``service.health`` calls ``find_missing``. The table is what the documented Role must hold, which a
test compares.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources
from jupyter_kueue.contract.sentences import say

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.contract.sentences import Sentence

Json = dict[str, Any]

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Role:
    """A role that an admin binds; ``namespace`` is where, None for the runs' own."""

    kind: str
    name: str
    namespace: str | None

    @property
    def is_of_cluster(self) -> bool:
        """Whether it holds in the whole cluster."""
        return self.kind == "ClusterRole"

    def namespace_for(self, namespace: str) -> str:
        """Return where it is bound for runs in ``namespace``; empty for the whole cluster."""
        return "" if self.is_of_cluster else self.namespace or namespace


USER = Role("Role", "jupyter-kueue-user", None)
QUOTA_READER = Role("ClusterRole", "jupyter-kueue-quota-reader", None)
VERSION_READER = Role("Role", "jupyter-kueue-version-reader", resources.KUEUE_NAMESPACE)


@dataclass(frozen=True)
class Permission:
    """Verbs on one kind of object, and what does not work without them.

    Attributes:
        is_needed: without it no run can be submitted or followed.
        role: which of the documented roles gives it.
        name: the one object meant, empty for all of the kind.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    without: Sentence
    is_needed: bool = True
    role: Role = USER
    name: str = ""


PERMISSIONS = (
    Permission(
        "batch",
        "jobs",
        ("get", "list", "watch", "create", "patch", "delete"),
        say("without-jobs", "runs cannot be submitted, followed or stopped"),
    ),
    Permission(
        "batch",
        "cronjobs",
        ("list", "watch", "create", "patch", "delete"),
        say("without-cron-jobs", "schedules cannot be created, changed or seen"),
        is_needed=False,
    ),
    Permission(
        "",
        "pods",
        ("list", "watch"),
        say("without-pods", "the reason why a run does not start or fails is unknown"),
    ),
    Permission(
        "",
        "events",
        ("list",),
        say("without-events", "there is less detail about why a run does not start"),
        is_needed=False,
    ),
    Permission(
        "",
        "pods",
        ("delete",),
        say(
            "without-deleting-pods",
            "a run that is stopped after a cluster outage may go on for half a minute",
        ),
        is_needed=False,
    ),
    Permission(
        "",
        "pods/log",
        ("get",),
        say("without-pod-logs", "logs are not shown until a run has ended"),
        is_needed=False,
    ),
    Permission(
        "",
        "configmaps",
        ("list",),
        say("without-config-maps", "profiles and environments from ConfigMaps are not available"),
        is_needed=False,
    ),
    Permission(
        "kueue.x-k8s.io",
        "workloads",
        ("list", "watch"),
        say("without-workloads", "the progress of runs through the queue is unknown"),
    ),
    Permission(
        "kueue.x-k8s.io",
        "localqueues",
        ("list", "watch"),
        say("without-local-queues", "no queue can be chosen"),
    ),
    Permission(
        "visibility.kueue.x-k8s.io",
        "localqueues/pendingworkloads",
        ("get",),
        say("without-position-api", "positions among all teams' runs are not shown"),
        is_needed=False,
    ),
    Permission(
        "kueue.x-k8s.io",
        "clusterqueues",
        ("list",),
        say("without-cluster-queues", "limits of queues are not shown"),
        is_needed=False,
        role=QUOTA_READER,
    ),
    Permission(
        "kueue.x-k8s.io",
        "cohorts",
        ("list",),
        say("without-cohorts", "how much can be borrowed is not shown"),
        is_needed=False,
        role=QUOTA_READER,
    ),
    Permission(
        "kueue.x-k8s.io",
        "workloadpriorityclasses",
        ("list",),
        say("without-priority-classes", "priority classes cannot be offered or checked"),
        is_needed=False,
        role=QUOTA_READER,
    ),
    Permission(
        "apps",
        "deployments",
        ("get",),
        say("without-kueue-version", "Kueue's version is unknown"),
        is_needed=False,
        role=VERSION_READER,
        name=resources.KUEUE_DEPLOYMENT,
    ),
)


async def find_missing(
    connection: Connection, namespace: str, timeout_seconds: float
) -> list[tuple[Permission, tuple[str, ...]]]:
    """Return each permission that is not there whole, with the verbs that are missing.

    Raises:
        ClusterUnavailableError: the API server does not answer in time.
    """
    questions = [(item, verb) for item in PERMISSIONS for verb in item.verbs]
    async with asyncio.timeout(timeout_seconds):
        answers = await asyncio.gather(
            *(_is_allowed(connection, item, verb, namespace) for item, verb in questions)
        )
    missing: dict[Permission, tuple[str, ...]] = {}
    for (item, verb), is_allowed in zip(questions, answers, strict=True):
        if not is_allowed:
            missing[item] = (*missing.get(item, ()), verb)
    return list(missing.items())


async def _is_allowed(
    connection: Connection, permission: Permission, verb: str, namespace: str
) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {
        "group": permission.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
        "namespace": permission.role.namespace_for(namespace),
        "name": permission.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await connection.create(_REVIEWS, review)
    return answer.get("status", {}).get("allowed") is True
