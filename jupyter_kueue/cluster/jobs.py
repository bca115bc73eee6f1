"""Create, read, change and delete Jobs of one namespace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from jupyter_kueue import errors, names
from jupyter_kueue.cluster import resources

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection

Json = dict[str, Any]


async def create(connection: Connection, job: Json) -> Json:
    """Create a Job and return it; if one of that name is there already, return that one.

    The name is made from the job id, so a repeat after a lost answer meets itself.
    """
    path = resources.jobs(job["metadata"]["namespace"])
    try:
        return await connection.create(path, job)
    except errors.ConflictError:
        return await connection.get(f"{path}/{job['metadata']['name']}")


async def find(connection: Connection, namespace: str, name: str) -> Json | None:
    """Return the Job of that name, None if there is none."""
    try:
        return await connection.get(f"{resources.jobs(namespace)}/{name}")
    except errors.NotFoundError:
        return None


async def list_of_schedule(
    connection: Connection, namespace: str, owner_slug: str, schedule_id: str
) -> list[Json]:
    """Return the Jobs of an owner's schedule as the API server has them now."""
    mine = {names.LABEL_OWNER: owner_slug, names.LABEL_SCHEDULE_ID: schedule_id}
    params = {"labelSelector": ",".join(f"{key}={value}" for key, value in mine.items())}
    listed = await connection.get(resources.jobs(namespace), params)
    items: list[Json] = listed["items"]
    return items


async def delete(connection: Connection, namespace: str, name: str) -> None:
    """Delete a Job and, behind it, its pods and its Workload; one that is gone is no error.

    ``Background`` has to be said: the API's default for Jobs orphans the pods.
    """
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    with contextlib.suppress(errors.NotFoundError):
        await connection.delete(f"{resources.jobs(namespace)}/{name}", body)


async def set_labels(
    connection: Connection, namespace: str, name: str, labels: dict[str, str]
) -> Json:
    """Change labels of a Job; Kueue follows its queue-name and priority-class labels."""
    return await connection.patch(
        f"{resources.jobs(namespace)}/{name}", {"metadata": {"labels": labels}}
    )
