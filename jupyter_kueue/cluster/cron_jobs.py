"""Create, change and delete CronJobs of one namespace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from jupyter_kueue.cluster import resources
from jupyter_kueue.cluster.connection import APPLY_PATCH
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.domain.kubernetes_manifests import CronJobManifest

Json = dict[str, Any]

_FIELD_MANAGER = "jupyter-kueue"


async def get(connection: Connection, namespace: str, name: str) -> Json:
    """Return a CronJob.

    Raises:
        NotFoundError: it does not exist.
    """
    return await connection.get(f"{resources.cron_jobs(namespace)}/{name}")


async def apply(
    connection: Connection, cron_job: CronJobManifest, *, dry_run: bool = False
) -> Json:
    """Create a CronJob or bring the one of its name to this state; return what is there then.

    Server-side apply: a repeat changes nothing, and a missing field is removed. With ``dry_run`` it
    is only validated. With a ``resourceVersion`` in its metadata it is updated only if that is its
    current version.

    Raises:
        ConflictError: it no longer has that version.
        InvalidRequestError: the API server refuses it and names the fields.
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
    """Suspend a CronJob; one that does not exist is ignored."""
    with contextlib.suppress(errors.NotFoundError):
        await connection.patch(
            f"{resources.cron_jobs(namespace)}/{name}", {"spec": {"suspend": True}}
        )


async def delete(connection: Connection, namespace: str, name: str) -> None:
    """Delete a CronJob but not its Jobs; one that does not exist is ignored."""
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}
    with contextlib.suppress(errors.NotFoundError):
        await connection.delete(f"{resources.cron_jobs(namespace)}/{name}", body)
