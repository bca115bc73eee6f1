"""REST as a user meets it: a real Jupyter server on the real cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.notebooks import write_notebook

from .conftest import connected_server, ended, next_event, submit, until_run
from .test_openapi import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Server

pytestmark = pytest.mark.integration


@pytest.fixture
def server(namespace: Any, tmp_path: Path) -> Iterator[Server]:
    with connected_server(
        tmp_path / "server", {**namespace.env, "JUPYTERHUB_USER": "tess"}
    ) as found:
        yield found


def test_a_run_from_submit_to_its_files(server: Server):
    path = write_notebook(
        server.root,
        "reports/Grüße 1.ipynb",
        "print('hello')",
        "open('ünï.txt', 'w').write('x' * 100)",
    )
    with server.stream("changes") as changes:
        assert next_event(changes)["event"] == "hello"
        answer = submit(server, path, name="<script>/😀", idempotency_key="once")
        assert answer.status == 201, answer.body
        validate(answer.json, "RunRow")
        run_id = answer.json["run_id"]
        assert answer.headers["Location"] == f"/jupyter-kueue/runs/{run_id}"
        states = []
        while "succeeded" not in states:
            event = next_event(changes)
            change = json.loads(event["data"])
            validate(change, "Change")
            assert event["id"] == change["cursor"]
            if event["event"] == "run":
                assert change["run"]["state"] not in ("failed", "stopped"), change
                states.append(change["run"]["state"])
    assert list(dict.fromkeys(states))[-2:] == ["running", "succeeded"]

    run = server.request("GET", f"runs/{run_id}").json
    validate(run, "Run")
    assert (run["name"], run["state"], run["owner"]) == ("<script>/😀", "succeeded", "tess")
    roles = {file["path"]: file["role"] for file in run["files"]}
    assert next(iter(roles.items())) == ("Grüße 1.ipynb", "notebook")
    assert roles["ünï.txt"] == "side-effect"

    again = submit(server, path, name="<script>/😀", idempotency_key="once")
    assert (again.status, again.json["run_id"]) == (200, run_id)
    other = submit(server, path, name="other", idempotency_key="once")
    assert (other.status, other.json["reason"]) == (409, "conflict")

    listed = server.request("GET", "runs?state=succeeded&text=script").json
    validate(listed, "RunList")
    assert [item["run_id"] for item in listed["items"]] == [run_id]
    assert server.request("GET", "runs?state=failed").json["total"] == 0
    assert server.request("GET", "runs?state=nope").status == 422
    assert server.request("GET", "runs?sort=colour").status == 422
    assert server.request("GET", "runs?cursor=nonsense").status == 422

    check_files(server, run_id)
    check_log_and_notebook(server, run_id)
    check_changes(server, run_id)


def check_log_and_notebook(server: Server, run_id: str) -> None:
    log = server.request("GET", f"runs/{run_id}/logs?follow=true")
    assert (log.status, log.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"hello" in log.body
    notebook = server.request("GET", f"runs/{run_id}/notebook")
    assert "".join(notebook.json["cells"][0]["outputs"][0]["text"]) == "hello\n"
    same = {"If-None-Match": notebook.headers["Etag"]}
    assert server.request("GET", f"runs/{run_id}/notebook", headers=same).status == 304
    head = server.request("HEAD", f"runs/{run_id}/notebook")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(notebook.body))


def check_changes(server: Server, run_id: str) -> None:
    renamed = server.request("PATCH", f"runs/{run_id}", {"name": "better", "tags": ["a"]})
    assert (renamed.status, renamed.json["name"], renamed.json["tags"]) == (200, "better", ["a"])
    assert server.request("PATCH", f"runs/{run_id}", {"state": "failed"}).status == 422
    assert server.request("PATCH", f"runs/{run_id}", {"local_queue": "team-b"}).status == 409

    rerun = server.request("POST", f"runs/{run_id}/rerun", {"name": "again"})
    assert (rerun.status, rerun.json["rerun_of"]) == (201, run_id)
    validate(rerun.json, "RunRow")
    assert server.request("POST", f"runs/{rerun.json['run_id']}/stop").status == 200
    stopped = until_run(server, rerun.json["run_id"], ended)
    assert stopped["state"] in ("stopped", "succeeded")

    unknown = "00000000-0000-4000-8000-000000000000"
    answer = server.request("DELETE", f"runs?run_id={run_id}&run_id={unknown}&run_id=x")
    assert answer.status == 200
    validate(answer.json, "Deletion")
    assert answer.json["deleted"] == [run_id]
    failures = [(item["run_id"], item["reason"]) for item in answer.json["failures"]]
    assert failures == [(unknown, "not-found"), ("x", "not-found")]
    assert server.request("GET", f"runs/{run_id}").status == 404
    assert server.request("DELETE", f"runs/{rerun.json['run_id']}").status == 204
    assert server.request("DELETE", f"runs/{run_id}").status == 404


def check_files(server: Server, run_id: str) -> None:
    base = f"runs/{run_id}/files"
    listed = server.request("GET", base).json
    validate(listed, "FileList")
    assert listed["total"] == len(listed["items"])
    path = f"{base}/%C3%BCn%C3%AF.txt"
    whole = server.request("GET", path)
    assert (whole.status, whole.body) == (200, b"x" * 100)
    assert "filename*=UTF-8''%C3%BCn%C3%AF.txt" in whole.headers["Content-Disposition"]
    assert whole.headers["Content-Disposition"].startswith("attachment")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    etag = whole.headers["Etag"]
    assert server.request("GET", path, headers={"If-None-Match": etag}).status == 304
    head = server.request("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "100")
    for asked, says, number in (
        ("bytes=0-9", "bytes 0-9/100", 10),
        ("bytes=90-", "bytes 90-99/100", 10),
        ("bytes=-5", "bytes 95-99/100", 5),
        ("bytes=95-1000", "bytes 95-99/100", 5),
        ("bytes=-1000", "bytes 0-99/100", 100),
    ):
        part = server.request("GET", path, headers={"Range": asked})
        assert (part.status, part.headers["Content-Range"], len(part.body)) == (206, says, number)
    for asked in ("bytes=100-", "bytes=-0"):
        answer = server.request("GET", path, headers={"Range": asked})
        assert (answer.status, answer.json["reason"]) == (416, "range-not-satisfiable")
    for headers in (
        {"Range": "bytes=9-1"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=0-1"},
        {"Range": "bytes=0-9", "If-Range": '"other"'},
    ):
        assert server.request("GET", path, headers=headers).status == 200
    fresh = {"Range": "bytes=0-9", "If-Range": etag}
    assert server.request("GET", path, headers=fresh).status == 206
    for missing in ("nope.txt", "input/../../other", "result.json"):
        assert server.request("GET", f"{base}/{missing}").status == 404


def test_choices_and_health(server: Server, namespace: Any):
    for path, schema in (
        ("local-queues", "LocalQueueList"),
        ("profiles", "ProfileList"),
        ("environments", "EnvironmentList"),
        ("health", "Health"),
    ):
        answer = server.request("GET", path)
        assert answer.status == 200, answer.body
        validate(answer.json, schema)
    queues = server.request("GET", "local-queues").json
    assert [item["name"] for item in queues["items"]] == list(namespace.local_queues)
    assert server.request("GET", "health").json["ok"] is True
