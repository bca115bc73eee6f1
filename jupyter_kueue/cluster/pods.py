"""Read logs of a run's pods, and delete pods."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from jupyter_kueue.cluster import resources
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyter_kueue.cluster.connection import Connection, Params


async def stream_log(
    connection: Connection, namespace: str, name: str, *, follow: bool, tail: int | None
) -> AsyncIterator[bytes]:
    """Yield the notebook container's log as it arrives, with lines of any length.

    Raises:
        NotFoundError: the pod no longer exists.
        InvalidRequestError: the container has not started yet.
    """
    params: Params = {
        "container": pod_contract.NOTEBOOK,
        "follow": "true" if follow else "false",
        **({} if tail is None else {"tailLines": tail}),
    }
    path = f"{resources.pods(namespace)}/{name}/log"
    async for chunk in connection.stream_bytes(path, params):
        yield chunk


async def delete(connection: Connection, namespace: str, name: str, uid: str) -> None:
    """Delete a pod within its own grace period; one that is gone or has another uid is ignored.

    Raises:
        ForbiddenError: the user may not delete pods.
    """
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
    with contextlib.suppress(errors.NotFoundError, errors.ConflictError):
        await connection.delete(f"{resources.pods(namespace)}/{name}", body)
