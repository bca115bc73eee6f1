"""What listeners hear of a run: the stream of changes, and Jupyter's own events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_kueue.domain import run_row
from jupyter_kueue.events.run_state import SCHEMA_ID
from tests.support.notebooks import write_notebook

from .conftest import connected_server, next_event, submit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Server

pytestmark = pytest.mark.integration

END = ("succeeded", "failed", "stopped")
# In which order a run that nothing happens to comes through its states; it may pass through
# one faster than anybody looks.
ORDER = ("queued", "starting", "running", "succeeded")


@pytest.fixture(scope="module")
def server(local_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("changes")
    owner = {"JUPYTERHUB_USER": f"changes-{folder.name}"}
    with connected_server(folder, {**local_cluster.env, **owner}) as found:
        write_notebook(found.root, "a.ipynb", "import time", "time.sleep(1)")
        yield found


def hear(stream: Any, run_id: str) -> list[dict[str, Any]]:
    """Return the changes of a run up to its end, as a stream brings them."""
    heard = []
    while True:
        change = json.loads(next_event(stream)["data"])
        assert change["type"] != "gap"
        if change["run_id"] == run_id:
            heard.append(change)
            if change["type"] == "run" and change["run"]["state"] in END:
                return heard


def states(heard: list[dict[str, Any]]) -> list[str]:
    """Return the states in the order they came, each as often as it was entered."""
    found: list[str] = []
    for change in heard:
        state = change["run"]["state"]
        if not found or found[-1] != state:
            found.append(state)
    return found


def assert_in_order(found: list[str]) -> None:
    # A quick Kueue has admitted it before its submit is answered: nobody saw it wait then.
    assert found[0] in ("queued", "starting")
    assert found[-1] == "succeeded"
    assert found == [state for state in ORDER if state in found]
    assert "running" in found


def test_every_listener_hears_all_of_a_run_in_order(server: Server):
    with server.stream("changes") as first, server.stream("changes") as second:
        assert next_event(first)["event"] == next_event(second)["event"] == "hello"
        run_id = submit(server, "a.ipynb").json["run_id"]
        heard, also_heard = hear(first, run_id), hear(second, run_id)
    assert_in_order(states(heard))
    assert also_heard == heard
    # Who went away after any of them hears the rest, no more and no less.
    for last, header in ((heard[0], True), (heard[-2], False)):
        cursor = last["cursor"]
        path = "changes" if header else f"changes?since={cursor}"
        with server.stream(path, {"Last-Event-ID": cursor} if header else None) as resumed:
            assert hear(resumed, run_id) == heard[heard.index(last) + 1 :]
    # A browser repeats the URL it began with: the header is the newer.
    path = f"changes?since={heard[0]['cursor']}"
    with server.stream(path, {"Last-Event-ID": heard[-2]["cursor"]}) as resumed:
        assert hear(resumed, run_id) == heard[-1:]


def test_what_cannot_be_resumed_is_said_to_be_a_gap(server: Server):
    with server.stream("changes", {"Last-Event-ID": "another-server-7"}) as stream:
        gap = next_event(stream)
        assert gap["event"] == "gap"
        run_id = submit(server, "a.ipynb").json["run_id"]
        # Listening goes on from there, and from the gap's own cursor.
        heard = hear(stream, run_id)
    assert_in_order(states(heard))
    with server.stream("changes", {"Last-Event-ID": gap["id"]}) as stream:
        assert hear(stream, run_id) == heard
    assert server.request("DELETE", f"runs/{run_id}").status == 204
    with server.stream("changes", {"Last-Event-ID": heard[-1]["cursor"]}) as stream:
        while (event := next_event(stream))["event"] != "run-deleted":
            pass
    assert json.loads(event["data"])["run_id"] == run_id


async def test_jupyter_events_tell_each_state_once(server: Server):
    url = f"ws://127.0.0.1:{server.port}/api/events/subscribe"
    socket = await websocket_connect(HTTPRequest(url, headers=server.headers))
    run_id = submit(server, "a.ipynb").json["run_id"]
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1]["state"] not in END:
        message = await socket.read_message()
        assert message is not None, "the socket was closed"
        event = json.loads(message)
        if event.get("schema_id") == SCHEMA_ID and event["run_id"] == run_id:
            heard.append(event)
    socket.close()
    told = [(event["state"], event["reason"]) for event in heard]
    assert len(set(told)) == len(told)
    assert {event["state"] for event in heard} <= set(run_row.STATES)
    assert_in_order(list(dict.fromkeys(event["state"] for event in heard)))
