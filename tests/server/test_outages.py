"""Cluster or bucket away, full, forbidden or without Kueue, as a user of REST meets it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import obstore
import pytest

from jupyter_kueue.domain import names
from jupyter_kueue.storage.bucket import Bucket
from tests.support import proxy as proxies
from tests.support.notebooks import write_notebook
from tests.support.polling import until

from .conftest import connected_server, ended, next_event, running_server, submit, until_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Answer, Server

pytestmark = pytest.mark.integration

OWNER = f"outages-{uuid.uuid4().hex[:8]}"
# Far below the 30 s that a request to cluster or bucket may take: known trouble is told at once.
AT_ONCE_SECONDS = 20
PATIENCE_SECONDS = 90


@dataclass
class Place:
    """A server in the default namespace, and what stands between it and its cluster and bucket."""

    server: Server
    cluster: proxies.Proxy
    bucket: proxies.Proxy
    environment: dict[str, str]


@pytest.fixture(scope="module")
def shared(local_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("outages")
    cluster, kubeconfig = proxies.to_api_server(local_cluster.user_kubeconfig, folder)
    bucket, bucket_dir = proxies.to_bucket(local_cluster.bucket_dir, folder)
    environment = {
        **local_cluster.env,
        "JUPYTERHUB_USER": OWNER,
        "KUBECONFIG": str(kubeconfig),
        "JUPYTER_KUEUE_BUCKET": str(bucket_dir),
        # When what a submit could not take back is found; tests have less patience than users.
        "JUPYTER_KUEUE_RESYNC_SECONDS": "2",
    }
    with connected_server(folder / "server", environment) as server:
        write_notebook(server.root, "a.ipynb", "1")
        write_notebook(server.root, "slow.ipynb", "import time", "time.sleep(4)")
        yield Place(server, cluster, bucket, environment)
    cluster.down()
    bucket.down()


@pytest.fixture
def place(shared: Place) -> Iterator[Place]:
    """The shared place; whatever a test did to it is undone."""
    yield shared
    for proxy in (shared.cluster, shared.bucket):
        proxy.refuse = lambda _verb, _path: None
        proxy.down()
        proxy.up()
    until(lambda: shared.server.request("GET", "health").json["ok"])


def at_once(server: Server, verb: str, path: str, body: Any = None) -> Answer:
    return server.request(verb, path, body, timeout_seconds=AT_ONCE_SECONDS)


def refused_submit(server: Server) -> Answer:
    """Submit while it cannot be done; the refusal comes at once."""
    body = {"input_path": "a.ipynb", "local_queue": "team-a"}
    return at_once(server, "POST", "runs", body)


def submitted(server: Server, path: str = "a.ipynb") -> dict[str, Any]:
    """Submit until it goes through, as a user would who reads Retry-After."""
    answer = until(lambda: (found := submit(server, path)).status == 201 and found)
    run: dict[str, Any] = answer.json
    return run


def run_ids(local_cluster: Any) -> set[str]:
    """Return the ids of all Jobs of this owner in the cluster."""
    mine = ("jobs", "-l", f"{names.LABEL_OWNER}={OWNER}")
    items = local_cluster.get(*mine)["items"]
    return {item["metadata"]["labels"][names.LABEL_RUN_ID] for item in items}


def stored_ids(local_cluster: Any) -> set[str]:
    """Return the ids of all runs that have more than a tombstone in the bucket."""
    store = Bucket.open(local_cluster.bucket_dir).store
    keys = [item["path"] for chunk in obstore.list(store, f"{OWNER}/runs") for item in chunk]
    return {key.split("/")[2] for key in keys if not key.endswith("/deleted")}


def listed_ids(server: Server) -> set[str]:
    return {item["run_id"] for item in server.request("GET", "runs?limit=500").json["items"]}


def nothing_is_left_but_what_is_listed(server: Server, local_cluster: Any) -> bool:
    known = listed_ids(server)
    return stored_ids(local_cluster) == known and run_ids(local_cluster) <= known


def unavailable(answer: Answer, reason: str) -> str:
    """Check an answer that tells of an outage; return its sentence."""
    assert (answer.status, answer.json["reason"]) == (503, reason), answer.body
    assert int(answer.headers["Retry-After"]) > 0
    message: str = answer.json["message"]
    return message


def test_an_api_server_that_is_down(place: Place, local_cluster: Any):
    server = place.server
    running = submitted(server, "slow.ipynb")
    run_id = running["run_id"]
    with server.stream("changes") as changes:
        assert next_event(changes)["event"] == "hello"
        until_run(server, run_id, lambda run: run["state"] == "running")
        place.cluster.down()
        message = unavailable(refused_submit(server), "cluster-unavailable")
        assert "Try again in a moment" in message or "broke" in message
        # Shown as they were until that is noticed.
        until(lambda: at_once(server, "GET", "local-queues").status == 503)
        assert listed_ids(server) == {run_id}
        assert at_once(server, "GET", f"runs/{run_id}").json["state"] == "running"
        health = at_once(server, "GET", "health").json
        assert health["ok"] is False
        assert "does not answer" in health["problems"][0]["what"]
        assert health["problems"][0]["fix"]
        assert health["problems"][0]["reason"] == "cluster-unavailable"

        place.cluster.up()
        states = []
        while "succeeded" not in states:
            event = next_event(changes)
            if event["event"] == "run":
                change = json.loads(event["data"])
                states += [change["run"]["state"]] if change["run_id"] == run_id else []
    assert not {"failed", "stopped"} & set(states)
    again = submitted(server)
    assert until_run(server, again["run_id"], ended)["state"] == "succeeded"
    until(lambda: nothing_is_left_but_what_is_listed(server, local_cluster))


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_what_was_promised_is_done_later(place: Place, local_cluster: Any, verb: str):
    server = place.server
    run_id = submitted(server, "slow.ipynb")["run_id"]
    place.cluster.refuse = lambda method, _path: (500, b"{}") if method == "DELETE" else None
    if verb == "stop":
        answer = server.request("POST", f"runs/{run_id}/stop")
        assert (answer.status, answer.json["state"]) == (200, "stopping"), answer.body
    else:
        assert server.request("DELETE", f"runs/{run_id}").status == 204
        assert server.request("GET", f"runs/{run_id}").status == 404
    assert run_id in run_ids(local_cluster)
    place.cluster.refuse = lambda _verb, _path: None
    if verb == "stop":
        assert until_run(server, run_id, ended)["state"] == "stopped"
    until(lambda: run_id not in run_ids(local_cluster))
    until(lambda: nothing_is_left_but_what_is_listed(server, local_cluster))


def test_an_api_server_that_hangs(place: Place, local_cluster: Any):
    with place.cluster.frozen():
        # Not told by a broken connection: the server has to notice by itself, within the request.
        unavailable(refused_submit(place.server), "cluster-unavailable")
        unavailable(refused_submit(place.server), "cluster-unavailable")
        unavailable(at_once(place.server, "GET", "local-queues"), "cluster-unavailable")
        assert at_once(place.server, "GET", "runs").status == 200
        assert at_once(place.server, "GET", "health").json["ok"] is False
    again = submitted(place.server)
    assert until_run(place.server, again["run_id"], ended)["state"] == "succeeded"
    until(lambda: nothing_is_left_but_what_is_listed(place.server, local_cluster))


def test_health_tells_of_what_requests_still_meet(place: Place):
    def no_lists(verb: str, path: str) -> tuple[int, bytes] | None:
        return (503, b"{}") if verb == "GET" and "/localqueues" in path else None

    place.cluster.refuse = no_lists
    place.cluster.down()  # what is being watched, too
    place.cluster.up()
    until(lambda: refused_submit(place.server).status == 503)
    health = at_once(place.server, "GET", "health").json
    assert health["kubernetes"]["version"]
    assert (health["ok"], len(health["problems"])) == (False, 1), health["problems"]
    assert "If this lasts" in health["problems"][0]["fix"]
    place.cluster.refuse = lambda _verb, _path: None
    until(lambda: at_once(place.server, "GET", "health").json["ok"])
    submitted(place.server)


@pytest.mark.parametrize("what", ["cluster", "bucket"])
def test_a_server_that_starts_during_an_outage(place: Place, tmp_path: Path, what: str):
    away: proxies.Proxy = getattr(place, what)
    away.down()
    with running_server(tmp_path, place.environment) as server:
        write_notebook(server.root, "a.ipynb", "1")
        unavailable(refused_submit(server), f"{what}-unavailable")
        unavailable(at_once(server, "GET", "runs"), f"{what}-unavailable")
        health = at_once(server, "GET", "health").json
        assert health["ok"] is False
        assert all(item["fix"] for item in health["problems"])
        away.up()
        run = submitted(server)
        assert until_run(server, run["run_id"], ended)["state"] == "succeeded"
        assert server.request("GET", "health").json["ok"] is True


def test_a_bucket_that_is_down(place: Place, local_cluster: Any):
    server = place.server
    known = listed_ids(server)
    place.bucket.down()
    message = unavailable(refused_submit(server), "bucket-unavailable")
    assert "check its endpoint" in message
    assert {item["run_id"] for item in at_once(server, "GET", "runs").json["items"]} == known
    health = at_once(server, "GET", "health").json
    assert (health["ok"], health["bucket"]["ok"]) == (False, False)
    place.bucket.up()
    run = submitted(server)
    assert until_run(server, run["run_id"], ended)["state"] == "succeeded"
    until(lambda: nothing_is_left_but_what_is_listed(server, local_cluster))


@pytest.mark.parametrize(
    ("refusal", "status", "reason", "fix"),
    [
        (proxies.full, 503, "bucket-unavailable", "is full. Delete runs to free space"),
        (proxies.forbidden, 403, "forbidden", "to allow them to read, write"),
    ],
)
def test_a_bucket_that_takes_nothing(
    place: Place, local_cluster: Any, refusal: proxies.Refusal, status: int, reason: str, fix: str
):
    before = run_ids(local_cluster)
    place.bucket.refuse = refusal
    answer = refused_submit(place.server)
    assert (answer.status, answer.json["reason"]) == (status, reason), answer.body
    assert fix in answer.json["message"]
    assert at_once(place.server, "GET", "runs").status == 200
    problems = at_once(place.server, "GET", "health").json["problems"]
    assert any(fix in item["what"] for item in problems)
    assert run_ids(local_cluster) == before
    assert nothing_is_left_but_what_is_listed(place.server, local_cluster)


def test_a_cluster_without_kueue(place: Place, tmp_path: Path):
    place.cluster.refuse = proxies.without_kueue
    with running_server(tmp_path, {**place.environment, "JUPYTERHUB_USER": "kueueless"}) as server:
        write_notebook(server.root, "a.ipynb", "1")
        for answer in (refused_submit(server), at_once(server, "GET", "local-queues")):
            message = unavailable(answer, "not-configured")
            assert "Kueue is not installed in this cluster" in message
            assert "Ask an admin to install Kueue v0.19" in message
        health = at_once(server, "GET", "health").json
        assert (health["ok"], health["kueue"]["installed"]) == (False, False)
        assert any("Kueue is not installed" in item["what"] for item in health["problems"])
        # Installed while the server runs: no restart is needed.
        place.cluster.refuse = lambda _verb, _path: None
        run = submitted(server)
        assert until_run(server, run["run_id"], ended)["state"] == "succeeded"
