"""Create, read, change and delete Jobs of one namespace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, kubernetes_objects, names

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.kubernetes_manifests import JobManifest
    from jupyter_kueue.domain.kubernetes_objects import Job, Object

Json = dict[str, Any]


async def create(connection: Connection, job: JobManifest) -> Job:
    """Create a Job and return it; the same one, if it is there already.

    Its name is derived from the run id, so that a repeat after a lost answer finds the first Job.

    Raises:
        ClusterUnavailableError: the API server does not answer, or an earlier Job of that name is
            still being removed.
        ConflictError: an unrelated Job has that name.
    """
    return kubernetes_objects.JOB.read_back(await _created(connection, job))


async def _created(connection: Connection, job: JobManifest) -> Json:
    path = resources.jobs(job["metadata"]["namespace"])
    try:
        return await connection.create(path, job)
    except errors.ClusterUnavailableError:
        # The answer may have been lost. If the Job was not created, this fails in the same way.
        with contextlib.suppress(errors.ConflictError):
            return await connection.create(path, job)
    except errors.ConflictError:
        pass
    there = await find(connection, job["metadata"]["namespace"], job["metadata"]["name"])
    if there is None or "deletionTimestamp" in there["metadata"]:
        raise errors.ClusterUnavailableError(
            say(
                "earlier-job-being-removed",
                "The Job of an earlier attempt to submit this run is still being "
                "removed. Try again in a moment.",
            )
        )
    if not _is_same(job, there):
        raise errors.ConflictError(
            say(
                "job-of-another-run",
                "The cluster has a Job {job} that does not belong to this run. Remove "
                "it, or submit the run again with a new idempotency_key.",
                job=job["metadata"]["name"],
            )
        )
    return there


def _is_same(job: JobManifest, there: Json) -> bool:
    labels = there["metadata"].get("labels") or {}
    own = (names.LABEL_OWNER, names.LABEL_RUN_ID)
    return all(labels.get(label) == job["metadata"]["labels"].get(label) for label in own)


async def find(connection: Connection, namespace: str, name: str) -> Json | None:
    """Return the Job of that name with all its fields, None if there is none."""
    try:
        return await connection.get(f"{resources.jobs(namespace)}/{name}")
    except errors.NotFoundError:
        return None


async def list_of_schedule(
    connection: Connection, namespace: str, owner_slug: str, schedule_id: str
) -> list[Object]:
    """Return the Jobs of an owner's schedule as the API server has them now."""
    mine = {names.LABEL_OWNER: owner_slug, names.LABEL_SCHEDULE_ID: schedule_id}
    params = {"labelSelector": ",".join(f"{key}={value}" for key, value in mine.items())}
    listed = await connection.get(resources.jobs(namespace), params)
    return [kubernetes_objects.OBJECT.read_back(item) for item in listed["items"]]


async def delete(
    connection: Connection, namespace: str, name: str, *, uid: str | None = None
) -> None:
    """Delete a Job and, in the background, its pods and its Workload.

    A Job that no longer exists is ignored, and so is one with another uid than ``uid``, if given.
    ``Background`` must be explicit: the API's default for Jobs orphans the pods.
    """
    body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    gone: tuple[type[Exception], ...] = (errors.NotFoundError,)
    if uid is not None:
        body["preconditions"] = {"uid": uid}
        gone = (errors.NotFoundError, errors.ConflictError)
    with contextlib.suppress(*gone):
        await connection.delete(f"{resources.jobs(namespace)}/{name}", body)


async def set_labels(
    connection: Connection, namespace: str, name: str, labels: dict[str, str]
) -> Json:
    """Change labels of a Job; Kueue reacts to its queue-name and priority-class labels."""
    return await connection.patch(
        f"{resources.jobs(namespace)}/{name}", {"metadata": {"labels": labels}}
    )
