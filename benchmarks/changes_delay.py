"""How long a change in the cluster takes to arrive at a listener of the `changes` stream."""

from __future__ import annotations

import contextlib
import json
import queue
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import kubernetes
import report
from bench import ONE_CELL
from footprint import TOO_MANY_GPUS
from servers import PATIENCE_SECONDS, WAITING

from jupyter_kueue.domain import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench import Bench
    from servers import Ours

Event = tuple[float, dict[str, Any]]
HOW = (
    "Runs wait in a queue; their Kubernetes Runs are deleted one by one behind the server's back. "
    "From the start of the delete request to the event that says that the run was removed."
)


def measure(bench: Bench) -> report.Section:
    """Return the delays; stock has nothing to compare them with."""
    count = 10 if bench.quick else 30
    api, namespace = _batch_api(bench)
    delays = []
    with bench.cleaned(bench.ours("changes")) as server, _listening(server) as events:
        runs = [server.submit(ONE_CELL, resources=TOO_MANY_GPUS) for _ in range(count)]
        server.wait_for(runs, frozenset({WAITING}))
        for run_id in runs:
            began = time.monotonic()
            api.delete_namespaced_job(
                names.job_name(run_id), namespace, propagation_policy="Background"
            )
            delays.append(_arrival(events, run_id) - began)
    p95 = report.percentile(delays, 95)
    return report.Section(
        "A change in the cluster reaches `changes`",
        f"{HOW} {count} times.",
        [
            report.Table(
                ("", "median", "p95", "most"),
                [
                    (
                        "delay",
                        *(
                            f"{value * 1000:.0f} ms"
                            for value in (statistics.median(delays), p95, max(delays))
                        ),
                    )
                ],
            )
        ],
    )


def _batch_api(bench: Bench) -> tuple[kubernetes.client.BatchV1Api, str]:
    kubeconfig = bench.cluster["KUBECONFIG"]
    _, active = kubernetes.config.list_kube_config_contexts(kubeconfig)
    client = kubernetes.config.new_client_from_config(kubeconfig)
    return kubernetes.client.BatchV1Api(client), active["context"].get("namespace", "default")


@contextlib.contextmanager
def _listening(server: Ours) -> Iterator[queue.Queue[Event]]:
    """Collect the stream's events with their times of arrival."""
    events: queue.Queue[Event] = queue.Queue()
    connection = server.connect()
    connection.request("GET", "/jupyter-kueue/changes", headers=server.headers)
    stream = connection.getresponse()

    def read() -> None:
        # Ends with the connection, however that is closed.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in stream:
                if line.startswith(b"data:"):
                    events.put((time.monotonic(), json.loads(line[5:])))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield events
    finally:
        if connection.sock is not None:
            connection.sock.close()
        connection.close()


def _arrival(events: queue.Queue[Event], run_id: str) -> float:
    """Return when the event of a run's failure arrived."""
    while True:
        arrived, event = events.get(timeout=PATIENCE_SECONDS)
        if event.get("run_id") == run_id and (event.get("run") or {}).get("state") == "failed":
            return arrived
