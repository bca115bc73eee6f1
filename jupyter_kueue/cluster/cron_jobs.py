"""Create, change and delete CronJobs of one namespace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources
from jupyter_kueue.cluster.connection import APPLY_PATCH
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection

Json = dict[str, Any]

_FIELD_MANAGER = "jupyter-kueue"


async def get(connection: Connection, namespace: str, name: str) -> Json:
    """Return a CronJob as it is now.

    Raises:
        NotFoundError: there is none of this name.
    """
    return await connection.get(f"{resources.cron_jobs(namespace)}/{name}")


async def apply(connection: Connection, cron_job: Json, *, dry_run: bool = False) -> Json:
    """Create a CronJob or bring the one of its name to this state; return what is there then.

    Server-side apply: a repeat changes nothing, and a field that is left out is removed. With
    ``dry_run`` nothing is stored, but all is judged. With a ``resourceVersion`` in its metadata it
    is changed only while that is its version.

    Raises:
        ConflictError: it is not there in that version any more.
        InvalidRequestError: the API server refuses it, naming fields as Kubernetes does.
    """
    metadata = cron_job["metadata"]
    return await connection.patch(
        f"{resources.cron_jobs(metadata['namespace'])}/{metadata['name']}",
        cron_job,
        content_type=APPLY_PATCH,
        params={
            "fieldManager": _FIELD_MANAGER,
            "force": "true",
            **({"dryRun": "All"} if dry_run else {}),
        },
    )


async def suspend(connection: Connection, namespace: str, name: str) -> None:
    """Have a CronJob make no more Jobs; one that is gone makes none."""
    with contextlib.suppress(errors.NotFoundError):
        await connection.patch(
            f"{resources.cron_jobs(namespace)}/{name}", {"spec": {"suspend": True}}
        )


async def delete(connection: Connection, namespace: str, name: str) -> None:
    """Delete a CronJob and leave its Jobs alone; one that is gone is no error."""
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}
    with contextlib.suppress(errors.NotFoundError):
        await connection.delete(f"{resources.cron_jobs(namespace)}/{name}", body)
