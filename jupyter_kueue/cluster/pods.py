"""Read the logs of a run's pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue import contract
from jupyter_kueue.cluster import resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyter_kueue.cluster.connection import Connection, Params


async def stream_log(
    connection: Connection, namespace: str, name: str, *, follow: bool, tail: int | None
) -> AsyncIterator[bytes]:
    """Yield the notebook container's log as it comes, whatever the length of its lines.

    Raises:
        NotFoundError: the pod is gone.
        InvalidRequestError: the container has not started yet.
    """
    params: Params = {
        "container": contract.NOTEBOOK,
        "follow": "true" if follow else "false",
        **({} if tail is None else {"tailLines": tail}),
    }
    path = f"{resources.pods(namespace)}/{name}/log"
    async for chunk in connection.stream_bytes(path, params):
        yield chunk
