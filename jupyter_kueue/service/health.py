"""What this server found, what is missing, and how to mend it.

``server.health`` asks. Each check runs by itself and within a few seconds, so that one thing that
is down does not hide the others. No credential ever appears in an answer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import re
from typing import TYPE_CHECKING, Any, cast, overload
from urllib.parse import urlsplit, urlunsplit

from jupyter_kueue import __version__, patience
from jupyter_kueue.cluster import resources
from jupyter_kueue.cluster.availability import STARTING_UP
from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import Sentence, foreign, say
from jupyter_kueue.domain import errors, names, run_facts, text_rules
from jupyter_kueue.service import permissions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.config import Settings
    from jupyter_kueue.domain.choices import Profile
    from jupyter_kueue.domain.health_report import (
        BucketFound,
        Health,
        KubernetesFound,
        KueueFound,
        Problem,
        Severity,
        ShownSettings,
    )
    from jupyter_kueue.domain.local_queue_row import LocalQueue
    from jupyter_kueue.service.application import Application
    from jupyter_kueue.service.cluster_state import ClusterView

# What this version is tested with: Kueue 0.19 itself asks for Kubernetes 1.34.
OLDEST_KUBERNETES = (1, 34)
KUEUE_API_VERSION = "v1beta2"
TESTED_KUEUE = "v0.19"

ERROR: Severity = "error"
WARNING: Severity = "warning"

_KUEUE_INSTALLATION = "https://kueue.sigs.k8s.io/docs/installation/"
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
# The tag of an image, which a digest may follow: registry.k8s.io/kueue/kueue:v0.19.2@sha256:…
_IMAGE_VERSION = re.compile(r":(?P<version>(?P<minor>v\d+\.\d+)\.\d[^@:/]*)(?:@|$)")
# Of the objects that cannot be understood.
_MAX_NAMED = 20
_MAX_WHAT_LENGTH = 1000

log = logging.getLogger(__name__)


async def report(application: Application) -> Health:
    """Return what was found and what is missing; ``ok`` is false if any problem is an error."""
    body: Health = {
        "ok": False,
        "version": __version__,
        "owner": None,
        "namespace": None,
        "kubernetes": {"host": None, "version": None, "supported": None},
        "kueue": {
            "installed": None,
            "version": None,
            "supported": None,
            "tested_with": TESTED_KUEUE,
            "position_api": None,
        },
        "bucket": {"name": None, "ok": None},
        "settings": {},
        "problems": [],
    }
    # A server that started a moment ago lacks nothing, it is just not ready.
    missing = (await application.settled()).missing
    if application.failure is not None:
        fix = say("fix-setting-and-restart", "Correct the setting and restart Jupyter.")
        failure = application.failure
        body["problems"].append(_problem(failure.message, fix, reason=failure.reason))
        return body
    body["owner"] = application.owner.name
    body["namespace"] = application.namespace
    body["settings"] = _shown_settings(application.settings)
    checks = [_settings(application)]
    connection = application.connection
    if connection is None or application.bucket is None:
        why = missing
        body["problems"].append(
            _problem(
                why.message
                if why
                else say("cluster-not-answering-yet", "The cluster does not answer yet."),
                say(
                    "fix-retrying-or-restart",
                    "Retrying automatically. After changing a setting or an environment "
                    "variable, restart Jupyter.",
                ),
                reason=why.reason if why else errors.ClusterUnavailableError.reason,
            )
        )
    else:
        checks += [
            _kubernetes(connection, application.cluster, body["kubernetes"]),
            _kueue(connection, body["kueue"]),
            _permissions(connection, application.cluster.namespace),
            _local_queues(application),
            _bucket(application, body["bucket"]),
            _unreadable(application),
        ]
    for found in await asyncio.gather(*map(_whatever_happens, checks)):
        body["problems"] += found
    body["ok"] = all(item["severity"] != ERROR for item in body["problems"])
    return body


async def _whatever_happens(check: Coroutine[Any, Any, list[Problem]]) -> list[Problem]:
    """Return what a check found; one that fails unforeseen says so and does not hide the others."""
    try:
        return await check
    except Exception as error:
        log.exception("a check of health failed")
        return [
            _problem(
                say(
                    "check-failed",
                    "A check failed ({error}: {message}).",
                    error=type(error).__name__,
                    message=text_rules.shown_line(error, 200),
                ),
                say("fix-see-log", "See the server's log. If this lasts, report it."),
                WARNING,
            )
        ]


async def _unreadable(application: Application) -> list[Problem]:
    """Name what was found in bucket and cluster that is none of ours, or was damaged."""
    found = application.unreadable()
    named = [
        _problem(
            say("object-not-understood", "{name} cannot be understood: {why}", name=name, why=why),
            say("fix-remove-or-correct", "Remove or correct it. Everything else is shown."),
            WARNING,
        )
        for name, why in itertools.islice(found.items(), _MAX_NAMED)
    ]
    if len(found) > _MAX_NAMED:
        named.append(
            _problem(
                say(
                    "more-objects-not-understood",
                    "{count} more objects cannot be understood.",
                    "{count} more object cannot be understood.",
                    count=len(found) - _MAX_NAMED,
                ),
                say("fix-log-names-them", "The server's log lists them."),
                WARNING,
            )
        )
    return named


async def _settings(application: Application) -> list[Problem]:
    settings = application.settings
    found = []
    if not settings.image and not settings.environments:
        found.append(
            _problem(
                say("no-notebook-image", "No image is set for notebooks."),
                say(
                    "fix-set-image",
                    "Set c.JupyterKueue.image (or JUPYTER_KUEUE_IMAGE), or define environments.",
                ),
                WARNING,
            )
        )
    if not settings.runner_image and not settings.image:
        found.append(
            _problem(
                say("no-staging-image", "No image is set for the staging containers."),
                say(
                    "fix-set-runner-image",
                    "Set c.JupyterKueue.runner_image (or JUPYTER_KUEUE_RUNNER_IMAGE) to one "
                    "that has jupyter-kueue installed.",
                ),
            )
        )
    return found


async def _kubernetes(
    connection: Connection, cluster: ClusterView, shown: KubernetesFound
) -> list[Problem]:
    """Ask for the version, and look whether ``cluster`` is kept up to date."""
    shown["host"] = connection.host
    answer, problem = await _asked(connection.get("/version"))
    if answer is None:
        return [_cluster_problem(problem)]
    shown["version"] = answer.get("gitVersion")
    found = _kubernetes_version(shown)
    # It answers again, and the watches have not come back yet: until then requests are refused
    # without asking. Other checks tell of other errors.
    if isinstance(cluster.error, errors.ClusterUnavailableError):
        found.append(_cluster_problem(cluster.error))
    return found


def _kubernetes_version(shown: KubernetesFound) -> list[Problem]:
    version = str(shown["version"])
    match = _VERSION.match(version)
    if match is None:
        return []
    shown["supported"] = (int(match[1]), int(match[2])) >= OLDEST_KUBERNETES
    if shown["supported"]:
        return []
    oldest = ".".join(map(str, OLDEST_KUBERNETES))
    return [
        _problem(
            say(
                "kubernetes-too-old",
                "Kubernetes {version} is older than the oldest supported version, {oldest}.",
                version=version,
                oldest=oldest,
            ),
            say(
                "fix-update-kubernetes",
                "Ask an admin to update the cluster to Kubernetes {oldest} or newer.",
                oldest=oldest,
            ),
            WARNING,
        )
    ]


async def _kueue(connection: Connection, shown: KueueFound) -> list[Problem]:
    """Look at the API groups, which every user may read, and at the version if this one may."""
    group, problem = await _asked(connection.get("/apis/kueue.x-k8s.io"))
    if isinstance(problem, errors.NotFoundError):
        shown["installed"] = shown["supported"] = False
        return [
            _problem(
                say("kueue-not-installed", "Kueue is not installed in this cluster."),
                say(
                    "fix-install-kueue",
                    "Ask an admin to install Kueue {version}: {address}",
                    version=TESTED_KUEUE,
                    address=_KUEUE_INSTALLATION,
                ),
            )
        ]
    if group is None:
        # The check of Kubernetes says that the cluster does not answer.
        return []
    shown["installed"] = True
    served = [item["version"] for item in group.get("versions", [])]
    shown["supported"] = KUEUE_API_VERSION in served
    if not shown["supported"]:
        return [
            _problem(
                say(
                    "kueue-too-old",
                    "Kueue is too old: it serves {served}, not {wanted}.",
                    served=served,
                    wanted=KUEUE_API_VERSION,
                ),
                say(
                    "fix-update-kueue",
                    "Ask an admin to update Kueue to {version} or newer: {address}",
                    version=TESTED_KUEUE,
                    address=_KUEUE_INSTALLATION,
                ),
            )
        ]
    found = await _kueue_version(connection, shown)
    _, problem = await _asked(connection.get("/apis/visibility.kueue.x-k8s.io"))
    shown["position_api"] = problem is None
    if isinstance(problem, errors.NotFoundError):
        found.append(
            _problem(
                say(
                    "position-api-off",
                    "Kueue's position API is off: positions among all teams' runs are not shown.",
                ),
                say(
                    "fix-turn-on-position-api",
                    "Ask an admin to turn on VisibilityOnDemand in Kueue's configuration.",
                ),
                WARNING,
            )
        )
    return found


async def _kueue_version(connection: Connection, shown: KueueFound) -> list[Problem]:
    """Read the version off the image of Kueue's Deployment, where Kueue's own manifests put it."""
    deployment, problem = await _asked(connection.get(resources.kueue_deployment()))
    if deployment is None:
        if not isinstance(problem, errors.NotFoundError):
            # The checks of Kubernetes and of permissions say what is the matter.
            return []
        return [
            _problem(
                say(
                    "kueue-version-unknown",
                    "Kueue's version is unknown: there is no Deployment {deployment} "
                    "in the namespace {namespace}.",
                    deployment=resources.KUEUE_DEPLOYMENT,
                    namespace=resources.KUEUE_NAMESPACE,
                ),
                say(
                    "fix-nothing-if-tested",
                    "There is nothing to do if Kueue is {version}, the tested version.",
                    version=TESTED_KUEUE,
                ),
                WARNING,
            )
        ]
    images = [item["image"] for item in deployment["spec"]["template"]["spec"]["containers"]]
    found = [match for image in images if (match := _IMAGE_VERSION.search(image))]
    if not found:
        return [
            _problem(
                say(
                    "kueue-version-not-in-image",
                    "Kueue's version is unknown: the name of its image, {images}, "
                    "does not contain it.",
                    images=images,
                ),
                say(
                    "fix-nothing-if-tested",
                    "There is nothing to do if Kueue is {version}, the tested version.",
                    version=TESTED_KUEUE,
                ),
                WARNING,
            )
        ]
    version: str = found[0]["version"]
    shown["version"] = version
    if found[0]["minor"] == TESTED_KUEUE:
        return []
    return [
        _problem(
            say(
                "kueue-not-as-tested",
                "Kueue is {version}, but this version of jupyter-kueue has been "
                "tested only with {tested}.",
                version=version,
                tested=TESTED_KUEUE,
            ),
            say(
                "fix-install-tested-kueue",
                "If runs wait for no apparent reason, ask an admin to install Kueue "
                "{version}: {address}",
                version=TESTED_KUEUE,
                address=_KUEUE_INSTALLATION,
            ),
            WARNING,
        )
    ]


async def _permissions(connection: Connection, namespace: str) -> list[Problem]:
    missing, problem = await _asked(
        permissions.find_missing(connection, namespace, patience.HEALTH_CHECK_SECONDS)
    )
    if missing is None:
        if isinstance(problem, errors.ForbiddenError):
            return [
                _problem(
                    say(
                        "permissions-unknown",
                        "Cannot find out which permissions are missing: {message}",
                        message=problem.message,
                    ),
                    say(
                        "fix-allow-access-reviews",
                        "Allow this user to create selfsubjectaccessreviews.",
                    ),
                    WARNING,
                )
            ]
        return []
    if missing and connection.availability.is_settling:
        fix = say("fix-retrying", "Retrying automatically.")
        return [_problem(STARTING_UP, fix, reason=errors.ClusterUnavailableError.reason)]
    found = []
    for permission, verbs in missing:
        role = permission.role
        there = role.namespace_for(namespace)
        kind = f"{permission.resource}.{permission.group}".rstrip(".")
        found.append(
            _problem(
                say(
                    "permissions-missing-in",
                    "You may not {verbs} {kind} in the namespace {namespace}: {without}.",
                    verbs=verbs,
                    kind=kind,
                    namespace=there,
                    without=permission.without,
                )
                if there
                else say(
                    "permissions-missing",
                    "You may not {verbs} {kind} in the cluster: {without}.",
                    verbs=verbs,
                    kind=kind,
                    without=permission.without,
                ),
                say(
                    "fix-bind-role",
                    "Ask an admin to bind the {kind} {role} to you (docs/operations.md).",
                    kind=role.kind,
                    role=role.name,
                ),
                ERROR if permission.is_needed else WARNING,
            )
        )
    return found


async def _local_queues(application: Application) -> list[Problem]:
    items, problem = await _asked(_list_local_queues(application))
    if items is None:
        if isinstance(problem, errors.NotConfiguredError | errors.ClusterUnavailableError):
            # Said by the checks of Kueue and of Kubernetes.
            return []
        return [_problem(_message(problem), say("fix-ask-admin", "Ask an admin."))]
    namespace = application.cluster.namespace
    if not items:
        return [
            _problem(
                say(
                    "no-local-queue",
                    "There is no LocalQueue in the namespace {namespace}.",
                    namespace=namespace,
                ),
                say(
                    "fix-create-local-queue",
                    "Ask an admin to create one that points to a ClusterQueue.",
                ),
            )
        ]
    found = [
        _problem(
            say(
                "queue-takes-no-runs",
                "The queue {queue} is not accepting runs: {why}",
                queue=item["name"],
                why=sentences.uncapitalized(_shown_message(item)),
            ),
            say("fix-use-another-queue", "Use another queue, or ask an admin."),
            WARNING if any(other["active"] for other in items) else ERROR,
        )
        for item in items
        if not item["active"]
    ]
    configured = application.settings.local_queue
    if configured and configured not in {item["name"] for item in items}:
        found.append(
            _problem(
                say(
                    "configured-queue-missing",
                    "The configured queue {queue} does not exist in {namespace}.",
                    queue=configured,
                    namespace=namespace,
                ),
                say(
                    "fix-configured-queue",
                    "Correct c.JupyterKueue.local_queue, or ask an admin to create the queue.",
                ),
            )
        )
    environments = await application.environments()
    profiles, problem = await _asked(environments.list_profiles())
    if profiles is None:
        fix = say("fix-ask-admin", "Ask an admin.")
        return [*found, _problem(_message(problem), fix, WARNING)]
    found += [
        _problem(text, say("fix-correct-entry", "Correct that entry."), WARNING)
        for text in environments.problems
    ]
    return found + await _coverage(application, items, profiles)


def _shown_message(local_queue: LocalQueue) -> Sentence:
    """Return why a queue takes no runs, from its row."""
    return run_facts.stored_sentence(local_queue["message"], local_queue["sentence"]) or foreign("")


async def _list_local_queues(application: Application) -> list[LocalQueue]:
    return await (await application.queues()).list_local_queues()


async def _coverage(
    application: Application, items: list[LocalQueue], profiles: list[Profile]
) -> list[Problem]:
    """Name the resources that runs request and a queue has no quota for: they never start."""
    found = []
    with_gpus = [profile["display_name"] for profile in profiles if profile["gpus"]]
    queues = await application.queues()
    asked = {"cpu", "memory", *([names.GPU_RESOURCE] if with_gpus else [])}
    for item in items:
        covered = await queues.covered_resources(item["cluster_queue"])
        for resource in sorted(asked - covered if covered is not None else ()):
            what = (
                say(
                    "queue-without-gpus",
                    "The queue {queue} has no quota for {resource}. Runs with "
                    "{profiles} request it, so they would never start there.",
                    queue=item["name"],
                    resource=resource,
                    profiles=with_gpus,
                )
                if resource == names.GPU_RESOURCE
                else say(
                    "queue-without-resource",
                    "The queue {queue} has no quota for {resource}. Every run "
                    "requests it, so none would ever start there.",
                    queue=item["name"],
                    resource=resource,
                )
            )
            fix = say(
                "fix-cover-resource",
                "Ask an admin to give the ClusterQueue {cluster_queue} a quota "
                "for {resource}, or use another queue.",
                resource=resource,
                cluster_queue=item["cluster_queue"],
            )
            found.append(_problem(what, fix, WARNING))
    return found


async def _bucket(application: Application, shown: BucketFound) -> list[Problem]:
    bucket = application.bucket
    if bucket is None:
        return []
    shown["name"] = _without_credentials(bucket.name)
    _, problem = await _asked(bucket.check(f"{application.owner.slug}/"))
    shown["ok"] = problem is None
    if problem is None:
        return _reading(application)
    return [
        _problem(
            _without_credentials(problem.message),
            say(
                "fix-bucket-settings",
                "Check the URL, endpoint and credentials in c.JupyterKueue.bucket "
                "(JUPYTER_KUEUE_BUCKET).",
            ),
            reason=problem.reason,
        )
    ]


def _reading(application: Application) -> list[Problem]:
    """Say what is not shown although the bucket takes and gives objects."""
    what = application.reading_problem
    # While the cluster is away, its own check says why nothing was read yet.
    if what is None or application.cluster.error is not None:
        return []
    return [
        _problem(
            _without_credentials(what),
            say(
                "fix-read-again",
                "Retrying automatically. If this lasts, check the bucket's log, or "
                "delete what cannot be read.",
            ),
        )
    ]


async def _asked(question: Awaitable[Any]) -> tuple[Any, errors.JupyterKueueError | None]:
    """Return the answer, or None and what kept it away."""
    try:
        async with asyncio.timeout(patience.HEALTH_CHECK_SECONDS):
            return await question, None
    except errors.JupyterKueueError as error:
        return None, error
    except TimeoutError:
        message = say(
            "no-answer-within",
            "No answer within {seconds} seconds.",
            seconds=f"{patience.HEALTH_CHECK_SECONDS:g}",
        )
        return None, errors.UnavailableError(message)


def _message(problem: errors.JupyterKueueError | None) -> Sentence:
    """Return what to say of a question that got no answer."""
    if problem is None:
        return say("cluster-not-answering", "The cluster does not answer.")
    return problem.message


def _cluster_problem(error: errors.JupyterKueueError | None) -> Problem:
    return _problem(
        error.message if error else say("cluster-not-answering", "The cluster does not answer."),
        say(
            "fix-check-cluster",
            "If this lasts, check that the cluster is running and that KUBECONFIG "
            "points to it. To start a local cluster, run `jupyter kueue local up`.",
        ),
        reason=error.reason if error else errors.ClusterUnavailableError.reason,
    )


def _problem(
    what: Sentence, fix: Sentence, severity: Severity = ERROR, *, reason: str | None = None
) -> Problem:
    said = text_rules.said(what, _MAX_WHAT_LENGTH)
    return {
        "what": said,
        "what_sentence": sentences.as_json(said),
        "fix": fix,
        "fix_sentence": sentences.as_json(fix),
        "severity": severity,
        "reason": reason,
    }


def _shown_settings(settings: Settings) -> ShownSettings:
    """Return the settings in force, less what an admin may have hidden in them."""
    shown = dataclasses.asdict(settings)
    # Its parts alone: an environment variable in it may be a credential.
    shown["pod_template"] = dict.fromkeys(sorted(settings.pod_template), "…")
    if settings.bucket:
        shown["bucket"] = _without_credentials(settings.bucket)
    return cast("ShownSettings", shown)


@overload
def _without_credentials(text: Sentence) -> Sentence: ...
@overload
def _without_credentials(text: str) -> str: ...
def _without_credentials(text: str) -> str:
    """Return ``text`` with user, password and query cut out of each URL in it."""
    if isinstance(text, Sentence):
        whole = errors.MAX_MESSAGE_LENGTH
        return text.cleaned(whole, lambda part, _: _without_credentials(part))

    def cleaned(match: re.Match[str]) -> str:
        parts = urlsplit(match[0])
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    return re.sub(r"[a-z0-9+]+://[^\s\"']+", cleaned, text)
