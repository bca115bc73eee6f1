"""Schedules over REST, as a user meets them: a real Jupyter server on the real cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.notebooks import write_notebook

from .conftest import SIZE, connected_server, ended, next_event, until_run
from .test_openapi import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Server

pytestmark = pytest.mark.integration

FAR = "0 0 29 2 *"


@pytest.fixture
def server(namespace: Any, tmp_path: Path) -> Iterator[Server]:
    with connected_server(
        tmp_path / "server", {**namespace.env, "JUPYTERHUB_USER": "tess"}
    ) as running:
        yield running


def test_a_schedule_from_create_to_delete(server: Server):
    path = write_notebook(server.root, "nightly.ipynb", "print('n is', n)")
    body = {"input_path": path, "local_queue": "team-a", "resources": SIZE, "schedule": FAR}
    with server.stream("changes") as changes:
        assert next_event(changes)["event"] == "hello"
        created = server.request("POST", "schedules", {**body, "parameters": {"n": 1}})
        assert created.status == 201, created.body
        validate(created.json, "ScheduleRow")
        schedule_id = created.json["schedule_id"]
        one = f"schedules/{schedule_id}"
        assert created.headers["Location"] == f"/jupyter-kueue/{one}"
        # The namespace is new, so its queues change meanwhile.
        while (event := next_event(changes))["event"] != "schedule":
            assert event["event"] == "local-queues"
        change = json.loads(event["data"])
        validate(change, "Change")
        assert change["schedule"]["schedule_id"] == schedule_id

        listed = server.request("GET", "schedules?active=true&text=night&sort=name").json
        validate(listed, "ScheduleList")
        assert [item["schedule_id"] for item in listed["items"]] == [schedule_id]
        assert server.request("GET", "schedules?active=false").json["total"] == 0

        paused = server.request("PATCH", one, {"active": False, "name": "paused"})
        assert paused.status == 200, paused.body
        validate(paused.json, "ScheduleRow")
        assert (paused.json["active"], paused.json["name"]) == (False, "paused")
        assert server.request("GET", one).json == paused.json

        run = server.request("POST", f"{one}/run", {"parameters": {"n": 7}})
        assert run.status == 201, run.body
        validate(run.json, "RunRow")
        run_id = run.json["run_id"]
        assert run.headers["Location"] == f"/jupyter-kueue/runs/{run_id}"
        assert until_run(server, run_id, ended)["state"] == "succeeded"
        assert b"n is 7" in server.request("GET", f"runs/{run_id}/logs").body
        runs = server.request("GET", f"runs?schedule_id={schedule_id}").json
        assert [item["run_id"] for item in runs["items"]] == [run_id]

        assert server.request("DELETE", one).status == 204
        while next_event(changes)["event"] != "schedule-deleted":
            pass
    assert server.request("GET", one).status == 404
    assert server.request("PATCH", one, {"name": "x"}).status == 404
    assert server.request("DELETE", one).status == 404
    assert server.request("POST", f"{one}/run").status == 404
    assert server.request("GET", f"runs/{run_id}").status == 200


def test_what_is_wrong_is_said_field_by_field(server: Server):
    path = write_notebook(server.root, "a.ipynb", "print(1)")

    refused = server.request(
        "POST",
        "schedules",
        {"input_path": path, "schedule": "0 0 * * 7", "timezone": "Mars", "local_queue": "nosuch"},
    )

    assert refused.status == 422
    assert set(refused.json["fields"]) == {"schedule", "timezone", "local_queue"}
    assert server.request("POST", "schedules", {}).status == 422
    assert server.request("GET", "schedules?sort=colour").status == 422
    assert server.request("GET", "schedules?active=yes").status == 422
    assert server.request("GET", "schedules/nosuch").status == 404
    assert server.request("GET", "schedules").json["total"] == 0
